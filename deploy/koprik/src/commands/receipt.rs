//! Receipts (C2SP tlog-proof): made from what a hub's admin listener gives, and verified offline
//! with the log's verifier key alone.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use schemas::limits::TLOG_PROOF_MAX_BYTES;
use schemas::record::Record;
use schemas::tlog::merkle::{leaf_hash, verify_inclusion};
use schemas::tlog::{Checkpoint, Note, NoteVerifier, TlogProof};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a receipt does not prove, in words.
const NOT_PROVED: [&str; 5] = [
    "that the log key is a hub's: compare it with the log key in the global configuration",
    "what was asked and answered: the record holds hashes; the evidence file has the messages",
    "that the evidence still exists: its hub erases it when its time is over, and the record stays",
    "that nobody was shown another version of the log: witnesses' signatures are not looked at",
    "the time, beyond what the hub's own clock says",
];

/// The hub's answer to `/v1/proof/inclusion`.
#[derive(Deserialize)]
struct Inclusion {
    index: u64,
    leaf: String,
    checkpoint: String,
    proof: Vec<schemas::digest::Sha256>,
}

/// The receipt for a record, from the hub's answer. The hub's proof is checked, its key is not.
pub(crate) fn make(answer: &Value) -> anyhow::Result<TlogProof> {
    let given: Inclusion =
        Inclusion::deserialize(answer).context("the hub's answer is no inclusion proof")?;
    let note = Note::parse(&given.checkpoint)?;
    let checkpoint: Checkpoint = note.text().parse()?;
    let hash = leaf_hash(given.leaf.as_bytes());
    verify_inclusion(&hash, given.index, checkpoint.size, &given.proof, &checkpoint.root)?;
    let record = Some(given.leaf.as_bytes());
    Ok(TlogProof::new(record, given.index, given.proof, &given.checkpoint)?)
}

/// What a receipt proves.
pub(crate) struct Receipt {
    index: u64,
    checkpoint: Checkpoint,
    record: Record,
}

/// Verifies a receipt with the log's verifier key; the inner error says what does not hold.
pub(crate) fn verify(path: &Path, key: &str) -> anyhow::Result<anyhow::Result<Receipt>> {
    let key: NoteVerifier = key.parse().context("--log-key")?;
    let cannot = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(cannot)?.len();
    if usize::try_from(size).is_ok_and(|size| size > TLOG_PROOF_MAX_BYTES) {
        bail!("{} has {size} bytes, more than any receipt", path.display());
    }
    let bytes = std::fs::read(path).with_context(cannot)?;
    Ok(verify_bytes(&bytes, &key))
}

fn verify_bytes(bytes: &[u8], key: &NoteVerifier) -> anyhow::Result<Receipt> {
    let text = std::str::from_utf8(bytes).context("the receipt is not UTF-8")?;
    ensure!(
        text.starts_with("c2sp.org/tlog-proof@v1\n"),
        "the file is no receipt; an evidence file is verified with --anchor"
    );
    let receipt: TlogProof = text.parse()?;
    let leaf = receipt.record().context(
        "the receipt carries no record; ask the hub for one with `koprik log prove --tlog-proof`",
    )?;
    let checkpoint = receipt.verify(leaf, key)?;
    Ok(Receipt { index: receipt.index(), checkpoint, record: Record::from_leaf(leaf)? })
}

impl Receipt {
    fn proved(&self) -> [String; 2] {
        let Checkpoint { origin, size, .. } = &self.checkpoint;
        [
            format!("the checkpoint of {size} records is signed by the key of {origin}"),
            format!("the record stands in that log at {}, unchanged", self.index),
        ]
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({
            "verified": true,
            "log": self.checkpoint.origin,
            "tree_size": self.checkpoint.size,
            "steps": self.proved(),
            "records": [{ "index": self.index, "record": self.record }],
            "not_proved": NOT_PROVED,
        })
    }

    pub(crate) fn as_text(&self) -> String {
        let proved = self.proved().map(|line| format!("  ✓ {line}\n")).concat();
        let not_proved = NOT_PROVED.map(|line| format!("  – {line}\n")).concat();
        let (log, size) = (&self.checkpoint.origin, self.checkpoint.size);
        let record = super::verify::record_text(self.index, size, &self.record);
        format!(
            "VERIFIED: a receipt of {log}\n\nproved\n{proved}{record}\nnot proved by this file\n\
             {not_proved}"
        )
    }
}
