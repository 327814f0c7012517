//! Transparency-log structures of the C2SP specifications, without I/O: Merkle hashing and proofs
//! (RFC 6962), signed notes, checkpoints, cosignatures and tiles. What is here verifies an
//! evidence file offline as well as it serves a running log.

pub mod checkpoint;
pub mod cosignature;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof;
pub mod signer;
pub mod split_view;
pub mod tile;
pub mod tree;
pub mod verifier;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosignature::WitnessVerifier;
pub use merkle::ProofError;
pub use note::{Note, NoteError, NoteSignature};
pub use policy::{Cosigned, WitnessPolicy};
pub use proof::{TlogProof, TlogProofError};
pub use signer::{NoteSigner, SignerError};
pub use split_view::{Contradiction, SplitView};
pub use verifier::NoteVerifier;
