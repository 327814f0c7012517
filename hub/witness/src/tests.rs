//! A log and its witnesses, honest and not. Here stand the log and the builders that the tests share.

mod alarms;
mod brought;
mod gathering;
mod witnessing;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use pki::signer::NoteKey;
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::Sha256;
use schemas::tlog::merkle::{leaf_hash, root_of};
use schemas::tlog::witness::AddCheckpoint;
use schemas::tlog::{Checkpoint, Note, NoteSignature, NoteSigner as _, NoteVerifier, tree};

use crate::{Alarms, Witness};

const ORIGIN: &str = "koprik/UZ/GOV/TAX/hub-1";
const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

/// A log on paper: its key, and any leaves.
struct PaperLog {
    key: NoteKey,
}

impl PaperLog {
    fn new() -> Self {
        Self { key: NoteKey::ephemeral(ORIGIN).unwrap() }
    }

    fn keys(&self) -> impl Fn(&str) -> Option<NoteVerifier> {
        |origin| (origin == ORIGIN).then(|| self.key.verifier().clone())
    }

    fn sign(&self, leaves: &[Sha256]) -> Note {
        let size = u64::try_from(leaves.len()).unwrap();
        let root = root_of(leaves);
        let text = Checkpoint { origin: ORIGIN.to_owned(), size, root }.to_string();
        let signature = self.key.sign(text.as_bytes()).unwrap().to_vec();
        let verifier = self.key.verifier();
        let line = NoteSignature::new(verifier.name(), verifier.key_id(), signature).unwrap();
        Note::new(&text, vec![line]).unwrap()
    }

    /// A request with the proof that these leaves give.
    fn request(&self, old: usize, leaves: &[Sha256]) -> String {
        let old_size = u64::try_from(old).unwrap();
        AddCheckpoint::new(old_size, proof(old, leaves), self.sign(leaves)).unwrap().to_string()
    }
}

/// Leaves that are the same in all histories up to `common`, and then those of one.
fn leaves(count: u16, common: u16, history: u8) -> Vec<Sha256> {
    let leaf = |n: u16| leaf_hash(&[n.to_be_bytes().as_slice(), &[history]].concat());
    let shared = |n: u16| leaf_hash(&n.to_be_bytes());
    (0..count).map(|n| if n < common { shared(n) } else { leaf(n) }).collect()
}

fn proof(old: usize, leaves: &[Sha256]) -> Vec<Sha256> {
    let node = |level: u32, index: u64| -> Result<Sha256, Infallible> {
        let start = usize::try_from(index << level).unwrap();
        Ok(root_of(&leaves[start..start + (1 << level)]))
    };
    let [old, new] = [old, leaves.len()].map(|size| u64::try_from(size).unwrap());
    tree::consistency_proof(old, new, node).unwrap()
}

fn alarms(dir: &Path) -> Arc<Alarms> {
    Arc::new(Alarms::open(dir.join("alarms"), Clock::manual(NOW)).unwrap())
}

fn witness(dir: &Path, name: &str) -> Witness {
    let key = Arc::new(NoteKey::ephemeral(name).unwrap());
    witness_with(dir, key)
}

fn witness_with(dir: &Path, key: Arc<NoteKey>) -> Witness {
    let logs = dir.join(format!("{}-logs", key.name()));
    Witness::open(logs, key, Clock::manual(NOW), alarms(dir)).unwrap()
}
