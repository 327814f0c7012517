//! The audit of a whole log: every record read back, the tree made anew, the root compared.

use schemas::tlog::merkle::leaf_hash;
use schemas::tlog::{Checkpoint, Note, NoteVerifier};

use std::sync::Arc;

use crate::LogError;
use crate::edge::Edge;
use crate::segments::Segments;

/// Compares the records with a checkpoint; gives the number of records it covers.
pub(crate) fn audit(
    segments: &Arc<Segments>,
    note: &str,
    verifier: &NoteVerifier,
) -> Result<u64, LogError> {
    let contradiction = |cause: String| LogError::Contradiction {
        cause,
        repair: "stop the hub and keep its log's directory as evidence; a backup or another node \
                 has the records that were signed",
    };
    let note = Note::parse(note).map_err(|cause| contradiction(cause.to_string()))?;
    verifier.verify(&note).map_err(|cause| contradiction(cause.to_string()))?;
    let checkpoint: Result<Checkpoint, _> = note.text().parse();
    let checkpoint = checkpoint.map_err(|cause| contradiction(cause.to_string()))?;
    let mut edge = Edge::default();
    let mut records = segments.reader(0);
    while edge.size() < checkpoint.size {
        let Some((_, record)) = records.next()? else {
            let (held, size) = (edge.size(), checkpoint.size);
            let cause = format!("it holds {held} records of the {size} that the checkpoint covers");
            return Err(contradiction(cause));
        };
        // The tiles themselves are derived; only the root counts here.
        drop(edge.push(leaf_hash(&record.leaf)));
    }
    if edge.root() == checkpoint.root {
        return Ok(checkpoint.size);
    }
    Err(contradiction(format!("the first {} records do not have the signed root", edge.size())))
}
