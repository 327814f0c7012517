//! A federation: central server, one security server per agency, their adapters and the register.
//!
//! [`lay_out`] writes what an administrator would: keys, certificates, one configuration file per
//! process. [`Federation`] runs all of it in one process under one clock. Tests, benches and `koprik demo` use the
//! same two steps; `koprik demo --separate` uses the first and starts processes from the files.

pub mod agencies;
pub mod assets;
pub mod call;
pub mod forger;
pub mod layout;
pub mod life_events;
mod member;
pub mod operator;
pub mod pair;
pub mod payments;
mod ports;
pub mod raw;
mod recorded;
pub mod refused;
mod register_config;
pub mod rogue;
pub mod running;
pub mod scripted;
pub mod source;
pub mod stage;
pub mod stamps;
pub mod witnesses;

pub use call::{Answer, Caller};
pub use layout::{Layout, Options, lay_out};
pub use pair::Pair;
pub use recorded::recorded;
pub use running::Federation;
pub use source::Source;
