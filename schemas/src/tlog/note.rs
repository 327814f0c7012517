//! Signed notes: a text and the signatures of those who vouch for it (C2SP signed-note). Who
//! vouches is checked in [`super::verifier`]; lines of unknown keys are kept and ignored.

use std::fmt;
use std::str::FromStr;

use crate::encoding::{base64, from_base64};

pub use super::verifier::NoteVerifier;

/// Largest note, bytes: a checkpoint with 16 post-quantum cosignatures of 5 kB fits.
pub const NOTE_BYTES: usize = 128 * 1024;
/// Most signatures of a note; C2SP asks verifiers to accept at least 16.
pub const NOTE_SIGNATURES: usize = 64;

const DASH: &str = "\u{2014} ";

/// A note is not well-formed or not signed by the key it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note breaks a rule of the format.
    #[error("signed note: {0}; ask its origin for it again, it was changed on its way")]
    Malformed(&'static str),
    /// A key name is empty or has a space or plus sign.
    #[error("signed note: a key name is not empty and has no space and no plus sign")]
    KeyName,
    /// The text is not a verifier key.
    #[error("verifier key: {0}; copy it again from the global configuration")]
    VerifierKey(&'static str),
    /// No signature of the key is there.
    #[error("signed note: no signature by {0}; use the key of the log that signed it")]
    NotSigned(String),
    /// The key's signature is not one of this text.
    #[error("signed note: the signature by {0} does not verify: the text is not what was signed")]
    BadSignature(String),
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// A signature by the key with this name and id.
    ///
    /// # Errors
    /// When the name is not a key name or the signature is empty.
    pub fn new(name: &str, key_id: u32, bytes: Vec<u8>) -> Result<Self, NoteError> {
        check_name(name)?;
        if bytes.is_empty() {
            return Err(NoteError::Malformed("a signature is empty"));
        }
        Ok(Self { name: name.to_owned(), key_id, bytes })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The signature without the key id.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    /// Reads a line without its newline.
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed("a signature line is not `— name base64`");
        let fields = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' '));
        let (name, encoded) = fields.ok_or_else(|| malformed.clone())?;
        let decoded = from_base64(encoded).ok_or_else(|| malformed.clone())?;
        let (id, bytes) = decoded.split_first_chunk().ok_or(malformed)?;
        Self::new(name, u32::from_be_bytes(*id), bytes.to_vec())
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = base64(&[&self.key_id.to_be_bytes()[..], &self.bytes].concat());
        write!(f, "{DASH}{} {encoded}", self.name)
    }
}

/// A note, read but not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// A note of a text that ends in a newline, with its signatures.
    ///
    /// # Errors
    /// When the text has control characters or no newline at its end, or a limit is passed.
    pub fn new(text: &str, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        Self::new_up_to(NOTE_BYTES, text, signatures)
    }

    /// As [`Note::new`] for texts that may be longer, up to `limit_bytes`: a global configuration.
    ///
    /// # Errors
    /// Those of [`Note::new`].
    pub fn new_up_to(
        limit_bytes: usize,
        text: &str,
        signatures: Vec<NoteSignature>,
    ) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end in a newline"));
        }
        if text.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed("the text has a control character"));
        }
        if signatures.len() > NOTE_SIGNATURES || text.len() > limit_bytes {
            return Err(NoteError::Malformed("it is longer than a note may be"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Reads a note. One text gives one note and back, byte for byte.
    ///
    /// # Errors
    /// When it breaks the format.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        Self::parse_up_to(NOTE_BYTES, note)
    }

    /// As [`Note::parse`] for notes that may be longer, up to `limit_bytes`: a global configuration.
    ///
    /// # Errors
    /// When it breaks the format.
    pub fn parse_up_to(limit_bytes: usize, note: &str) -> Result<Self, NoteError> {
        if note.len() > limit_bytes {
            return Err(NoteError::Malformed("it is longer than a note may be"));
        }
        let no_signatures = NoteError::Malformed("it has no signatures after a blank line");
        let blank = note.rfind("\n\n").ok_or(no_signatures.clone())?;
        let (text, rest) = note.split_at(blank + 1);
        let lines = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(no_signatures)?;
        let signatures = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        Self::new_up_to(limit_bytes, text, signatures)
    }

    /// The text that is signed, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the note's order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The note with one more signature, for example a witness's.
    ///
    /// # Errors
    /// When it has as many as it may have.
    pub fn with_signature(mut self, signature: NoteSignature) -> Result<Self, NoteError> {
        self.signatures.push(signature);
        if self.signatures.len() > NOTE_SIGNATURES {
            return Err(NoteError::Malformed("it has more signatures than a note may have"));
        }
        Ok(self)
    }

    /// The note with the first signature of this key and no other line: a checkpoint as its log signed it.
    #[must_use]
    pub fn signed_by(&self, key: &NoteVerifier) -> Self {
        let own = self.signatures_of(key.name(), key.key_id()).take(1);
        Self { text: self.text.clone(), signatures: own.cloned().collect() }
    }

    /// The signatures of the key with this name and id.
    pub(super) fn signatures_of<'a>(
        &'a self,
        name: &'a str,
        key_id: u32,
    ) -> impl Iterator<Item = &'a NoteSignature> {
        self.signatures.iter().filter(move |line| line.name == name && line.key_id == key_id)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

pub(super) fn check_name(name: &str) -> Result<(), NoteError> {
    let refused = |c: char| c.is_whitespace() || c < ' ' || c == '+';
    if name.is_empty() || name.contains(refused) { Err(NoteError::KeyName) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
