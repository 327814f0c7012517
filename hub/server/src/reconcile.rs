//! Reconciliation: what this hub recorded of its exchanges with another member, and the comparison
//! with what the other side recorded.
//!
//! Each side exports hashes of its own log, and neither needs to show the other a record. The form
//! stands in `schemas::reconcile` and `hub/docs/reconcile.md`, the judgement in `hub_core::reconcile`.

mod compare;
mod export;
mod sorted;

pub use self::compare::{CompareError, Item, Report, compare};
pub(crate) use self::export::stream;
pub use self::export::{Asked, export_stopped};
