//! A federation: central server, one security server per agency, their adapters and the register.
//!
//! [`lay_out`] writes what an administrator would: keys, certificates, one configuration file per
//! process. [`Federation`] runs all of it in one process under one clock. Tests, benches and `koprik demo` use the
//! same two steps; `koprik demo --separate` uses the first and starts processes from the files.

pub mod agencies;
pub mod assets;
pub mod call;
pub mod layout;
mod member;
mod ports;
mod register_config;
pub mod running;

pub use call::{Answer, Caller};
pub use layout::{Layout, Options, lay_out};
pub use running::Federation;
