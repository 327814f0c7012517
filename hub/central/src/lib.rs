//! The central server: publishes the global configuration and proves what it has published.
//!
//! ```text
//!  content file ─┐                 ┌─► versions/*.note     every signed version, durable
//!  admin listener┴─► publisher ────┼─► log/                transparency log: one entry per version
//!        (one task, one version    └─► public listener     the newest version, old ones, the log
//!         at a time)
//! ```
//!
//! The content file is the one source of what is published: the administrator edits it, or the
//! admin listener writes it. A new version is signed when it changes and when half the validity has
//! passed, so that hubs see a stopped central server long before their configuration expires
//! (promise P7).
//!
//! # Crash windows of publishing version n
//! | crash or failure | on disk | what the next start or attempt does |
//! |---|---|---|
//! | while `n.note.tmp` is written | versions to n − 1 | overwrites it and signs n anew; nobody has seen the first |
//! | after the rename, before the folder is synced | n may be there | if there: as in the next line; if not: as in the line before |
//! | n stored, not in the log | n, log size n − 1 | puts the stored n into the log, then serves it; never signs another n |
//! | append failed, not stored (the log's disk is full) | n, log size n − 1 | same, without a restart |
//! | append failed but stored, or its answer was lost | n, log size n | the log takes no more entries; a restart finds n in it and serves it |
//! | n stored and logged, not served | n, log size n | serves it |
//!
//! So a version is served only after it is durable and in the log, and a version number that can
//! have been seen by anyone has one content for ever.
//!
//! What each store is trusted for: `versions/` **trusted for availability**: who can delete the
//! newest ones stops the publishing, as the log knows better; who can change one is noticed by
//! signature and log. `log/`: see `hub_messagelog`. `witness/`: see `hub_witness`. The content file: **trusted**: who can change
//! it decides who takes part.

mod admin;
mod api;
mod chain;
mod config;
mod content_file;
mod error;
mod http;
mod publisher;
mod start;
mod timestamp_authority;
mod witness;

pub use config::{CentralConfig, KeyFile, KeysConfig};
pub use error::CentralError;
pub use start::{RunningCentral, start};
pub use timestamp_authority::{
    RunningTimestampAuthority, TimestampAuthorityConfig, start_timestamp_authority,
};

#[cfg(test)]
mod tests;
