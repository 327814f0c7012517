//! Cases of the register, from answers to decisions.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a wrong index or value here fails the test, which is what it is for"
)]

mod drawing;
mod families;
mod properties;
mod sample;
mod worked_example;
