//! `Debug` without personal data: the name of the type stands for its content.

/// Implements `Debug` for types that hold personal data, so that no log line or error can show it.
macro_rules! redact {
    ($($name:ident),* $(,)?) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(personal data)"))
            }
        }
    )*};
}
pub(crate) use redact;
