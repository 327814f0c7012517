//! Witness cosignatures on checkpoints: timestamped Ed25519, signature type 0x04 (C2SP
//! tlog-cosignature). The ML-DSA-44 type is left out: no mature library offers it.

use std::fmt;
use std::str::FromStr;

use ring::signature::{ED25519, UnparsedPublicKey};

use super::note::{Note, NoteError, NoteSignature, check_name};
use super::verifier::{key_id, parse_verifier_key};
use crate::clock::UnixMillis;
use crate::encoding::base64;

const TYPE_COSIGNATURE: u8 = 0x04;

/// The bytes a witness signs for a checkpoint's note text at a moment (whole seconds count).
#[must_use]
pub fn signed_message(text: &str, at: UnixMillis) -> Vec<u8> {
    format!("cosignature/v1\ntime {}\n{text}", at.seconds()).into_bytes()
}

/// Verifies the cosignatures of one witness. Text form: the verifier key `name+id+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessVerifier {
    name: String,
    key_id: u32,
    public_key: [u8; 32],
}

impl WitnessVerifier {
    /// The verifier of a witness's Ed25519 public key.
    ///
    /// # Errors
    /// When the name is not a key name.
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key_id = key_id(name, TYPE_COSIGNATURE, &public_key);
        Ok(Self { name: name.to_owned(), key_id, public_key })
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The witness's public key (RFC 8032).
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Whether a signature line is in this witness's name; nothing is verified.
    #[must_use]
    pub fn names(&self, line: &NoteSignature) -> bool {
        line.name() == self.name && line.key_id() == self.key_id
    }

    /// The signature line of a signature over [`signed_message`].
    ///
    /// # Errors
    /// Never for a verifier's own name.
    pub fn line(&self, at: UnixMillis, signature: &[u8; 64]) -> Result<NoteSignature, NoteError> {
        let bytes = [&at.seconds().to_be_bytes()[..], signature].concat();
        NoteSignature::new(&self.name, self.key_id, bytes)
    }

    /// Checks that the witness cosigned the note, and gives the latest moment it names.
    ///
    /// # Errors
    /// When there is no cosignature of the witness, or one that does not verify.
    pub fn verify(&self, note: &Note) -> Result<UnixMillis, NoteError> {
        let key = UnparsedPublicKey::new(&ED25519, self.public_key);
        let mut latest = None;
        for line in note.signatures_of(&self.name, self.key_id) {
            let bad = || NoteError::BadSignature(self.name.clone());
            let (time, signature) = line.bytes().split_first_chunk().ok_or_else(bad)?;
            let at = UnixMillis::from_seconds(u64::from_be_bytes(*time));
            // A time that would be written differently in the message cannot verify below.
            key.verify(&signed_message(note.text(), at), signature).map_err(|_| bad())?;
            latest = latest.max(Some(at));
        }
        latest.ok_or_else(|| NoteError::NotSigned(self.name.clone()))
    }
}

impl fmt::Display for WitnessVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = base64(&[&[TYPE_COSIGNATURE][..], &self.public_key].concat());
        write!(f, "{}+{:08x}+{key}", self.name, self.key_id)
    }
}

impl FromStr for WitnessVerifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, public_key) = parse_verifier_key(text, TYPE_COSIGNATURE)?;
        let verifier = Self::new(name, public_key)?;
        if format!("{:08x}", verifier.key_id) == id {
            Ok(verifier)
        } else {
            Err(NoteError::VerifierKey("its id is not that of its key"))
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const TEXT: &str = "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_message_is_that_of_the_specification() {
        let message = signed_message(TEXT, UnixMillis::from_seconds(1_679_315_147));
        assert_eq!(message, format!("cosignature/v1\ntime 1679315147\n{TEXT}").into_bytes());
    }

    #[test]
    fn a_cosignature_verifies_for_its_text_and_time_only() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        let witness = WitnessVerifier::new("witness/1", public).unwrap();
        assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
        let at = UnixMillis::from_seconds(1_679_315_147);
        let signature = pair.sign(&signed_message(TEXT, at));
        let signature = signature.as_ref().try_into().unwrap();

        let line = witness.line(at, &signature).unwrap();
        let note = Note::new(TEXT, vec![line.clone()]).unwrap();
        assert_eq!(witness.verify(&note), Ok(at));
        let later = witness.line(UnixMillis::from_seconds(1_679_315_148), &signature).unwrap();
        assert!(witness.verify(&Note::new(TEXT, vec![later]).unwrap()).is_err());
        let other_text = Note::new(&TEXT.replace("\n1\n", "\n2\n"), vec![line]).unwrap();
        assert!(witness.verify(&other_text).is_err());
        let unsigned = Note::new(TEXT, Vec::new()).unwrap();
        assert_eq!(witness.verify(&unsigned), Err(NoteError::NotSigned("witness/1".to_owned())));
    }
}
