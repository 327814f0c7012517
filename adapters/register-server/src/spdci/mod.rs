//! The social register as a registry of SPDCI: families and their members (Social Registry), and
//! who is supported (IBR).
//!
//! ```text
//! final rating, monitoring ──► store: application, profile, what has happened ──► spdci (searches, events)
//! ```
//!
//! A family is a record from the final rating on that grants support; each month's monitoring that
//! finds something replaces what it shows, and a stop or the end of support changes its status.
//! Records are the register's own applications with the profile of their last rating, so there is
//! no second copy to fall behind. Answers are made from what is stored and ask no source.

mod enrolment;
mod events;
mod family;
mod records;
mod registry;

pub use registry::Social;
