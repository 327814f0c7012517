//! Receipts: that one record stands in a log, in one text to be checked offline (C2SP tlog-proof).
//!
//! Ours carry the record itself as extra data: the format leaves open how the reader comes by what was logged,
//! and the inclusion proof is what authenticates it. Strict: one receipt has one text.

use std::fmt;
use std::str::FromStr;

use super::checkpoint::{Checkpoint, CheckpointError, decimal};
use super::merkle::{ProofError, leaf_hash, verify_inclusion};
use super::note::{Note, NoteError};
use super::verifier::NoteVerifier;
use crate::digest::Sha256;
use crate::encoding::{base64, from_base64};
use crate::limits::TLOG_PROOF_MAX_BYTES;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Hashes in the longest proof: one for each bit of a size.
const HASHES_MAX_COUNT: usize = 64;

/// A receipt, read but not yet trusted. Text form: that of C2SP tlog-proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    hashes: Vec<Sha256>,
    checkpoint: Note,
}

/// A receipt is none, or does not prove what it is shown for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// It breaks a rule of the format.
    #[error("receipt: {0}; ask the log for it again, it was changed on its way")]
    Malformed(&'static str),
    /// The checkpoint in it is not well-formed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint in it is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The record does not stand at this index of the checkpoint's tree.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TlogProof {
    /// A receipt for the record at `index`, with its inclusion proof (nearest sibling first) in the
    /// tree of `checkpoint`, a signed note. Nothing is verified here.
    ///
    /// # Errors
    /// When the checkpoint is no signed note, or the receipt is longer than one may be.
    pub fn new(
        record: Option<&[u8]>,
        index: u64,
        hashes: Vec<Sha256>,
        checkpoint: &str,
    ) -> Result<Self, TlogProofError> {
        let extra = record.filter(|record| !record.is_empty()).map(<[u8]>::to_vec);
        let proof = Self { extra, index, hashes, checkpoint: Note::parse(checkpoint)? };
        // What is written can be read again.
        proof.to_string().parse()
    }

    /// The record that the receipt carries; trusted only after [`TlogProof::verify`].
    #[must_use]
    pub fn record(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The record's place in the log, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Checks that `leaf` stands at this index of the log whose key this is; gives the checkpoint.
    /// The log's origin is the key's name.
    ///
    /// # Errors
    /// When the checkpoint is not the log's, or the leaf is not in its tree at this index.
    pub fn verify(&self, leaf: &[u8], key: &NoteVerifier) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint.to_string(), key.name(), key)?;
        let hash = leaf_hash(leaf);
        let Checkpoint { size, root, .. } = &checkpoint;
        verify_inclusion(&hash, self.index, *size, &self.hashes, root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64(hash.as_bytes())))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, TlogProofError> {
        let malformed = TlogProofError::Malformed;
        if text.len() > TLOG_PROOF_MAX_BYTES {
            return Err(malformed("it is longer than a receipt may be"));
        }
        let no_checkpoint = malformed("it has no checkpoint after an empty line");
        let (head, checkpoint) = text.split_once("\n\n").ok_or(no_checkpoint)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("its first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra ")).map(|encoded| {
            let extra = from_base64(encoded).filter(|extra| !extra.is_empty());
            extra.ok_or(malformed("its extra data is not in base64, or empty"))
        });
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let hash = |line| {
            let bytes = from_base64(line).and_then(|bytes| bytes.try_into().ok());
            bytes.map(Sha256).ok_or(malformed("a line of its proof is not 32 bytes in base64"))
        };
        let proof = Self {
            extra: extra.transpose()?,
            index: index.ok_or(malformed("it has no line with the record's index in decimal"))?,
            hashes: lines.map(hash).collect::<Result<_, _>>()?,
            checkpoint: Note::parse(checkpoint)?,
        };
        if proof.hashes.len() > HASHES_MAX_COUNT {
            return Err(malformed("its proof is longer than any tree is high"));
        }
        Ok(proof)
    }
}

#[cfg(test)]
mod tests;
