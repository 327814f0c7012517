//! Identifiers of X-Road's REST protocol: members, subsystems, services and security servers.
//!
//! Text form: the codes, each percent-encoded as an RFC 3986 path segment, joined by `/`. There is one
//! text for one identifier, so identifiers are compared and hashed by it. Comparison is case
//! sensitive over all parts. Source: X-Road's protocol for REST §4; the characters refused are those that X-Road's own
//! administration refuses on creation.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::CODE_MAX_BYTES;

/// Why a text is not an identifier. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIdentifier {
    /// Wrong number of `/`-separated parts.
    #[error("expected {expected}, found {found} parts")]
    Parts {
        /// The form expected, such as `INSTANCE/CLASS/MEMBER`.
        expected: &'static str,
        /// The number of parts found.
        found: usize,
    },
    /// A part is empty, too long, `.` or `..`.
    #[error("a part of the identifier is empty, `.`, `..` or longer than {CODE_MAX_BYTES} bytes")]
    Length,
    /// A part has a character that identifiers do not have.
    #[error("a part of the identifier has one of % : ; / \\ or a control character")]
    Character,
    /// A percent sequence is unfinished or is not UTF-8.
    #[error("a part of the identifier is not percent-encoded UTF-8")]
    Encoding,
}

/// Decodes one percent-encoded path segment into text; `+` stays `+`.
///
/// # Errors
/// [`NotAnIdentifier::Encoding`] when a `%` is not followed by two hexadecimal digits, when the
/// result is not UTF-8, or a character may not stand raw in a segment (RFC 3986 §3.3).
pub fn decode_segment(segment: &str) -> Result<String, NotAnIdentifier> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut nibble = || {
                    let digit = bytes.next().map(char::from).and_then(|c| c.to_digit(16));
                    digit.and_then(|d| u8::try_from(d).ok()).ok_or(NotAnIdentifier::Encoding)
                };
                let high = nibble()?;
                decoded.push(high << 4 | nibble()?);
            }
            raw if stands_raw(raw) => decoded.push(raw),
            _ => return Err(NotAnIdentifier::Encoding),
        }
    }
    String::from_utf8(decoded).map_err(|_| NotAnIdentifier::Encoding)
}

/// Encodes text as one RFC 3986 path segment: unreserved, sub-delims, `:` and `@` stand raw, the
/// rest as `%HH` in upper case.
#[must_use]
pub fn encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stands_raw(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// RFC 3986 §3.3 `pchar` without percent-encoding.
fn stands_raw(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn check_code(code: &str) -> Result<(), NotAnIdentifier> {
    if code.is_empty() || code.len() > CODE_MAX_BYTES || code == "." || code == ".." {
        return Err(NotAnIdentifier::Length);
    }
    let refused = |c: char| c.is_control() || "%:;/\\\u{200b}\u{feff}".contains(c);
    if code.contains(refused) { Err(NotAnIdentifier::Character) } else { Ok(()) }
}

/// Parses `parts` codes into the one text form.
fn canonical(
    text: &str,
    parts: std::ops::RangeInclusive<usize>,
    expected: &'static str,
) -> Result<Arc<str>, NotAnIdentifier> {
    let found = text.split('/').count();
    if !parts.contains(&found) {
        return Err(NotAnIdentifier::Parts { expected, found });
    }
    // The usual identifier has nothing encoded: it is its own text form.
    if text.bytes().all(|byte| byte == b'/' || stands_raw(byte)) {
        text.split('/').try_for_each(check_code)?;
        return Ok(text.into());
    }
    let mut encoded = String::with_capacity(text.len());
    for segment in text.split('/') {
        let code = decode_segment(segment)?;
        check_code(&code)?;
        if !encoded.is_empty() {
            encoded.push('/');
        }
        encoded.push_str(&encode_segment(&code));
    }
    Ok(encoded.into())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $parts:expr, $form:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Builds the identifier from its decoded codes.
            ///
            /// # Errors
            /// [`NotAnIdentifier`] when a code is not allowed or the number of codes is wrong.
            pub fn from_codes(codes: &[&str]) -> Result<Self, NotAnIdentifier> {
                let encoded: Vec<String> = codes.iter().map(|code| encode_segment(code)).collect();
                encoded.join("/").parse()
            }

            /// The decoded codes, instance first.
            #[must_use]
            pub fn codes(&self) -> Vec<String> {
                // Safe because: parsing has decoded every segment once.
                self.0.split('/').map(|s| decode_segment(s).unwrap_or_default()).collect()
            }
        }

        impl FromStr for $name {
            type Err = NotAnIdentifier;

            fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
                canonical(text, $parts, $form).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

identifier!(
    /// A member of the exchange, `INSTANCE/CLASS/MEMBER`.
    ///
    /// ```
    /// use schemas::identifier::MemberId;
    /// let tax: MemberId = "UZ/GOV/TAX".parse()?;
    /// assert_eq!(tax.codes(), ["UZ", "GOV", "TAX"]);
    /// # Ok::<(), schemas::identifier::NotAnIdentifier>(())
    /// ```
    MemberId, 3..=3, "INSTANCE/CLASS/MEMBER"
);
identifier!(
    /// A subsystem of a member, `INSTANCE/CLASS/MEMBER/SUBSYSTEM`.
    SubsystemId, 4..=4, "INSTANCE/CLASS/MEMBER/SUBSYSTEM"
);
identifier!(
    /// A client as `X-Road-Client` names it: a member or a subsystem.
    ClientId, 3..=4, "INSTANCE/CLASS/MEMBER[/SUBSYSTEM]"
);
identifier!(
    /// A service, `INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE`.
    ServiceId, 5..=5, "INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE"
);
identifier!(
    /// A security server, `INSTANCE/CLASS/OWNER/SERVERCODE`.
    ServerId, 4..=4, "INSTANCE/CLASS/OWNER/SERVERCODE"
);

fn cut(text: &str, parts: usize) -> Arc<str> {
    let end = text.match_indices('/').nth(parts.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text).into()
}

impl SubsystemId {
    /// The member that the subsystem belongs to.
    #[must_use]
    pub fn member(&self) -> MemberId {
        MemberId(cut(&self.0, 3))
    }
}

impl ClientId {
    /// The member that the client is or belongs to.
    #[must_use]
    pub fn member(&self) -> MemberId {
        MemberId(cut(&self.0, 3))
    }

    /// The subsystem, when the client is one.
    #[must_use]
    pub fn subsystem(&self) -> Option<SubsystemId> {
        (self.0.matches('/').count() == 3).then(|| SubsystemId(self.0.clone()))
    }
}

impl From<SubsystemId> for ClientId {
    fn from(subsystem: SubsystemId) -> Self {
        Self(subsystem.0)
    }
}

impl ServiceId {
    /// The subsystem that provides the service.
    #[must_use]
    pub fn subsystem(&self) -> SubsystemId {
        SubsystemId(cut(&self.0, 4))
    }

    /// The service of `subsystem` with this code.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] when the code is not allowed.
    pub fn of(subsystem: &SubsystemId, code: &str) -> Result<Self, NotAnIdentifier> {
        check_code(code)?;
        Ok(Self(format!("{subsystem}/{}", encode_segment(code)).into()))
    }

    /// The decoded service code.
    #[must_use]
    pub fn code(&self) -> String {
        self.codes().pop().unwrap_or_default()
    }
}

impl ServerId {
    /// The member that owns the security server.
    #[must_use]
    pub fn owner(&self) -> MemberId {
        MemberId(cut(&self.0, 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_cut_from_the_text() {
        let service: ServiceId = "UZ/GOV/TAX/tax/income".parse().unwrap();
        assert_eq!(service.subsystem().as_str(), "UZ/GOV/TAX/tax");
        assert_eq!(service.subsystem().member().as_str(), "UZ/GOV/TAX");
        assert_eq!(service.code(), "income");
        let client: ClientId = "UZ/GOV/TAX".parse().unwrap();
        assert_eq!(client.subsystem(), None);
        assert_eq!(client.member().as_str(), "UZ/GOV/TAX");
    }

    #[test]
    fn slash_in_a_code_and_other_refused_characters_are_refused() {
        for bad in ["UZ/GOV/A%2FB", "UZ/GOV/a:b", "UZ/GOV/a%5Cb", "UZ/GOV/%E2%80%8B", "UZ/GOV/%00"]
        {
            assert_eq!(bad.parse::<MemberId>(), Err(NotAnIdentifier::Character), "{bad}");
        }
        for bad in ["UZ/GOV/..", "UZ/GOV/%2e", "UZ//X", "UZ/GOV/"] {
            assert_eq!(bad.parse::<MemberId>(), Err(NotAnIdentifier::Length), "{bad}");
        }
        for bad in ["UZ/GOV/%", "UZ/GOV/%4", "UZ/GOV/a b", "UZ/GOV/%FF", "UZ/GOV/a\"b"] {
            assert_eq!(bad.parse::<MemberId>(), Err(NotAnIdentifier::Encoding), "{bad}");
        }
    }

    #[test]
    fn differently_encoded_texts_are_one_identifier() {
        let plain: MemberId = "UZ/GOV/TAX".parse().unwrap();
        assert_eq!("UZ/GOV/%54AX".parse::<MemberId>().unwrap(), plain);
        let spelled: MemberId = "UZ/GOV/%d0%96".parse().unwrap();
        assert_eq!(spelled.as_str(), "UZ/GOV/%D0%96");
        assert_eq!(spelled.codes(), ["UZ", "GOV", "Ж"]);
    }

    proptest! {
        #[test]
        fn text_form_round_trips(codes in prop::collection::vec("[a-zA-Z0-9'()+,=?Ж -]{1,12}", 4)) {
            let refs: Vec<&str> = codes.iter().map(String::as_str).collect();
            let id = SubsystemId::from_codes(&refs).unwrap();
            prop_assert_eq!(id.as_str().parse::<SubsystemId>().unwrap(), id.clone());
            prop_assert_eq!(id.codes(), codes);
        }
    }
}
