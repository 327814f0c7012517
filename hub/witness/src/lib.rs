//! Witnesses: others look at a log, so that it cannot show two histories unnoticed (C2SP tlog-witness).
//!
//! ```text
//!  log's side                              witness's side
//!  Gatherer ── add-checkpoint ───────────► Witness ──► DIR/logs/*.note    the last cosigned checkpoint of each log
//!     │     ◄── cosignature, 409, 422 ───     │
//!     ├──► checkpoint.cosigned                └──► Alarms ──► DIR/*.json  split views, each with both checkpoints
//!     └──► Alarms
//! ```
//!
//! Both sides are here, and both servers use both; sockets are theirs ([`AskWitness`]). Nothing here is on the
//! path of a message (promise P7): a witness that is away is a warning.
//!
//! What each store is trusted for:
//! - `logs/`: **trusted**: who can delete or replace a file can make this witness cosign another history.
//! - alarms: **not trusted**: who can delete them hides what was seen; nobody can forge one, as it is
//!   verified by the log's key.
//! - `checkpoint.cosigned`: **not trusted**: it is verified by whoever reads it.

mod alarms;
mod gather;
mod witness;

pub use alarms::{Alarm, Alarms};
pub use gather::{AskWitness, Gatherer};
pub use witness::{Answered, Asker, Witness, WitnessError};

#[cfg(test)]
mod tests;
