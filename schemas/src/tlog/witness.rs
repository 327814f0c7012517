//! What a log and a witness say to each other: `POST <prefix>/add-checkpoint` (C2SP tlog-witness).
//!
//! Strict: one request has one text, and a checkpoint with extension lines is refused as everywhere here.

use std::fmt;
use std::str::FromStr;

use super::checkpoint::{Checkpoint, decimal};
use super::note::{Note, NoteSignature};
use crate::digest::Sha256;
use crate::encoding::{base64, from_base64};
use crate::limits::WITNESS_REQUEST_MAX_BYTES;

/// The submission prefix of security servers and the central server.
pub const OWN_PREFIX: &str = "/tlog-witness";
/// The path of the call below a witness's submission prefix.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";
/// Where the central server gives the request by which its own log is cosigned, `?old=SIZE`. It reaches no
/// hub, so hubs come for it.
pub const OWN_REQUEST: &str = "/log/add-checkpoint";
/// Where it takes the checkpoint with the cosignatures that a witness brings.
pub const OWN_COSIGNATURES: &str = "/log/cosignatures";
/// The media type of a tree size in an answer with status 409.
pub const SIZE_TYPE: &str = "text/x.tlog.size";
/// Most hashes of a consistency proof in a request.
const HASHES_MAX_COUNT: usize = 63;

/// A request: this checkpoint extends the tree of `old` records, as `proof` shows. Nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    old: u64,
    proof: Vec<Sha256>,
    note: Note,
    checkpoint: Checkpoint,
}

/// The text is not a request to a witness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log: the request to the witness is refused: {0}; send what C2SP tlog-witness describes")]
pub struct MalformedRequest(String);

impl AddCheckpoint {
    /// A request about a signed checkpoint. The proof is that of RFC 6962 §2.1.2.
    ///
    /// # Errors
    /// When the note is no checkpoint, or the proof is longer than a request may hold.
    pub fn new(old: u64, proof: Vec<Sha256>, note: Note) -> Result<Self, MalformedRequest> {
        let refused = |text: &str| MalformedRequest(text.to_owned());
        let checkpoint: Checkpoint =
            note.text().parse().map_err(|error| refused(&format!("{error}")))?;
        if proof.len() > HASHES_MAX_COUNT {
            return Err(refused("its proof is longer than any tree is high"));
        }
        if old > checkpoint.size {
            return Err(refused("the old size is larger than the checkpoint's"));
        }
        Ok(Self { old, proof, note, checkpoint })
    }

    /// The size of the tree that the checkpoint extends.
    #[must_use]
    pub fn old(&self) -> u64 {
        self.old
    }

    /// The consistency proof from that tree.
    #[must_use]
    pub fn proof(&self) -> &[Sha256] {
        &self.proof
    }

    /// The checkpoint with its signatures.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// What the checkpoint says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", base64(hash.as_bytes())))?;
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for AddCheckpoint {
    type Err = MalformedRequest;

    fn from_str(text: &str) -> Result<Self, MalformedRequest> {
        let refused = |text: &str| MalformedRequest(text.to_owned());
        if text.len() > WITNESS_REQUEST_MAX_BYTES {
            return Err(refused("it is longer than a request may be"));
        }
        let divided = text.split_once("\n\n");
        let (head, note) = divided.ok_or_else(|| refused("no checkpoint after an empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old = old.ok_or_else(|| refused("its first line is not `old` and a tree size"))?;
        let hash = |line| {
            let bytes = from_base64(line).and_then(|bytes| bytes.try_into().ok());
            bytes.map(Sha256).ok_or_else(|| refused("a line of its proof is not a hash in base64"))
        };
        let proof = lines.map(hash).collect::<Result<_, _>>()?;
        let note = Note::parse(note).map_err(|error| refused(&error.to_string()))?;
        Self::new(old, proof, note)
    }
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// It has cosigned.
    Cosigned(Vec<NoteSignature>),
    /// It cosigned a tree of this size last: the log asks again from there.
    Size(u64),
    /// What it cosigned before and this checkpoint do not fit; the status is 409 for two roots of one size, 422
    /// for a proof that fails. The text is the checkpoint that it cosigned, where the witness gives it.
    Contradicted {
        /// 409 or 422.
        status: u16,
        /// A signed note, or anything.
        text: String,
    },
    /// It refuses.
    Refused {
        /// 400 for a malformed request, 403 for a missing signature, 404 for an unknown log, and others.
        status: u16,
        /// In words.
        text: String,
    },
}

impl WitnessAnswer {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::Size(_) => 409,
            Self::Contradicted { status, .. } | Self::Refused { status, .. } => *status,
        }
    }

    /// The media type.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        if matches!(self, Self::Size(_)) { SIZE_TYPE } else { "text/plain; charset=utf-8" }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::Cosigned(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
            Self::Size(size) => format!("{size}\n"),
            Self::Contradicted { text, .. } | Self::Refused { text, .. } => text.clone(),
        }
    }

    /// Reads an answer; what cannot be read is a refusal.
    #[must_use]
    pub fn read(status: u16, content_type: &str, body: &str) -> Self {
        let text = body.to_owned();
        match status {
            200 => match signature_lines(body) {
                Some(lines) => Self::Cosigned(lines),
                None => Self::Refused { status, text },
            },
            409 if content_type == SIZE_TYPE => match body.strip_suffix('\n').and_then(decimal) {
                Some(size) => Self::Size(size),
                None => Self::Refused { status, text },
            },
            409 | 422 => Self::Contradicted { status, text },
            _ => Self::Refused { status, text },
        }
    }
}

/// Signature lines of a note, one at least, each with its newline.
fn signature_lines(text: &str) -> Option<Vec<NoteSignature>> {
    text.strip_suffix('\n')?.split('\n').map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of C2SP tlog-witness.
    const REQUEST: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
        \n\
        example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
    /// The answer of the same document.
    const ANSWER: &str = "\
        — witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n\
        — witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==\n\
        — witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==\n";

    #[test]
    fn the_specifications_request_round_trips() {
        let request: AddCheckpoint = REQUEST.parse().unwrap();
        assert_eq!((request.old(), request.proof().len()), (20_852_014, 4));
        assert_eq!(request.checkpoint().size, 20_852_163);
        assert_eq!(request.note().signatures().len(), 2);
        assert_eq!(request.to_string(), REQUEST);
    }

    #[test]
    fn first_request_has_no_proof_and_round_trips() {
        let (_, checkpoint) = REQUEST.split_once("\n\n").unwrap();
        let first = format!("old 0\n\n{checkpoint}");
        let request: AddCheckpoint = first.parse().unwrap();
        assert_eq!((request.old(), request.proof()), (0, &[][..]));
        assert_eq!(request.to_string(), first);
    }

    #[test]
    fn refuses_every_other_writing_of_a_request() {
        let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
        for (broken, why) in [
            (REQUEST.replace("old 20852014", "old 020852014"), "a leading zero"),
            (REQUEST.replace("old 20852014", "old  20852014"), "two spaces"),
            (REQUEST.replace("old 20852014", "Old 20852014"), "another word"),
            (REQUEST.replace("old 20852014", "old"), "no size"),
            (REQUEST.replace("old 20852014\n", ""), "no first line"),
            (REQUEST.replace("old 20852014", "old 20852164"), "older than the checkpoint"),
            (REQUEST.replace("pkaw=", "pkaw"), "base64 without padding"),
            (REQUEST.replace("pkaw=", "pkax="), "base64 with trailing bits"),
            (REQUEST.replace(hash, "PlRN\n"), "a short hash"),
            (REQUEST.replace(hash, &hash.repeat(61)), "64 hashes"),
            (REQUEST.replace("Kj/0=\n\n", "Kj/0=\n"), "no empty line"),
            (REQUEST.replace("q2I=\n\n", "q2I=\nextension\n\n"), "an extension line"),
            (REQUEST.trim_end().to_owned(), "no newline at its end"),
            (format!("{REQUEST}\n"), "a line more"),
            (String::new(), "nothing"),
        ] {
            assert!(broken.parse::<AddCheckpoint>().is_err(), "{why}");
        }
        assert!(REQUEST.replace(hash, &hash.repeat(60)).parse::<AddCheckpoint>().is_ok());
    }

    #[test]
    fn answers_are_read_as_they_are_written() {
        let cosigned = WitnessAnswer::read(200, "", ANSWER);
        assert_eq!(cosigned.body(), ANSWER);
        for answer in [
            cosigned,
            WitnessAnswer::Size(20_852_014),
            WitnessAnswer::Contradicted { status: 422, text: "a note".to_owned() },
            WitnessAnswer::Contradicted { status: 409, text: "a note".to_owned() },
            WitnessAnswer::Refused { status: 404, text: "unknown".to_owned() },
        ] {
            let read = WitnessAnswer::read(answer.status(), answer.content_type(), &answer.body());
            assert_eq!(read, answer);
        }
    }

    #[test]
    fn nonsense_is_a_refusal() {
        for (status, kind, body) in [
            (200, "", ""),
            (200, "", "\n"),
            (200, "", "<html>\n"),
            (200, "", ANSWER.trim_end()),
            (409, SIZE_TYPE, "12"),
            (409, SIZE_TYPE, "012\n"),
            (409, SIZE_TYPE, "-1\n"),
            (500, "", ANSWER),
        ] {
            let read = WitnessAnswer::read(status, kind, body);
            assert!(matches!(read, WitnessAnswer::Refused { .. }), "{status} {body}");
        }
    }
}
