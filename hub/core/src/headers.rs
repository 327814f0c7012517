//! Which headers travel, which are the hub's own, and the request hash of X-Road.
//!
//! One rule makes tampering visible: a header that travels between hubs is signed, and a header that
//! is not signed does not travel. Dropped names: X-Road's protocol for REST §4.3.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use ring::digest;
use schemas::encoding::base64;

/// The client, `INSTANCE/CLASS/MEMBER/SUBSYSTEM`.
pub const CLIENT: &str = "x-road-client";
/// The message id that the caller chose.
pub const ID: &str = "x-road-id";
/// The exchange: a UUID that the consumer's hub makes.
pub const REQUEST_ID: &str = "x-road-request-id";
/// SHA-512 over the request, X-Road's protocol for REST §4.3.
pub const REQUEST_HASH: &str = "x-road-request-hash";
/// The service, set by the provider's hub on answers.
pub const SERVICE: &str = "x-road-service";
/// A security server that the caller insists on.
pub const SECURITY_SERVER: &str = "x-road-security-server";
/// The end user on whose behalf the caller asks.
pub const USER_ID: &str = "x-road-userid";
/// The case on which the caller works.
pub const ISSUE: &str = "x-road-issue";
/// The party that the caller stands for.
pub const REPRESENTED_PARTY: &str = "x-road-represented-party";
/// The problem code of a refusal.
pub const ERROR: &str = "x-road-error";
/// The purpose's code.
pub const PURPOSE: &str = "koprik-purpose";
/// On answers to the caller: the record of this exchange in the consumer's message log.
pub const RECEIPT: &str = "koprik-receipt";
/// On answers between hubs: method and path template.
pub const ENDPOINT: &str = "koprik-endpoint";
/// On answers between hubs: the grant that permitted the exchange.
pub const GRANT: &str = "koprik-grant";
/// On answers between hubs: the legal basis of the grant for the purpose.
pub const LEGAL_BASIS: &str = "koprik-legal-basis";
/// On answers between hubs: where in the request the subjects stand.
pub const SUBJECTS: &str = "koprik-subjects";
/// RFC 9530 digest of the body.
pub const CONTENT_DIGEST: &str = "content-digest";
/// RFC 9421 signature.
pub const SIGNATURE: &str = "signature";
/// RFC 9421 signature input.
pub const SIGNATURE_INPUT: &str = "signature-input";

/// Hop-by-hop names, X-Road's set for both directions. HTTP/2 takes `proxy-connection` away, so that it may not be
/// signed either.
const DROPPED: [&str; 14] = [
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "connection",
    "user-agent",
    "host",
    "content-length",
    "server",
    "expect",
];

/// Names that only a hub sets; a caller's or source's own are dropped.
const HUB_ONLY: [&str; 9] = [
    REQUEST_HASH,
    RECEIPT,
    ENDPOINT,
    GRANT,
    LEGAL_BASIS,
    SUBJECTS,
    CONTENT_DIGEST,
    SIGNATURE,
    SIGNATURE_INPUT,
];

/// Names of an answer that the provider's hub sets itself.
const ANSWER_ONLY: [&str; 6] = [ID, CLIENT, SERVICE, REQUEST_ID, PURPOSE, ERROR];

/// Names of a request that hubs read; one value counts.
const READ_BY_HUBS: [&str; 7] =
    [CLIENT, ID, SECURITY_SERVER, USER_ID, ISSUE, REPRESENTED_PARTY, PURPOSE];

/// Whether a header belongs to one connection only and never travels.
#[must_use]
pub fn is_dropped(name: &HeaderName) -> bool {
    DROPPED.contains(&name.as_str())
}

/// Whether a caller's header goes into the signed request.
#[must_use]
pub fn travels_in_request(name: &HeaderName) -> bool {
    !is_dropped(name) && !HUB_ONLY.contains(&name.as_str()) && name != REQUEST_ID
}

/// Whether a source's header goes into the signed answer.
#[must_use]
pub fn travels_in_answer(name: &HeaderName) -> bool {
    let name_text = name.as_str();
    !is_dropped(name) && !HUB_ONLY.contains(&name_text) && !ANSWER_ONLY.contains(&name_text)
}

/// Whether a signed request's header is handed to the source.
#[must_use]
pub fn goes_to_source(name: &HeaderName) -> bool {
    !is_dropped(name) && ![SIGNATURE, SIGNATURE_INPUT, CONTENT_DIGEST].contains(&name.as_str())
}

/// Whether a signed answer's header is handed to the caller. `X-Road-Error` is not: a hub that signs
/// an answer does not refuse, and the caller must not take it for a refusal (promise P8).
#[must_use]
pub fn goes_to_caller(name: &HeaderName) -> bool {
    !is_dropped(name) && ![SIGNATURE, SIGNATURE_INPUT, SUBJECTS, ERROR].contains(&name.as_str())
}

/// The only value of a header, as text; `None` when absent, repeated or not visible ASCII.
#[must_use]
pub fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Keeps the last value of each header that a hub reads: X-Road's own parsers use the last one
/// (protocol for REST §4.3), and a source that read the first would serve another client than the one checked.
pub fn keep_last(headers: &mut HeaderMap) {
    for name in READ_BY_HUBS {
        let mut values = headers.get_all(name).iter();
        let (first, last) = (values.next(), values.next_back().cloned());
        if let (Some(_), Some(last)) = (first, last) {
            headers.insert(name, last);
        }
    }
}

/// The value of `Content-Digest` for a SHA-256 digest, RFC 9530 §2.
#[must_use]
pub fn content_digest(sha256: &[u8; 32]) -> String {
    ["sha-256=:", &base64(sha256), ":"].concat()
}

/// Text as a header value: bytes that a signed header may not have, and `%`, as `%HH`.
#[must_use]
pub fn encode_text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'%') {
        return Cow::Borrowed(text);
    }
    let digit =
        |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'A' - 10 + nibble });
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f..=0xff => {
                encoded.push('%');
                encoded.extend([digit(byte >> 4), digit(byte & 15)]);
            }
            plain => encoded.push(char::from(plain)),
        }
    }
    Cow::Owned(encoded)
}

/// Reads what [`encode_text`] writes; what is not that stays as it is.
#[must_use]
pub fn decode_text(value: &str) -> String {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let decoded = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (decoded, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => return value.to_owned(),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

/// X-Road's request hash: SHA-512 over the serialised head, and with a body SHA-512 over that digest
/// and the body's. Source: X-Road's protocol for REST §4.3 and its message transport (serialised heads).
#[must_use]
pub fn request_hash(
    method: &str,
    target: &str,
    headers: &HeaderMap,
    body_sha512: Option<&[u8]>,
) -> String {
    let mut head = digest::Context::new(&digest::SHA512);
    for part in [method, "\r\n", target, "\r\n"] {
        head.update(part.as_bytes());
    }
    for (name, value) in headers.iter().filter(|(name, _)| goes_to_source(name)) {
        for part in [name.as_str().as_bytes(), b":", value.as_bytes(), b"\r\n"] {
            head.update(part);
        }
    }
    let head = head.finish();
    let Some(body) = body_sha512 else { return base64(head.as_ref()) };
    let mut whole = digest::Context::new(&digest::SHA512);
    whole.update(head.as_ref());
    whole.update(body);
    base64(whole.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HeaderName {
        HeaderName::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn hop_headers_and_forged_hub_headers_do_not_travel() {
        for dropped in ["Connection", "Host", "User-Agent", "Signature", "Koprik-Receipt"] {
            assert!(!travels_in_request(&name(dropped)), "{dropped}");
            assert!(!travels_in_answer(&name(dropped)), "{dropped}");
        }
        // What HTTP/2 takes away (RFC 9113 §8.2.2) cannot be signed.
        for lost in
            ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te"]
        {
            assert!(!travels_in_request(&name(lost)) && !travels_in_answer(&name(lost)), "{lost}");
        }
        assert!(travels_in_request(&name("Authorization")));
        assert!(travels_in_request(&name("X-Road-Id")));
        assert!(!travels_in_answer(&name("X-Road-Error")), "a source cannot fake a hub's error");
        assert!(!travels_in_request(&name("X-Road-Request-Id")));
    }

    #[test]
    fn request_hash_is_that_of_the_serialised_head_and_body() {
        let mut headers = HeaderMap::new();
        headers.insert("accept", "application/json".parse().unwrap());
        headers.insert("x-road-client", "EE/GOV/2/sub2".parse().unwrap());
        let head = b"GET\r\n/r1/EE/GOV/1/sub/svc?x=1\r\naccept:application/json\r\nx-road-client:EE/GOV/2/sub2\r\n";
        let h1 = digest::digest(&digest::SHA512, head);
        let target = "/r1/EE/GOV/1/sub/svc?x=1";
        assert_eq!(request_hash("GET", target, &headers, None), base64(h1.as_ref()));
        let body = digest::digest(&digest::SHA512, b"{}");
        let both = [h1.as_ref(), body.as_ref()].concat();
        let whole = digest::digest(&digest::SHA512, &both);
        let hash = request_hash("GET", target, &headers, Some(body.as_ref()));
        assert_eq!(hash, base64(whole.as_ref()));
    }

    #[test]
    fn any_text_survives_as_a_header_value() {
        for text in ["CM 35 §2", "Вазирлар Маҳкамаси", "100%", "a\nb", ""] {
            let value = encode_text(text);
            assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{value}");
            assert_eq!(decode_text(&value), text);
        }
        assert_eq!(decode_text("50%x"), "50%x");
    }

    #[test]
    fn a_repeated_header_has_no_single_value() {
        let mut headers = HeaderMap::new();
        headers.append("x-road-client", "a".parse().unwrap());
        assert_eq!(single(&headers, CLIENT), Some("a"));
        headers.append("x-road-client", "b".parse().unwrap());
        assert_eq!(single(&headers, CLIENT), None);
        headers.append("accept", "c".parse().unwrap());
        headers.append("accept", "d".parse().unwrap());
        keep_last(&mut headers);
        assert_eq!(single(&headers, CLIENT), Some("b"));
        assert_eq!(single(&headers, "accept"), None, "others keep all their values");
    }
}
