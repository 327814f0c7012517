//! Messages that changed on their way, and configurations that are not the central server's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

mod answers;
mod configuration;
mod requests;
