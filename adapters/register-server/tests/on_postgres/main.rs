//! The desk, applications, payments and SPDCI on a store in PostgreSQL: the tests of the other folders as they
//! are, with another module `kept`.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a wrong index or value here fails the test, which is what it is for"
)]

#[path = "../desk/access.rs"]
mod access;
#[path = "../profiles/applications.rs"]
mod applications;
#[path = "../desk/cards.rs"]
mod cards;
#[path = "../desk/cases.rs"]
mod cases;
#[allow(dead_code, reason = "the tests of profiles use the rest")]
#[path = "../profiles/fake_hub.rs"]
mod fake_hub;
#[path = "../kept/postgres.rs"]
mod kept;
#[path = "../desk/life_events.rs"]
mod life_events;
#[path = "../desk/office.rs"]
mod office;
#[path = "../profiles/payments.rs"]
mod payments;
#[allow(dead_code, reason = "tests of the store end the server themselves")]
#[path = "../../../kit/tests/postgres/mod.rs"]
mod postgres;
#[allow(dead_code, reason = "the register's own tests use the rest of the sample")]
#[path = "../../../register/tests/cases/sample.rs"]
mod sample;
#[path = "../profiles/social.rs"]
mod social;
