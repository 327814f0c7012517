//! What a hub publishes and hands out, given to programs that share no code with it.
//!
//! ```text
//! message log ──► tiles, entries, checkpoint ──► checklog (Go, golang.org/x/mod)
//!            └──► proofs                     ──► rfc6962.py (hashlib)
//! two hubs    ──► evidence files             ──► verify_evidence.py (cryptography)
//! ```
//!
//! The tests stand in `tests/`; here are the log that they publish and the programs that they run.

pub mod programs;
pub mod published;
