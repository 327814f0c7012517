//! What can be checked with public material alone: keys, signatures and certificates. Pure:
//! bytes in, a value or a refusal out; the caller brings the time.

mod certificate;
mod public_key;

#[cfg(not(target_family = "wasm"))]
pub(crate) use certificate::pem_text;
pub use certificate::{Certificate, CertificateError};
pub use public_key::{Algorithm, BadSignature, PublicKey, UnsupportedKey};
