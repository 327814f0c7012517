//! Conformance: each file gives something that hubs make to a program that is not ours.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

mod evidence_by_python;
mod evidence_by_wasm;
mod evidence_forged;
mod evidence_stamped;
mod exchanges;
mod log_by_go;
mod log_document;
mod proofs_by_python;
mod receipt_by_go;
