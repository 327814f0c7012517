//! Keys, certificates and TLS of Koʻprik.
//!
//! - [`trust`]: public keys and certificates as values, without I/O.
//! - [`tls`]: rustls configurations that pin the certificates of the global configuration.
//! - [`signer`]: the only code that touches private keys.
//! - [`authority`]: a small certification authority.
//! - [`timestamp`]: RFC 3161 timestamps: asking, verifying, and a small authority.
//!
//! As WebAssembly, which has no files and no sockets, there is [`trust`] and what
//! verifies timestamps: what a verifier needs.
//!
//! ring is the only cryptography, and every rustls configuration names it: a process default would
//! break as soon as a second provider came into the tree.

#[cfg(not(target_family = "wasm"))]
pub mod authority;
#[cfg(not(target_family = "wasm"))]
pub mod signer;
pub mod timestamp;
#[cfg(not(target_family = "wasm"))]
pub mod tls;
pub mod trust;
