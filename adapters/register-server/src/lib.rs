//! The social register as a member system: one HTTP call in, a household profile out.
//!
//! `POST /profiles` with `{"pinfl": "...", "application_date": "2026-03-02"}` asks the sources
//! through the register's own hub, in two waves under one deadline, and answers with the profile
//! of `register::profile` and its hash. `GET /health` says that the server runs. The list of
//! sources is data ([`config`]). Applications, their timetable and monthly monitoring are kept where
//! `[store]` says; with `[payments]` it closes months
//! ([`payments`]); with `[pages]` it serves the caseworker's pages at `/pages`. Left out:
//! authenticating callers, which is why the server listens on loopback only.

mod api;
mod applications;
mod collect;
pub mod config;
mod hub_client;
mod hub_connection;
mod pages;
pub mod payments;
mod reading;
mod server;

pub use config::{ConfigError, RegisterConfig};
pub use server::{RunningRegister, StartError, start};
