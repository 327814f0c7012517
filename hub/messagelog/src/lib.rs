//! The message log of a hub: every exchange, refusal and officer's act, durable before anyone
//! acts on it (promises P1 to P3), provable for ever after (P5), and without personal data in
//! anything that is published (P6).
//!
//! ```text
//!  submit ──► committer ──► segments/*.seg      the truth: one write, one fdatasync, then receipts
//!                 │ durable size
//!                 ├──► publisher ──► tlog/      tiles, entry bundles, signed checkpoint (C2SP)
//!                 │                    └──► compactor: sealed segments leave their leaves to the bundles
//!                 └──► indexer ───► index/      sorted files: exchange, subject, client, … → record indexes
//! ```
//!
//! All of it but the index is written through `disk`, one system call at a time, so that tests crash
//! after each.
//!
//! Publisher and indexer follow the segments by reading them back; what they write is derived and
//! is made anew from the segments whenever it is missing or wrong. Only the entry bundles of compact segments
//! are more: they are durable, and hold the only copy of their leaves. Nothing reads or changes a
//! record's meaning here: a leaf is bytes, and the caller's function names its index keys.
//!
//! What each store is trusted for:
//! - `segments/`: **trusted for completeness until checkpointed**. Who can change it can drop
//!   records newer than the last checkpoint; any other change fails a checksum or contradicts the
//!   checkpoint that others hold.
//! - `tlog/checkpoint`: **trusted against rollback**: who can delete it together with the newest
//!   records can make the log forget them; witnesses and peers that hold a checkpoint notice.
//! - `tlog/tile/entries`: **trusted for the leaves of compact segments**, as those are for the rest: a change
//!   contradicts the segment's checksum, and the checkpoint that others hold.
//! - other tiles, `index/`: **not trusted**: who can change them can hide records from a search or
//!   break proofs, which then do not verify; both are rebuilt from the segments and bundles.
//! - `keys/`: **trusted for secrecy**: who can read it can open evidence and link pseudonyms.

mod append;
mod audit;
mod bundles;
pub mod check;
mod committer;
mod compactor;
mod disk;
mod edge;
mod entry;
mod error;
mod frame;
mod index;
mod log;
mod offline;
mod open;
mod options;
mod publisher;
mod queue;
mod recovery;
mod segments;
mod tiles;
pub mod vault;

pub use disk::replace_durably;
pub use entry::{Entry, LogReceipt, PendingReceipt, StoredRecord};
pub use error::LogError;
pub use index::{IndexKey, IndexKeys, IndexKind, Order, Query};
pub use log::MessageLog;
pub use offline::scan_stopped;
pub use options::{LogLimits, LogOptions};

#[cfg(test)]
mod tests;
