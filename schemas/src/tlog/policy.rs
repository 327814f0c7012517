//! Which witnesses count, and how many of them must have cosigned a checkpoint.
//!
//! C2SP tlog-policy describes a file for the same thing. It is not read or written here: the global configuration
//! carries the policy, so that it is signed, versioned and the same for all; groups of witnesses are left out.

use super::cosignature::WitnessVerifier;
use super::note::{Note, NoteError, NoteSignature};
use super::verifier::NoteVerifier;
use crate::clock::UnixMillis;

/// The witnesses of one log and the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessPolicy {
    witnesses: Vec<WitnessVerifier>,
    quorum: usize,
}

/// Who has cosigned a checkpoint, of those who may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cosigned {
    /// Names of the witnesses with the moment that each states, in the policy's order.
    pub by: Vec<(String, UnixMillis)>,
    /// How many witnesses there are.
    pub of: usize,
    /// How many of them are enough; 0 where there are none.
    pub quorum: usize,
}

impl Cosigned {
    /// Whether enough witnesses have cosigned, of at least one.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.quorum > 0 && self.by.len() >= self.quorum
    }
}

/// The name of the witness that a log's own operator runs: the log's origin and `/witness`.
#[must_use]
pub fn own_witness_name(origin: &str) -> String {
    format!("{origin}/witness")
}

impl WitnessPolicy {
    /// The policy for the log with this origin: all witnesses but its operator's own, which would say nothing that
    /// the log's signature does not.
    #[must_use]
    pub fn for_log<'a>(
        witnesses: impl IntoIterator<Item = &'a WitnessVerifier>,
        quorum: usize,
        origin: &str,
    ) -> Self {
        let own = own_witness_name(origin);
        let others = witnesses.into_iter().filter(|witness| witness.name() != own);
        Self { witnesses: others.cloned().collect(), quorum }
    }

    /// The witnesses that count.
    #[must_use]
    pub fn witnesses(&self) -> &[WitnessVerifier] {
        &self.witnesses
    }

    /// How many must have cosigned.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// Who has cosigned the note; lines of others are ignored (C2SP signed-note).
    ///
    /// # Errors
    /// A line in a witness's name that does not verify.
    pub fn check(&self, note: &Note) -> Result<Cosigned, NoteError> {
        let mut by = Vec::new();
        for witness in &self.witnesses {
            match witness.verify(note) {
                Ok(at) => by.push((witness.name().to_owned(), at)),
                Err(NoteError::NotSigned(_)) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(Cosigned { by, of: self.witnesses.len(), quorum: self.quorum })
    }

    /// The note with the log's own signature first, then one line of each witness that counts, in the policy's
    /// order, and no line of anybody else: the one spelling that evidence has. Nothing is verified.
    ///
    /// # Errors
    /// Never for a note that could be read.
    pub fn keep(&self, note: &Note, log: &NoteVerifier) -> Result<Note, NoteError> {
        let of = |is: &dyn Fn(&NoteSignature) -> bool| {
            note.signatures().iter().find(|line| is(line)).cloned()
        };
        let own = of(&|line| line.name() == log.name() && line.key_id() == log.key_id());
        let others = self.witnesses.iter().filter_map(|witness| of(&|line| witness.names(line)));
        Note::new(note.text(), own.into_iter().chain(others).collect())
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::super::cosignature::signed_message;
    use super::*;

    const TEXT: &str = "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const AT: UnixMillis = UnixMillis(1_679_315_147_000);

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn witness(name: &str, seed: u8) -> WitnessVerifier {
        WitnessVerifier::new(name, pair(seed).public_key().as_ref().try_into().unwrap()).unwrap()
    }

    fn cosigned_by(names: &[(&str, u8)]) -> Note {
        let line = |(name, seed): &(&str, u8)| {
            let signature = pair(*seed).sign(&signed_message(TEXT, AT));
            witness(name, *seed).line(AT, signature.as_ref().try_into().unwrap()).unwrap()
        };
        Note::new(TEXT, names.iter().map(line).collect()).unwrap()
    }

    #[test]
    fn quorum_counts_each_other_witness_once() {
        let all = [witness("a", 1), witness("b", 2), witness("log/witness", 3)];
        let policy = WitnessPolicy::for_log(&all, 2, "log");
        assert_eq!(policy.witnesses().len(), 2, "the log's own does not count");
        for (names, count) in [
            (&[("a", 1)][..], 1),
            (&[("a", 1), ("a", 1)], 1),
            (&[("a", 1), ("log/witness", 3)], 1),
            (&[("a", 1), ("stranger", 4)], 1),
            (&[("b", 2), ("a", 1)], 2),
        ] {
            let cosigned = policy.check(&cosigned_by(names)).unwrap();
            assert_eq!((cosigned.by.len(), cosigned.reached()), (count, count == 2), "{names:?}");
        }
        let elsewhere = WitnessPolicy::for_log(&all, 2, "other");
        assert_eq!(elsewhere.check(&cosigned_by(&[("log/witness", 3)])).unwrap().by.len(), 1);
    }

    #[test]
    fn no_witnesses_are_no_quorum_and_a_false_line_is_refused() {
        let none = WitnessPolicy::for_log(&[], 0, "log");
        assert!(!none.check(&cosigned_by(&[("a", 1)])).unwrap().reached());
        let all = [witness("a", 1)];
        let policy = WitnessPolicy::for_log(&all, 1, "log");
        let other_text = Note::new(
            &TEXT.replace("\n1\n", "\n2\n"),
            cosigned_by(&[("a", 1)]).signatures().to_vec(),
        );
        assert!(policy.check(&other_text.unwrap()).is_err());
    }

    #[test]
    fn one_spelling_is_kept_of_any_order_and_any_strangers() {
        let all = [witness("a", 1), witness("b", 2)];
        let policy = WitnessPolicy::for_log(&all, 1, "log");
        let log = NoteVerifier::ed25519("log", [9; 32]).unwrap();
        let own = NoteSignature::new("log", log.key_id(), vec![1; 64]).unwrap();
        let [a, b, stranger] = [("a", 1), ("b", 2), ("c", 3)]
            .map(|who| cosigned_by(&[who]).signatures().first().unwrap().clone());
        let note = |lines: &[&NoteSignature]| {
            Note::new(TEXT, lines.iter().map(|line| (*line).clone()).collect()).unwrap()
        };
        let expected = note(&[&own, &a, &b]);
        for lines in [&[&b, &stranger, &a, &own][..], &[&own, &a, &b], &[&own, &a, &b, &a]] {
            assert_eq!(policy.keep(&note(lines), &log), Ok(expected.clone()));
        }
        assert_eq!(policy.keep(&note(&[&stranger, &own]), &log), Ok(note(&[&own])));
    }
}
