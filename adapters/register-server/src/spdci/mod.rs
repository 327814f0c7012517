//! The social register as a registry of SPDCI: families and their members (Social Registry), and
//! who is entitled to a benefit (IBR).
//!
//! ```text
//! profile ──► Social::register ──► store: family, event ──► spdci (searches, events)
//! ```
//!
//! A family stands in the register once a profile of it has been assembled; a later profile replaces
//! it. Answers are made from what is stored and ask no source.

mod family;
mod records;
mod registry;

pub use registry::Social;
