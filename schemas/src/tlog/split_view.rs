//! A split view: two checkpoints, both signed by one log, that cannot both be of a log that only grows.
//!
//! It is evidence: whoever holds the log's key verifies it offline. Canonical JSON on one line, so that it has one
//! spelling; a witness keeps it as an alarm.

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::merkle::{Extension, empty_root, roots_through};
use super::note::Note;
use super::verifier::NoteVerifier;
use crate::digest::Sha256;

/// The form of split views that this release writes and reads.
pub const FORMAT: &str = "koprik-split-view/1";

/// Two checkpoints of one log. The fields stand in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitView {
    /// The checkpoint that was cosigned before, of the smaller tree: a signed note.
    pub cosigned: String,
    /// [`FORMAT`].
    pub format: String,
    /// The checkpoint that does not extend it: a signed note.
    pub offered: String,
    /// What the log gave as consistency proof between them (RFC 6962 §2.1.2).
    pub proof: Vec<Sha256>,
}

/// What two checkpoints show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Two roots for one size: proved by the two signatures.
    TwoRoots,
    /// The log's own proof shows another beginning than the one it had signed: proved by the two signatures
    /// and the proof.
    OtherBeginning,
    /// The proof leads nowhere: the log has not shown that it only grew. Proved is only that both checkpoints
    /// are its own; it may still give a proof that holds.
    NotShown,
}

impl Contradiction {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::TwoRoots => "the log signed two different trees of one size",
            Self::OtherBeginning => {
                "the log signed a tree that begins otherwise than the one it had signed before"
            }
            Self::NotShown => {
                "the log signed both checkpoints and did not show that the second extends the first"
            }
        }
    }

    /// Whether the log is shown to have contradicted itself.
    #[must_use]
    pub fn proved(self) -> bool {
        self != Self::NotShown
    }
}

/// The text is no split view, or shows none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitViewRefusal {
    /// It breaks a rule of the form.
    #[error("split view: {0}; ask the witness for it again, it was changed on its way")]
    Malformed(&'static str),
    /// A checkpoint is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoints are of one history.
    #[error("split view: none is shown: the second checkpoint extends the first; nothing is wrong")]
    Consistent,
}

impl SplitView {
    /// Puts two signed checkpoints together; nothing is verified.
    #[must_use]
    pub fn new(cosigned: String, offered: String, proof: &[Sha256]) -> Self {
        Self { cosigned, format: FORMAT.to_owned(), offered, proof: proof.to_vec() }
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// [`SplitViewRefusal::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, SplitViewRefusal> {
        let malformed = SplitViewRefusal::Malformed;
        let read: Self = serde_json::from_str(text).map_err(|_| malformed("it is none"))?;
        if read.format != FORMAT {
            return Err(malformed("it has another form than this release reads"));
        }
        if read.to_text() != text {
            return Err(malformed("it is not in its one spelling (canonical JSON)"));
        }
        Ok(read)
    }

    /// The canonical text, one line.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Safe because: a struct of strings and lists always serialises.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Says what the two checkpoints show about the log whose key this is; gives them too, the smaller first.
    ///
    /// # Errors
    /// When one of them is not the log's, or they contradict nothing.
    pub fn verify(
        &self,
        key: &NoteVerifier,
    ) -> Result<(Contradiction, [Checkpoint; 2]), SplitViewRefusal> {
        Checkpoint::open(&self.cosigned, key.name(), key)?;
        Checkpoint::open(&self.offered, key.name(), key)?;
        self.shown()
    }

    /// As [`SplitView::verify`], without looking at signatures: for one that has been verified before.
    ///
    /// # Errors
    /// When the checkpoints are malformed, of different logs, or contradict nothing.
    pub fn shown(&self) -> Result<(Contradiction, [Checkpoint; 2]), SplitViewRefusal> {
        let read = |note: &str| -> Result<Checkpoint, CheckpointError> {
            Note::parse(note)?.text().parse()
        };
        let (first, second) = (read(&self.cosigned)?, read(&self.offered)?);
        if first.origin != second.origin {
            return Err(SplitViewRefusal::Malformed("its checkpoints are of two logs"));
        }
        let contradiction = judge(&first, &second, &self.proof)?;
        Ok((contradiction, [first, second]))
    }
}

fn judge(
    first: &Checkpoint,
    second: &Checkpoint,
    proof: &[Sha256],
) -> Result<Contradiction, SplitViewRefusal> {
    if first.size > second.size {
        return Err(SplitViewRefusal::Malformed("the first checkpoint is of the larger tree"));
    }
    if first.size == second.size {
        let same = first.root == second.root;
        return if same { Err(SplitViewRefusal::Consistent) } else { Ok(Contradiction::TwoRoots) };
    }
    // RFC 6962 has no proof from the empty tree: every tree extends it.
    if first.size == 0 && first.root == empty_root() {
        return Err(SplitViewRefusal::Consistent);
    }
    let (old_root, new_root) = (&first.root, &second.root);
    let states = Extension { old_size: first.size, old_root, new_size: second.size, new_root };
    match roots_through(states, proof) {
        Ok((old, new)) if new == *new_root && old == *old_root => Err(SplitViewRefusal::Consistent),
        // The proof is part of the second tree, so that it says what that tree begins with.
        Ok((_, new)) if new == *new_root => Ok(Contradiction::OtherBeginning),
        _ => Ok(Contradiction::NotShown),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::super::merkle::{leaf_hash, root_of};
    use super::super::{NoteSignature, tree};
    use super::*;

    struct Log {
        pair: Ed25519KeyPair,
        key: NoteVerifier,
    }

    impl Log {
        fn new(seed: u8) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            Self { pair, key: NoteVerifier::ed25519("log", public).unwrap() }
        }

        fn sign(&self, leaves: &[Sha256]) -> String {
            let size = u64::try_from(leaves.len()).unwrap();
            let root = root_of(leaves);
            let text = Checkpoint { origin: "log".to_owned(), size, root }.to_string();
            let signature = self.pair.sign(text.as_bytes()).as_ref().to_vec();
            let line = NoteSignature::new("log", self.key.key_id(), signature).unwrap();
            Note::new(&text, vec![line]).unwrap().to_string()
        }
    }

    fn leaves(count: u8, from: u8, salt: u8) -> Vec<Sha256> {
        (0..count).map(|n| leaf_hash(&[n, if n < from { 0 } else { salt }])).collect()
    }

    fn proof(old: usize, leaves: &[Sha256]) -> Vec<Sha256> {
        let node = |level: u32, index: u64| -> Result<Sha256, Infallible> {
            let start = usize::try_from(index << level).unwrap();
            Ok(root_of(&leaves[start..start + (1 << level)]))
        };
        let [old, new] = [old, leaves.len()].map(|size| u64::try_from(size).unwrap());
        tree::consistency_proof(old, new, node).unwrap()
    }

    #[test]
    fn every_fork_of_small_trees_is_seen_and_no_growth_is() {
        let log = Log::new(1);
        for old in 2..=20_u8 {
            for new in old..=20 {
                let first = log.sign(&leaves(old, 1, 1));
                let (honest, forked) = (leaves(new, 1, 1), leaves(new, old - 1, 2));
                let at = usize::from(old);
                let grown = SplitView::new(first.clone(), log.sign(&honest), &proof(at, &honest));
                assert_eq!(grown.verify(&log.key).map(|_| ()), Err(SplitViewRefusal::Consistent));
                let split = SplitView::new(first, log.sign(&forked), &proof(at, &forked));
                assert_eq!(SplitView::from_text(&split.to_text()), Ok(split.clone()));
                let (shown, [_, second]) = split.verify(&log.key).unwrap();
                let expected = if old == new {
                    Contradiction::TwoRoots
                } else if old.is_power_of_two() {
                    // RFC 6962 leaves the old root out of such a proof.
                    Contradiction::NotShown
                } else {
                    Contradiction::OtherBeginning
                };
                assert_eq!((shown, second.size), (expected, u64::from(new)), "{old} to {new}");
            }
        }
    }

    #[test]
    fn wrong_proof_accuses_nobody() {
        let log = Log::new(1);
        let all = leaves(7, 0, 1);
        let (first, second) = (log.sign(&all[..3]), log.sign(&all));
        let mut wrong = proof(3, &all);
        wrong[0] = leaf_hash(b"other");
        for proof in [&wrong[..], &[], &wrong[1..]] {
            let (shown, _) =
                SplitView::new(first.clone(), second.clone(), proof).verify(&log.key).unwrap();
            assert_eq!(shown, Contradiction::NotShown);
            assert!(!shown.proved());
        }
    }

    #[test]
    fn checkpoints_of_another_key_and_other_spellings_are_refused() {
        let (log, other) = (Log::new(1), Log::new(2));
        let (a, b) = (log.sign(&leaves(3, 0, 1)), log.sign(&leaves(3, 0, 2)));
        let split = SplitView::new(a.clone(), b.clone(), &[]);
        assert!(split.verify(&log.key).is_ok());
        assert!(split.verify(&other.key).is_err());
        let foreign = SplitView::new(a.clone(), other.sign(&leaves(3, 0, 2)), &[]);
        assert!(foreign.verify(&log.key).is_err());
        let swapped = SplitView::new(log.sign(&leaves(4, 0, 2)), a, &[]);
        assert!(matches!(swapped.verify(&log.key), Err(SplitViewRefusal::Malformed(_))));
        let text = split.to_text();
        for broken in [
            text.trim_end().to_owned(),
            text.replace(":[]", ": []"),
            text.replace("view/1", "view/2"),
            text.replace("\"proof\"", "\"prove\""),
            format!("{text}\n"),
        ] {
            assert!(SplitView::from_text(&broken).is_err(), "{broken}");
        }
    }
}
