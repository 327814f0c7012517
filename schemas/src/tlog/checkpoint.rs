//! Checkpoints: a log's promise about its tree (C2SP tlog-checkpoint).
//!
//! Strict: extension lines, which C2SP does not recommend, are refused, so that a checkpoint has
//! one text and that text says nothing beside origin, size and root.

use std::fmt;
use std::str::FromStr;

use super::note::{Note, NoteError};
use super::verifier::NoteVerifier;
use crate::digest::Sha256;
use crate::encoding::{base64, from_base64};

/// A tree head: which log, how many records, which root. Text form: the note text, three lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin, one line.
    pub origin: String,
    /// Records in the tree.
    pub size: u64,
    /// The tree's root, RFC 6962 §2.1.
    pub root: Sha256,
}

/// A checkpoint is not one, or not of the log it should be of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It breaks a rule of the format.
    #[error("checkpoint: {0}; ask the log for it again")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("checkpoint: its origin is {found}, expected {expected}; use the log that is meant")]
    OtherLog {
        /// The origin it names.
        found: String,
        /// The origin that was expected.
        expected: String,
    },
    /// Its note is not well-formed or not signed by the log key.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// Reads a signed checkpoint and checks origin and signature against the log's key.
    ///
    /// # Errors
    /// When it is malformed, of another log, or not signed by the key.
    pub fn open(note: &str, origin: &str, key: &NoteVerifier) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        key.verify(&note)?;
        let checkpoint: Self = note.text().parse()?;
        if checkpoint.origin == origin {
            return Ok(checkpoint);
        }
        Err(CheckpointError::OtherLog { found: checkpoint.origin, expected: origin.to_owned() })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, base64(self.root.as_bytes()))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines = text.strip_suffix('\n').ok_or(malformed("no newline at its end"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it is not three lines: origin, size and root"));
        };
        if origin.is_empty() {
            return Err(malformed("its origin is empty"));
        }
        let size = decimal(size).ok_or(malformed("its size is not a decimal number"))?;
        let root = from_base64(root).and_then(|bytes| bytes.try_into().ok());
        let root = Sha256(root.ok_or(malformed("its root is not 32 bytes in base64"))?);
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// Reads ASCII decimal without sign or leading zeroes.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of C2SP tlog-checkpoint; its key is not published.
    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_specifications_example_round_trips() {
        let checkpoint: Checkpoint = TEXT.parse().unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), TEXT);
    }

    #[test]
    fn refuses_every_other_writing_of_the_same_tree() {
        for broken in [
            TEXT.replace("20852163", "020852163"),
            TEXT.replace("20852163", "+20852163"),
            TEXT.replace("20852163", " 20852163"),
            TEXT.replace("20852163", ""),
            TEXT.replace("20852163", "99999999999999999999"),
            TEXT.replace("q2I=", "q2I"),
            TEXT.replace("q2I=", "q2J="),
            TEXT.replace("CsUY", ""),
            TEXT.replace("example.com/behind-the-sofa", ""),
            TEXT.trim_end().to_owned(),
            format!("{TEXT}extension\n"),
            format!("{TEXT}\n"),
        ] {
            assert!(broken.parse::<Checkpoint>().is_err(), "{broken:?}");
        }
    }

    #[test]
    fn opens_only_with_the_logs_own_key_and_origin() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        let key = NoteVerifier::ed25519("log", public).unwrap();
        let signature = pair.sign(TEXT.as_bytes()).as_ref().to_vec();
        let line = super::super::NoteSignature::new("log", key.key_id(), signature).unwrap();
        let note = Note::new(TEXT, vec![line]).unwrap().to_string();

        let origin = "example.com/behind-the-sofa";
        assert_eq!(Checkpoint::open(&note, origin, &key), Ok(TEXT.parse().unwrap()));
        let other = Checkpoint::open(&note, "example.com/sofa", &key);
        assert!(matches!(other, Err(CheckpointError::OtherLog { .. })), "{other:?}");
        let stranger = NoteVerifier::ed25519("log", [9; 32]).unwrap();
        let unsigned = Checkpoint::open(&note, origin, &stranger);
        assert!(matches!(unsigned, Err(CheckpointError::Note(NoteError::NotSigned(_)))));
        let changed = Checkpoint::open(&note.replace("20852163", "20852164"), origin, &key);
        assert!(matches!(changed, Err(CheckpointError::Note(NoteError::BadSignature(_)))));
    }
}
