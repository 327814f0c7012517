//! Payments: the month is closed, checked, ordered, financed, paid, confirmed and rolled over.
//!
//! ```text
//! register ── account check ──────────► bank      does the account exist, is it theirs, is it open
//! register ── statement, in parts ────► bank      one line per family and benefit
//! register ── payment order ──────────► treasury  the sum of the lines
//! treasury ── financing ──────────────► bank      the money
//! treasury ── order financed ─────────► register
//! bank ────── release request ────────► register  at the moment of paying: may these lines be paid?
//! bank ────── confirmations ──────────► register  paid, blocked, not collected
//! bank ────── settlement ─────────────► treasury  what was paid, and the rest back
//! ```
//!
//! Each party is a function: a message or a command in, one [`party::Commit`] out, which holds
//! what changes *and* what is to be sent. A party answers and sends only what it has committed, and
//! sends again until it is answered; who receives a message a second time changes nothing. So no
//! loss, repetition, delay or crash moves money that should not move.
//!
//! **Death.** The bank asks for a release when it pays and at no other time, so the order of a death
//! and a payment is the order in which the register commits them: a death recorded before the
//! release blocks the line, and nothing can overtake it.
//!
//! Source: the flow and its invariants are those of the payment cycle under CM resolution 35 (S);
//! release requests and account checks are our own (I). Left out: sockets, storing, the clock.

pub mod closing;
pub mod due;
pub mod line;
pub mod message;
pub mod office;
pub mod party;

/// Lines of one message: a record of the message log holds at most as many people.
pub const LINES_PER_MESSAGE_MAX_COUNT: usize = schemas::limits::SUBJECTS_MAX_COUNT;
/// Lines of one month: 739 000 families were registered in December 2025, some with two benefits.
pub const LINES_PER_MONTH_MAX_COUNT: usize = 2_000_000;
