//! Text forms of bytes: base64 (standard, padded; for URLs, unpadded; both strict) and lower-case
//! hexadecimal.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Standard padded base64, RFC 4648 §4.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads standard padded base64 strictly: one text for one value, so that no byte of an
/// evidence file can change without notice. `None` for anything else.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Unpadded base64 for URLs, RFC 4648 §5, as JSON Web Signatures have it (RFC 7515 §2).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads unpadded base64 for URLs strictly: one text for one value. `None` for anything else.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = Vec::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|byte| digits.extend_from_slice(&hex_digits(*byte)));
    // Safe because: the digits are ASCII.
    String::from_utf8(digits).unwrap_or_default()
}

/// The two lower-case hexadecimal digits of a byte.
pub(crate) fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    [digit(byte >> 4), digit(byte & 15)]
}

/// Reads lower-case hexadecimal; `None` for upper case, odd length or other characters.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    read_hex(text, &mut bytes).then_some(bytes)
}

/// Reads lower-case hexadecimal of exactly as many bytes as there are; `false` for anything else, and
/// then the bytes are of no use. Without a branch for each digit: a log's check reads five digests in
/// each record.
pub(crate) fn read_hex(text: &str, bytes: &mut [u8]) -> bool {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => NO_DIGIT,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut seen = 0;
    for ([high, low], byte) in pairs.iter().zip(bytes.iter_mut()) {
        let (high, low) = (value(*high), value(*low));
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    seen < NO_DIGIT && rest.is_empty() && pairs.len() == bytes.len()
}

/// Above the value of every hexadecimal digit, with a bit that none of them has.
const NO_DIGIT: u8 = 16;

/// Serde as standard base64 text, for byte fields of JSON documents.
pub mod base64_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes bytes as base64.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::base64(bytes))
    }

    /// Reads base64 into bytes.
    ///
    /// # Errors
    /// When the text is not strict standard base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::from_base64(&text).ok_or_else(|| de::Error::custom("not standard padded base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_upper_case() {
        assert_eq!(from_hex(&hex(&[0, 0x7f, 0xff])), Some(vec![0, 0x7f, 0xff]));
        assert_eq!(from_hex("FF"), None);
        assert_eq!(from_hex("f"), None);
    }

    #[test]
    fn base64_has_one_text_for_one_value() {
        assert_eq!(from_base64("AA=="), Some(vec![0]));
        assert_eq!(from_base64("AB=="), None, "non-zero trailing bits");
        assert_eq!(from_base64("AA"), None, "missing padding");
        assert_eq!(from_base64url(&base64url(&[0xfb, 0xff])), Some(vec![0xfb, 0xff]));
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(from_base64url("-_9"), None, "non-zero trailing bits");
        assert_eq!(from_base64url("AA=="), None, "padding");
    }
}
