//! The parts of `cargo bench -p bench`: processes to measure, a load generator, and the table.
//!
//! What is measured and what the table says stands in `benches/exchange.rs`; for the message log alone, in
//! `benches/log.rs`; for household profiles, in `benches/profile.rs`.

pub mod arguments;
pub mod disk;
pub mod figures;
pub mod hubs;
pub mod load;
pub mod log;
pub mod nginx;
pub mod process;
pub mod profile;
pub mod report;
pub mod roles;
