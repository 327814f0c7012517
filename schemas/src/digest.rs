//! SHA-256 digests and the keyed pseudonyms that stand for people in records.

use std::fmt;
use std::str::FromStr;

use ring::{digest, hmac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::{hex, hex_digits, read_hex};

/// A SHA-256 digest. Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_ring(&digest::digest(&digest::SHA256, bytes))
    }

    /// The digest of the concatenation of `parts`.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        Self::from_ring(&context.finish())
    }

    /// Takes a finished SHA-256 of ring.
    #[must_use]
    pub fn from_ring(finished: &digest::Digest) -> Self {
        // Safe because: the callers finish SHA-256, whose output is 32 bytes; anything else is zeros.
        Self(finished.as_ref().try_into().unwrap_or([0; 32]))
    }

    /// The text form, on the stack: it is written several times for each message.
    fn digits(&self) -> [u8; 64] {
        let mut text = [0; 64];
        for (digits, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *digits = hex_digits(byte);
        }
        text
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: 64 lower-case hexadecimal digits are expected")]
pub struct NotADigest;

impl FromStr for Sha256 {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let mut bytes = [0; 32];
        if read_hex(text, &mut bytes) { Ok(Self(bytes)) } else { Err(NotADigest) }
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Safe because: hexadecimal digits are ASCII.
        serializer.serialize_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Digits)
    }
}

/// Reads the text form where it stands.
struct Digits;

impl de::Visitor<'_> for Digits {
    type Value = Sha256;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&NotADigest, f)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Sha256, E> {
        text.parse().map_err(E::custom)
    }
}

/// A person in a record: HMAC-SHA-256 of the identifier under a key of the hub's that is
/// destroyed at the end of its retention, cut to 16 bytes. Text form: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pseudonym(String);

impl Pseudonym {
    /// The pseudonym of `identifier` under `key`.
    #[must_use]
    pub fn of(identifier: &str, key: &hmac::Key) -> Self {
        let tag = hmac::sign(key, identifier.as_bytes());
        Self(hex(tag.as_ref().get(..16).unwrap_or_default()))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_text_round_trips() {
        let digest = Sha256::of(b"abc");
        // FIPS 180-4, example of one block.
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!("00".parse::<Sha256>(), Err(NotADigest));
        assert_eq!(Sha256::of_parts(&[b"a", b"bc"]), digest);
    }

    #[test]
    fn pseudonym_depends_on_the_key() {
        let key = |seed| hmac::Key::new(hmac::HMAC_SHA256, &[seed; 32]);
        assert_eq!(Pseudonym::of("1", &key(1)), Pseudonym::of("1", &key(1)));
        assert_ne!(Pseudonym::of("1", &key(1)), Pseudonym::of("1", &key(2)));
    }
}
