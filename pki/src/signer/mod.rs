//! The only code that touches private keys.
//!
//! A key lives in a PKCS#8 PEM file (RFC 5958, RFC 7468 §10) that only its owner can read; a file
//! that others can read is refused. In memory the key is held by ring and by nothing else.

mod file;
mod key;
mod note;

pub use file::{KeyError, generate};
pub use key::SigningKey;
pub use note::{NoteKey, NoteKeyError};

#[cfg(test)]
mod tests;
