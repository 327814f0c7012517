//! Timestamps (RFC 3161 with RFC 5816): proof by a third party that bytes existed at a moment.
//!
//! - [`TimestampQuery`]: what is asked, over a SHA-256 digest.
//! - [`read_reply`], [`reply_with`]: the reply around a token.
//! - [`verify`]: a token against the authorities that one trusts.
//! - [`TimestampAuthority`]: a small authority, for tests and for exchanges that have no other.
//!
//! No sockets and no clock: who carries the bytes, and what time it is, the caller says. Left out:
//! tokens whose signer is named by a key identifier, revocation lists in tokens, RSA-PSS, and
//! certificate identifiers under SHA-1 (ESSCertID of RFC 2634).

#[cfg(not(target_family = "wasm"))]
mod authority;
#[cfg(not(target_family = "wasm"))]
mod query;
#[cfg(not(target_family = "wasm"))]
mod reply;
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "only who asks or answers writes them")
)]
mod structures;
#[cfg_attr(
    target_family = "wasm",
    allow(dead_code, reason = "only who asks or answers writes them")
)]
mod time;
mod token;

#[cfg(not(target_family = "wasm"))]
pub use authority::{TimestampAuthority, TimestampAuthorityError};
#[cfg(not(target_family = "wasm"))]
pub use query::{QueryRefusal, TimestampQuery};
#[cfg(not(target_family = "wasm"))]
pub use reply::{ReplyError, read_reply, reply_with};
pub use token::{Asked, TokenRefusal, TrustedAuthority, VerifiedTimestamp, verify};

#[cfg(test)]
mod tests;
