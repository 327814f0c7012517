//! The security server: three listeners around the pure core.
//!
//! `edge` takes calls of the agency's own systems, `peer` those of other security servers, `admin` those of the
//! operator. `consumer` and `provider` are the two halves of an exchange, in the order of the walkthrough in
//! ARCHITECTURE.md. `journal` makes records durable; nothing is released without its receipt.

pub mod config;
pub mod hub;
pub mod reconcile;

mod admin;
mod clients;
mod consumer;
mod edge;
mod evidence;
mod journal;
mod listener;
mod local;
mod metadata;
mod metrics;
mod provider;
mod refresh;
mod reply;
mod retention;
mod runtime;
mod search;
mod signing;
mod source;
mod spool;
mod state;
mod stored;
mod timestamps;
mod witness;

pub use config::HubConfig;
pub use hub::{RunningHub, StartError, start};
pub use journal::index_keys;
pub use runtime::runtime;
pub use stored::check_stored;
