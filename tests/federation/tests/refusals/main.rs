//! Every refusal, at either hub: X-Road's error to the caller, a record in the right logs, a reference that
//! finds it. What the messages themselves can be wrong in is in `tampering`, `replay` and `peers`; what
//! sources do is in `sources`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

mod coverage;
mod edge;
mod grants;
mod limits;
mod provider;
