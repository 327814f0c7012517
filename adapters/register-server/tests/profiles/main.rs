//! A register before a fake hub: caller → register → fake hub, which answers for every source.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a wrong index or value here fails the test, which is what it is for"
)]

mod applications;
mod assembling;
mod disk;
mod fake_hub;
mod faults;
#[path = "../kept/embedded.rs"]
mod kept;
mod payments;
#[allow(dead_code, reason = "the register's own tests use the rest of the sample")]
#[path = "../../../register/tests/cases/sample.rs"]
mod sample;
mod social;
mod tls;
