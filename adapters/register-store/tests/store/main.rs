//! What both engines of the store promise, in one suite; and what each leaves on disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test file: a failure shall panic"
)]

mod disk;
mod embedded;
mod in_postgres;
#[allow(dead_code, reason = "the adapters' tests use more of it than this one")]
#[path = "../../../kit/tests/postgres/mod.rs"]
mod postgres;
mod suite;
