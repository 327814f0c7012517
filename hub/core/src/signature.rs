//! HTTP Message Signatures (RFC 9421) as two hubs use them.
//!
//! A request is signed over `@method`, `@path`, `@query` and every header that travels, among them
//! `content-digest` (RFC 9530). An answer is signed over `@status`, its headers, and the request's
//! `@method`, `@path`, `@query`, `content-digest`, `x-road-request-id` and `signature` with the
//! parameter `req` (§2.4), which binds it to that one request. There is one signature, labelled
//! `koprik`. How the log keeps the base that was signed: [`kept`].

pub mod kept;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Deref;

use http::HeaderMap;
use schemas::digest::Sha256;
use schemas::encoding::{base64, from_base64};
use schemas::tlog::merkle::leaf_hash;

use crate::batch;
use crate::headers::{self, CONTENT_DIGEST, REQUEST_ID, SIGNATURE, SIGNATURE_INPUT};

/// The label of the signature in both headers.
const LABEL: &str = "koprik=";
/// The parameter of a component that is of the request, RFC 9421 §2.4.
const REQ: &str = ";req";
/// The algorithms of signatures: those of RFC 9421 §6.2.2 that member certificates may have, and ours.
const ALGORITHMS: [&str; 3] = ["ed25519", "ecdsa-p256-sha256", batch::ALGORITHM];
/// What an answer's signature covers of its request.
const BOUND: [&str; 6] = ["@method", "@path", "@query", CONTENT_DIGEST, REQUEST_ID, SIGNATURE];

/// The parameters of a signature, RFC 9421 §2.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Unix seconds at which the signature was made.
    pub created: u64,
    /// Unix seconds after which it is refused.
    pub expires: u64,
    /// SHA-256 of the signing certificate's DER.
    pub key_id: Sha256,
    /// `ed25519`, `ecdsa-p256-sha256` (RFC 9421 §6.2) or [`batch::ALGORITHM`].
    pub algorithm: &'static str,
}

impl Parameters {
    /// Reads `;created=…;expires=…;keyid="…";alg="…"` in the one spelling of [`Parameters::write`]: no leading
    /// zeros, no other order.
    fn read(text: &str) -> Option<Self> {
        let (created, rest) = read_number(text.strip_prefix(";created=")?)?;
        let (expires, rest) = read_number(rest.strip_prefix(";expires=")?)?;
        let (key_id, rest) = rest.strip_prefix(";keyid=\"")?.split_at_checked(64)?;
        let algorithm = rest.strip_prefix("\";alg=\"")?.strip_suffix('"')?;
        let key_id = key_id.parse().ok()?;
        let algorithm = ALGORITHMS.into_iter().find(|known| *known == algorithm)?;
        Some(Self { created, expires, key_id, algorithm })
    }

    fn write(&self, input: &mut String) {
        // Safe because: writing to a String cannot fail.
        let _ = write!(
            input,
            ";created={};expires={};keyid=\"{}\";alg=\"{}\"",
            self.created, self.expires, self.key_id, self.algorithm
        );
    }
}

/// A number without leading zeros, and what stands behind it.
fn read_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, behind) = text.split_at(digits);
    let canonical = digits == "0" || !digits.starts_with('0');
    Some((digits.parse().ok().filter(|_| canonical)?, behind))
}

/// The parts of a request that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a str,
    /// The raw path.
    pub path: &'a str,
    /// The raw query without `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// A signature base (RFC 9421 §2.5), hashed once: what signs it in a batch, what verifies it and what records it
/// take the same leaf hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    text: String,
    leaf: Sha256,
}

impl Base {
    /// The base of this text; cost: its hash.
    #[must_use]
    pub fn new(text: String) -> Self {
        let leaf = leaf_hash(text.as_bytes());
        Self { text, leaf }
    }

    /// Its Merkle leaf hash: SHA-256 of 0x00 and the text.
    #[must_use]
    pub fn leaf(&self) -> Sha256 {
        self.leaf
    }
}

impl Deref for Base {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// What is signed: the base, and the value for `Signature-Input`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureBase {
    /// The signature base.
    pub base: Base,
    /// The value of `Signature-Input`.
    pub input: String,
}

/// A signature as it was received, with the base rebuilt from the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSignature {
    /// The signature base.
    pub base: Base,
    /// The signature's bytes.
    pub signature: Vec<u8>,
    /// Its parameters.
    pub parameters: Parameters,
}

/// Why a signature cannot even be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefusal {
    /// `Signature` or `Signature-Input` is missing, repeated or not of the expected form.
    #[error("the message has no well-formed signature labelled koprik")]
    Malformed,
    /// A covered component is not in the message.
    #[error("the signature covers a component that the message does not have")]
    MissingComponent,
    /// The message has a header that is not signed, or one is covered twice.
    #[error("the message has a header that its signature does not cover")]
    Uncovered,
    /// A required component is not covered.
    #[error("the signature does not cover a required component")]
    RequiredComponent,
    /// A header's value is not visible ASCII.
    #[error("a header's value is not visible ASCII")]
    HeaderValue,
}

/// The base of a request that is about to be signed; every header of `parts` is covered.
///
/// # Errors
/// [`SignatureRefusal::HeaderValue`] when a header cannot be signed.
pub fn request_base(
    parts: &RequestParts<'_>,
    parameters: &Parameters,
) -> Result<SignatureBase, SignatureRefusal> {
    let mut writer = BaseWriter::with_capacity(parts.headers);
    writer.request_line(parts, "");
    writer.headers(parts.headers)?;
    Ok(writer.finish(parameters))
}

/// The base of an answer that is about to be signed, bound to its signed request.
///
/// # Errors
/// [`SignatureRefusal::HeaderValue`], or [`SignatureRefusal::MissingComponent`] when the request is
/// not signed.
pub fn answer_base(
    status: u16,
    answer_headers: &HeaderMap,
    request: &RequestParts<'_>,
    parameters: &Parameters,
) -> Result<SignatureBase, SignatureRefusal> {
    let mut writer = BaseWriter::with_capacity(answer_headers);
    writer.component("@status", "", &[&status.to_string()]);
    writer.headers(answer_headers)?;
    writer.request_line(request, REQ);
    for name in BOUND.into_iter().filter(|name| !name.starts_with('@')) {
        let value =
            headers::single(request.headers, name).ok_or(SignatureRefusal::MissingComponent)?;
        writer.component(name, REQ, &[value]);
    }
    Ok(writer.finish(parameters))
}

/// The value of the `Signature` header.
#[must_use]
pub fn signature_value(signature: &[u8]) -> String {
    [LABEL, ":", &base64(signature), ":"].concat()
}

/// Reads the signature of a request and rebuilds its base.
///
/// # Errors
/// [`SignatureRefusal`] when the signature is malformed or does not cover what it must.
pub fn read_request(parts: &RequestParts<'_>) -> Result<ReceivedSignature, SignatureRefusal> {
    let required = ["@method", "@path", "@query", CONTENT_DIGEST, headers::CLIENT, REQUEST_ID];
    let input = Input::read(parts.headers)?;
    input.requires(required.iter().map(|name| (*name, false)))?;
    input.covers_all(parts.headers)?;
    input.rebuild(parts.headers, |name, of_request| match (name, of_request) {
        (_, true) => Err(SignatureRefusal::MissingComponent),
        (derived, false) => derived_component(derived, parts),
    })
}

/// Reads the signature of an answer to `request` and rebuilds its base.
///
/// # Errors
/// [`SignatureRefusal`] when the signature is malformed or does not cover what it must.
pub fn read_answer(
    status: u16,
    answer_headers: &HeaderMap,
    request: &RequestParts<'_>,
) -> Result<ReceivedSignature, SignatureRefusal> {
    let own = [("@status", false), (CONTENT_DIGEST, false), (REQUEST_ID, false)];
    let input = Input::read(answer_headers)?;
    input.requires(own.into_iter().chain(BOUND.into_iter().map(|name| (name, true))))?;
    input.covers_all(answer_headers)?;
    let status = status.to_string();
    input.rebuild(answer_headers, |name, of_request| match (name, of_request) {
        ("@status", false) => Ok(Cow::Borrowed(status.as_str())),
        (header, true) if !header.starts_with('@') => headers::single(request.headers, header)
            .map(Cow::Borrowed)
            .ok_or(SignatureRefusal::MissingComponent),
        (derived, true) => derived_component(derived, request),
        _ => Err(SignatureRefusal::MissingComponent),
    })
}

fn derived_component<'d>(
    name: &str,
    parts: &RequestParts<'d>,
) -> Result<Cow<'d, str>, SignatureRefusal> {
    match name {
        "@method" => Ok(Cow::Borrowed(parts.method)),
        "@path" => Ok(Cow::Borrowed(parts.path)),
        // RFC 9421 §2.2.7: an absent query is a lone question mark.
        "@query" => Ok(Cow::Owned(["?", parts.query.unwrap_or_default()].concat())),
        _ => Err(SignatureRefusal::MissingComponent),
    }
}

struct BaseWriter {
    base: String,
    input: String,
}

impl BaseWriter {
    fn with_capacity(headers: &HeaderMap) -> Self {
        let bytes: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 8).sum();
        Self::new(bytes + 1024)
    }

    fn new(bytes: usize) -> Self {
        let mut input = String::with_capacity(512);
        input.push_str(LABEL);
        input.push('(');
        Self { base: String::with_capacity(bytes), input }
    }

    fn component(&mut self, name: &str, parameter: &str, value: &[&str]) {
        let first = if self.input.ends_with('(') { "" } else { " " };
        push(&mut self.input, &[first, "\"", name, "\"", parameter]);
        push(&mut self.base, &["\"", name, "\"", parameter, ": "]);
        push(&mut self.base, value);
        self.base.push('\n');
    }

    fn request_line(&mut self, parts: &RequestParts<'_>, parameter: &str) {
        self.component("@method", parameter, &[parts.method]);
        self.component("@path", parameter, &[parts.path]);
        self.component("@query", parameter, &["?", parts.query.unwrap_or_default()]);
    }

    fn headers(&mut self, headers: &HeaderMap) -> Result<(), SignatureRefusal> {
        for name in headers.keys() {
            let value = combined_value(headers, name.as_str())?;
            self.component(name.as_str(), "", &[&value]);
        }
        Ok(())
    }

    fn finish(mut self, parameters: &Parameters) -> SignatureBase {
        self.input.push(')');
        parameters.write(&mut self.input);
        let value = self.input.strip_prefix(LABEL).unwrap_or_default();
        self.base.push_str("\"@signature-params\": ");
        self.base.push_str(value);
        SignatureBase { base: Base::new(self.base), input: self.input }
    }
}

/// RFC 9421 §2.1: values of one name are trimmed and joined by a comma and a space.
fn combined_value<'h>(
    headers: &'h HeaderMap,
    name: &str,
) -> Result<Cow<'h, str>, SignatureRefusal> {
    let mut combined = Cow::Borrowed("");
    for (nth, value) in headers.get_all(name).iter().enumerate() {
        let text = value.to_str().map_err(|_| SignatureRefusal::HeaderValue)?.trim();
        if nth == 0 {
            combined = Cow::Borrowed(text);
        } else {
            push(combined.to_mut(), &[", ", text]);
        }
    }
    Ok(combined)
}

/// Appends the parts. These lines are written and read back for every message: `write!` costs three times as
/// much.
fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// `Signature-Input` and `Signature`, read strictly in the one form that hubs write.
struct Input<'h> {
    raw: &'h str,
    components: Vec<(&'h str, bool)>,
    parameters: Parameters,
    signature: Vec<u8>,
}

impl<'h> Input<'h> {
    fn read(headers: &'h HeaderMap) -> Result<Self, SignatureRefusal> {
        let malformed = SignatureRefusal::Malformed;
        let raw = headers::single(headers, SIGNATURE_INPUT)
            .and_then(|value| value.strip_prefix(LABEL))
            .ok_or(malformed)?;
        let signature = headers::single(headers, SIGNATURE)
            .and_then(|value| value.strip_prefix(LABEL)?.strip_prefix(':')?.strip_suffix(':'))
            .and_then(from_base64)
            .ok_or(malformed)?;
        let (components, parameters) = read_input(raw).ok_or(malformed)?;
        Ok(Self { raw, components, parameters, signature })
    }

    fn requires(
        &self,
        names: impl IntoIterator<Item = (&'static str, bool)>,
    ) -> Result<(), SignatureRefusal> {
        let covered = |required: (&str, bool)| self.components.contains(&required);
        let all = names.into_iter().all(covered);
        if all { Ok(()) } else { Err(SignatureRefusal::RequiredComponent) }
    }

    /// Every header of the message is covered once, except hop-by-hop ones and the signature itself.
    fn covers_all(&self, headers: &HeaderMap) -> Result<(), SignatureRefusal> {
        let mut own: Vec<&str> =
            self.components.iter().filter(|(_, of_request)| !of_request).map(|(n, _)| *n).collect();
        own.sort_unstable();
        let twice = own.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
        let uncovered = headers.keys().any(|name| {
            let signature = name == SIGNATURE || name == SIGNATURE_INPUT;
            !signature && !headers::is_dropped(name) && own.binary_search(&name.as_str()).is_err()
        });
        if twice || uncovered { Err(SignatureRefusal::Uncovered) } else { Ok(()) }
    }

    fn rebuild<'d>(
        self,
        headers: &'d HeaderMap,
        derived: impl Fn(&str, bool) -> Result<Cow<'d, str>, SignatureRefusal>,
    ) -> Result<ReceivedSignature, SignatureRefusal> {
        let mut base = String::with_capacity(1024 + self.raw.len());
        for (name, of_request) in &self.components {
            let value = if name.starts_with('@') || *of_request {
                derived(name, *of_request)?
            } else if headers.contains_key(*name) {
                combined_value(headers, name)?
            } else {
                return Err(SignatureRefusal::MissingComponent);
            };
            let parameter = if *of_request { REQ } else { "" };
            push(&mut base, &["\"", name, "\"", parameter, ": ", &value, "\n"]);
        }
        base.push_str("\"@signature-params\": ");
        base.push_str(self.raw);
        let base = Base::new(base);
        Ok(ReceivedSignature { base, signature: self.signature, parameters: self.parameters })
    }
}

/// A component's name, and whether it is of the request (`;req`).
type Component<'a> = (&'a str, bool);

/// Reads `("a" "b";req);created=…;expires=…;keyid="…";alg="…"`.
fn read_input(raw: &str) -> Option<(Vec<Component<'_>>, Parameters)> {
    let (list, parameters) = raw.strip_prefix('(')?.split_once(')')?;
    let components = list
        .split(' ')
        .map(|item| {
            let (item, of_request) = match item.strip_suffix(REQ) {
                Some(item) => (item, true),
                None => (item, false),
            };
            let name = item.strip_prefix('"')?.strip_suffix('"')?;
            (!name.is_empty() && name.bytes().all(is_in_name)).then_some((name, of_request))
        })
        .collect::<Option<Vec<_>>>()?;
    Some((components, Parameters::read(parameters)?))
}

/// Reads a line of a base: name, whether it is of the request, value.
fn read_line(line: &str) -> Option<(&str, bool, &str)> {
    let line = line.strip_prefix('"')?;
    let (name, behind) = line.split_at(line.bytes().take_while(|byte| is_in_name(*byte)).count());
    let behind = behind.strip_prefix('"').filter(|_| !name.is_empty())?;
    let (of_request, behind) = match behind.strip_prefix(REQ) {
        Some(behind) => (true, behind),
        None => (false, behind),
    };
    Some((name, of_request, behind.strip_prefix(": ")?))
}

fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_@.".contains(&byte)
}

/// A signature base read back into its lines; for the verifier of evidence files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBase<'a> {
    /// Name, whether it is of the request, value.
    pub components: Vec<(&'a str, bool, &'a str)>,
    /// The signature's parameters.
    pub parameters: Parameters,
}

impl<'a> ReadBase<'a> {
    /// Reads a base; `None` when it is not one that [`request_base`] or [`answer_base`] writes.
    #[must_use]
    pub fn parse(base: &'a str) -> Option<Self> {
        let mut components = Vec::with_capacity(32);
        let mut rest = base;
        while let Some((line, below)) = rest.split_once('\n') {
            components.push(read_line(line)?);
            rest = below;
        }
        let mut list = rest.strip_prefix("\"@signature-params\": (")?;
        for (nth, (name, of_request, _)) in components.iter().enumerate() {
            let item = if nth == 0 { list } else { list.strip_prefix(' ')? };
            let behind = item.strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"')?;
            list = if *of_request { behind.strip_prefix(REQ)? } else { behind };
        }
        let parameters = Parameters::read(list.strip_prefix(')')?)?;
        (!components.is_empty()).then_some(Self { components, parameters })
    }

    /// The value of a component of the message itself.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.find(name, false)
    }

    /// The value of a component of the request that an answer is bound to.
    #[must_use]
    pub fn request_value(&self, name: &str) -> Option<&'a str> {
        self.find(name, true)
    }

    fn find(&self, name: &str, of_request: bool) -> Option<&'a str> {
        self.components.iter().find(|(n, r, _)| *n == name && *r == of_request).map(|(_, _, v)| *v)
    }

    /// Whether the base is an answer's that is bound to the request with this base and signature.
    #[must_use]
    pub fn answers(&self, request: &ReadBase<'_>, request_signature: &[u8]) -> bool {
        let signature = signature_value(request_signature);
        BOUND.iter().all(|name| {
            let expected =
                if *name == SIGNATURE { Some(signature.as_str()) } else { request.value(name) };
            self.request_value(name).is_some() && self.request_value(name) == expected
        })
    }
}

#[cfg(test)]
mod tests;
