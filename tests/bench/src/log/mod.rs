//! The parts of `cargo bench -p bench --bench log`; what is measured stands in `benches/log.rs`.

pub mod appending;
pub mod arguments;
pub mod growing;
pub mod open;
pub mod reading;
pub mod records;
pub mod report;
pub mod starting;
