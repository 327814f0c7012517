//! The caseworker's pages: caller or browser → register → fake hub.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a wrong value here fails the test, which is what it is for; a browser is waited for \
              by the machine's clock"
)]

mod accessibility;
mod browser;
#[allow(dead_code, reason = "the tests of profiles use the rest of the fake hub")]
#[path = "../profiles/fake_hub.rs"]
mod fake_hub;
mod fences;
mod joined;
mod keyboard;
#[allow(dead_code, reason = "the register's own tests use the rest of the sample")]
#[path = "../../../register/tests/cases/sample.rs"]
mod sample;
mod texts;
mod world;
