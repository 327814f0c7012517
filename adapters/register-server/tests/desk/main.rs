//! The officers' desk: officers, shops and sources → register with a store → fake hub.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a wrong index or value here fails the test, which is what it is for"
)]

mod access;
mod cards;
mod cases;
#[allow(dead_code, reason = "the tests of profiles use the rest")]
#[path = "../profiles/fake_hub.rs"]
mod fake_hub;
mod life_events;
mod office;
mod proposals;
mod races;
#[allow(dead_code, reason = "the register's own tests use the rest of the sample")]
#[path = "../../../register/tests/cases/sample.rs"]
mod sample;
mod times;
