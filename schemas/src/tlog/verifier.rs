//! Verifier keys: who signed a note (C2SP signed-note, Ed25519, signature type 0x01).

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};

use super::note::{Note, NoteError, check_name};
use crate::digest::Sha256;
use crate::encoding::{base64, from_base64};

/// Verifies Ed25519 signatures of one key. Text form: the verifier key `name+id+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key_id: u32,
    public_key: [u8; 32],
}

const TYPE_ED25519: u8 = 0x01;

impl NoteVerifier {
    /// The verifier of an Ed25519 public key (RFC 8032, 32 bytes).
    ///
    /// # Errors
    /// When the name is not a key name.
    pub fn ed25519(name: &str, public_key: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key_id = key_id(name, TYPE_ED25519, &public_key);
        Ok(Self { name: name.to_owned(), key_id, public_key })
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

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Checks that the key signed the note, and that no signature in its name is false.
    ///
    /// # Errors
    /// When there is no signature of the key, or one that does not verify.
    pub fn verify(&self, note: &Note) -> Result<(), NoteError> {
        let key = UnparsedPublicKey::new(&ED25519, self.public_key);
        let mut signed = false;
        for line in note.signatures_of(&self.name, self.key_id) {
            let checked = key.verify(note.text().as_bytes(), line.bytes());
            checked.map_err(|_| NoteError::BadSignature(self.name.clone()))?;
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::NotSigned(self.name.clone())) }
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = base64(&[&[TYPE_ED25519][..], &self.public_key].concat());
        write!(f, "{}+{:08x}+{key}", self.name, self.key_id)
    }
}

impl FromStr for NoteVerifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, public_key) = parse_verifier_key(text, TYPE_ED25519)?;
        let verifier = Self::ed25519(name, public_key)?;
        if format!("{:08x}", verifier.key_id) == id {
            Ok(verifier)
        } else {
            Err(NoteError::VerifierKey("its id is not that of its key"))
        }
    }
}

/// Splits a verifier key into name, id and Ed25519 key of the expected signature type.
pub(super) fn parse_verifier_key(
    text: &str,
    signature_type: u8,
) -> Result<(&str, &str, [u8; 32]), NoteError> {
    let malformed = NoteError::VerifierKey("it is not `name+id+base64`");
    let mut fields = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed);
    };
    let key = from_base64(encoded).ok_or(malformed)?;
    let key = key.strip_prefix(&[signature_type]).and_then(|key| key.try_into().ok());
    let key = key.ok_or(NoteError::VerifierKey("its key is of another type"))?;
    Ok((name, id, key))
}

/// `SHA-256(name || 0x0A || type || public key)`, its first four bytes, big-endian.
pub(super) fn key_id(name: &str, signature_type: u8, public_key: &[u8]) -> u32 {
    let digest = Sha256::of_parts(&[name.as_bytes(), &[0x0a, signature_type], public_key]);
    let [a, b, c, d, ..] = digest.0;
    u32::from_be_bytes([a, b, c, d])
}
