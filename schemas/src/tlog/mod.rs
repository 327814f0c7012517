//! Transparency-log structures of the C2SP specifications, without I/O: Merkle hashing and proofs
//! (RFC 6962), signed notes, checkpoints, cosignatures and tiles. What is here verifies an
//! evidence file offline as well as it serves a running log.

pub mod checkpoint;
pub mod cosignature;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod signer;
pub mod tile;
pub mod tree;
pub mod verifier;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use merkle::ProofError;
pub use note::{Note, NoteError, NoteSignature};
pub use proof::{TlogProof, TlogProofError};
pub use signer::{NoteSigner, SignerError};
pub use verifier::NoteVerifier;
