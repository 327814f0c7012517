//! The request line of X-Road's protocol for REST: `/r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE/path?query`.
//!
//! The raw path and query travel byte for byte; what is decided is decided on the decoded form of
//! the same bytes. Source: protocol for REST §4.1; the subsystem is mandatory in practice.

use schemas::identifier::ServiceId;
use schemas::limits::TARGET_MAX_BYTES;

use crate::path::{DecodedPath, PathRefusal};

/// A request line that names a service.
#[derive(Clone, Debug)]
pub struct Target {
    /// The service asked.
    pub service: ServiceId,
    /// The path after the service code, decoded.
    pub path: DecodedPath,
    /// Where the path after the service code begins in the raw path.
    pub service_path_at: usize,
}

/// Why a request line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetRefusal {
    /// Not `/r1/…`.
    #[error("only version r1 of the protocol for REST is spoken")]
    Version,
    /// Fewer parts than a service has.
    #[error("the path does not name INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE")]
    Incomplete,
    /// The parts are no identifier.
    #[error("the service's identifier is malformed")]
    Identifier,
    /// The service code looks like the number of a person.
    #[error(
        "a service code has at most {DIGITS_MAX_COUNT} digits in a row: a person's number stands behind it, in path or query"
    )]
    Digits,
    /// The path or query is too long.
    #[error("path and query are longer than {TARGET_MAX_BYTES} bytes")]
    TooLong,
    /// The query has a character that must be percent-encoded.
    #[error("the query is not percent-encoded as RFC 3986 has it")]
    Query,
    /// The path after the service code is malformed or ambiguous.
    #[error(transparent)]
    Path(#[from] PathRefusal),
}

impl Target {
    /// Reads a raw path and query.
    ///
    /// # Errors
    /// [`TargetRefusal`] with the reason; it never repeats the path.
    pub fn parse(raw_path: &str, raw_query: Option<&str>) -> Result<Self, TargetRefusal> {
        if raw_path.len() + raw_query.map_or(0, str::len) > TARGET_MAX_BYTES {
            return Err(TargetRefusal::TooLong);
        }
        let (service, rest) = service_and_rest(raw_path)?;
        if !is_service_code(&service.code()) {
            return Err(TargetRefusal::Digits);
        }
        if !raw_query.is_none_or(query_is_legal) {
            return Err(TargetRefusal::Query);
        }
        let service_path_at = raw_path.len() - rest.len();
        Ok(Self { service, path: DecodedPath::parse(rest)?, service_path_at })
    }
}

/// The service that a raw path names, whatever else a hub asks of a path that it lets pass: for what was signed
/// before.
///
/// # Errors
/// [`TargetRefusal`] when it names none.
pub fn service_of(raw_path: &str) -> Result<ServiceId, TargetRefusal> {
    service_and_rest(raw_path).map(|(service, _)| service)
}

fn service_and_rest(raw_path: &str) -> Result<(ServiceId, &str), TargetRefusal> {
    let after_version = raw_path.strip_prefix("/r1/").ok_or(TargetRefusal::Version)?;
    let end = after_version.match_indices('/').nth(4).map_or(after_version.len(), |(at, _)| at);
    let (identifier, rest) = after_version.split_at(end);
    if identifier.split('/').count() < 5 {
        return Err(TargetRefusal::Incomplete);
    }
    let service = identifier.parse().map_err(|_| TargetRefusal::Identifier)?;
    Ok((service, rest))
}

/// Digits in a row that a service code may have. Numbers of people, documents and telephones have more, and a
/// caller who forgets the service code has one in its place; records name services, and nothing is erased there.
pub const DIGITS_MAX_COUNT: usize = 5;

/// Whether a decoded service code cannot be taken for the number of a person.
#[must_use]
pub fn is_service_code(code: &str) -> bool {
    code.split(|character: char| !character.is_numeric())
        .all(|digits| digits.chars().count() <= DIGITS_MAX_COUNT)
}

/// RFC 3986 §3.4: `pchar`, `/` and `?`; every `%` begins two hexadecimal digits.
fn query_is_legal(query: &str) -> bool {
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        let legal = match byte {
            b'%' => {
                let mut hex = || bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
                hex() && hex()
            }
            // Square brackets are not in RFC 3986's query, but X-Road's edge passes them there.
            b'[' | b']' => true,
            raw => raw.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&raw),
        };
        if !legal {
            return false;
        }
    }
    true
}

/// The values of a query parameter, decoded (`+` is a space, as forms have it), in their order.
/// A pair that does not decode counts as a value of every name, so that nobody hides one.
#[must_use]
pub fn query_values(query: Option<&str>, name: &str) -> Vec<String> {
    let pairs = query.unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(key, value)| match (form_decode(key), form_decode(value)) {
            (Some(key), Some(value)) => (key == name).then_some(value),
            _ => Some(String::new()),
        })
        .collect()
}

fn form_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let hex = bytes.next().and_then(|b| char::from(b).to_digit(16))?;
                    u8::try_from(hex).ok()
                };
                digit()? << 4 | digit()?
            }
            raw => raw,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_and_path_are_read_from_the_raw_line() {
        let raw = "/r1/UZ/GOV/TAX/tax/tax/persons/1/income";
        let target = Target::parse(raw, Some("from=2025-12&to=2026-02")).unwrap();
        assert_eq!(target.service.as_str(), "UZ/GOV/TAX/tax/tax");
        assert_eq!(&raw[target.service_path_at..], "/persons/1/income");
        assert_eq!(target.path.segments(), ["persons", "1", "income"]);
    }

    #[test]
    fn each_malformed_line_has_its_reason() {
        let refusal = |path, query| Target::parse(path, query).unwrap_err();
        assert_eq!(refusal("/r2/UZ/GOV/TAX/tax/tax", None), TargetRefusal::Version);
        assert_eq!(refusal("/r1/UZ/GOV/TAX/tax", None), TargetRefusal::Incomplete);
        assert_eq!(refusal("/r1/UZ/GOV//tax/tax", None), TargetRefusal::Identifier);
        assert_eq!(refusal("/r1/UZ/GOV/../tax/tax", None), TargetRefusal::Identifier);
        for number in ["31505850010011", "AA1234567", "x/31505850010011", "%33%31%35%30%35%38"] {
            let path = format!("/r1/UZ/GOV/TAX/tax/{number}/income");
            let of_person = !number.starts_with('x');
            let refused = Target::parse(&path, None).err();
            assert_eq!(refused, of_person.then_some(TargetRefusal::Digits), "{number}");
        }
        assert_eq!(refusal("/r1/UZ/GOV/TAX/tax/tax/a", Some("a=%2")), TargetRefusal::Query);
        assert_eq!(refusal("/r1/UZ/GOV/TAX/tax/tax/a", Some("a=|")), TargetRefusal::Query);
        let dots = TargetRefusal::Path(PathRefusal::DotSegment);
        assert_eq!(refusal("/r1/UZ/GOV/TAX/tax/tax/a/../b", None), dots);
        let long = "a".repeat(TARGET_MAX_BYTES);
        assert_eq!(refusal(&format!("/r1/{long}"), None), TargetRefusal::TooLong);
    }

    #[test]
    fn query_values_are_decoded_and_none_is_hidden() {
        assert_eq!(query_values(Some("a=1&pin%66l=3%31+2&pinfl=4"), "pinfl"), ["31 2", "4"]);
        assert!(query_values(Some("a=1"), "b").is_empty());
        assert_eq!(query_values(Some("%ff=1"), "b").len(), 1);
    }
}
