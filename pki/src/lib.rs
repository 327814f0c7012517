//! Keys, certificates and TLS of Koʻprik.
//!
//! - [`trust`]: public keys and certificates as values, without I/O.
//! - [`tls`]: rustls configurations that pin the certificates of the global configuration.
//! - [`signer`]: the only code that touches private keys.
//! - [`authority`]: a small certification authority.
//! - [`timestamp`]: RFC 3161 timestamps: asking, verifying, and a small authority.
//!
//! ring is the only cryptography, and every rustls configuration names it: a process default would
//! break as soon as a second provider came into the tree.

pub mod authority;
pub mod signer;
pub mod timestamp;
pub mod tls;
pub mod trust;
