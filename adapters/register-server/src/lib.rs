//! The social register as a member system: one HTTP call in, a household profile out.
//!
//! `POST /profiles` with `{"pinfl": "...", "application_date": "2026-03-02"}` asks the sources
//! through the register's own hub, in two waves under one deadline, and answers with the profile
//! of `register::profile` and its hash. `GET /health` says that the server runs. The list of
//! sources is data ([`config`]). With `[store]` it keeps applications, their timetable and monthly
//! monitoring, and is the officers' desk: E-Cases (`ecase`), Social Cards (`card`) and life events
//! (`life_event`); with `[payments]` it closes months
//! ([`payments`]); with `[pages]` it serves the caseworker's pages at `/pages`. Left out:
//! authenticating callers, which the register's own hub does, and why the server listens on
//! loopback only.

mod api;
mod applications;
mod asking;
mod card;
mod collect;
pub mod config;
mod desk;
mod ecase;
mod hub_client;
mod hub_connection;
mod life_event;
mod pages;
pub mod payments;
mod reading;
mod server;
pub mod spdci;
mod watch;

pub use config::{ConfigError, RegisterConfig};
pub use desk::{NotStopped, PaymentStops, Stopping};
pub use server::{RunningRegister, StartError, start, start_with};
