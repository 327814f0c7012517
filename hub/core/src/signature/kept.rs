//! A signed message as the message log keeps it: what its record does not say, and for an answer its request.
//!
//! A signature base says most of what its record says, an answer's repeats its request's, signature and all. So
//! the log keeps the rest, a third of a request and a sixth of an answer, and the base is made again from both, byte
//! for byte: that is tried before it is kept, and the record's hash shows it afterwards. What does not come out the
//! same, as a base of an unusual build, is kept as text (promise P4). Integers are LEB128.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | form: 0 text; 1 components; 2 components, then what binds the answer to its request (`BOUND`) |
//! | form 0 | length and bytes of the base |
//! | forms 1, 2 | `created`, `expires` less `created`, algorithm (1 byte), key id (32 bytes), number of components, components |
//! | all | length and bytes of the signature |
//!
//! What is written here is read years later: it never changes, nor do the algorithms' places, `BOUND` and
//! [`headers::encode_text`]. A component is a byte, name × 8 + value, with the name's place in `NAMES` or 31 (length and bytes follow), then the value:
//!
//! | value | what follows |
//! |---|---|
//! | 0 | nothing: it is the one expected, see [`Context`] |
//! | 1 | length and bytes of what stands behind the expected text |
//! | 2 | length and bytes of the text |
//! | 3 | 16 bytes: a UUID |
//! | 4 | length and bytes that the text shows in base64 |

use std::borrow::Cow;

use schemas::digest::Sha256;
use schemas::encoding::{base64, from_base64};
use schemas::record::Record;
use uuid::Uuid;

use super::{ALGORITHMS, BOUND, Base, BaseWriter, Parameters, REQ, ReadBase, signature_value};
use crate::headers;

/// Names by their number; new ones go to the end, and never beyond 31.
const NAMES: [&str; 28] = [
    "@method",
    "@path",
    "@query",
    "@status",
    headers::CONTENT_DIGEST,
    headers::CLIENT,
    headers::ID,
    headers::REQUEST_ID,
    headers::REQUEST_HASH,
    headers::SERVICE,
    headers::SECURITY_SERVER,
    headers::USER_ID,
    headers::ISSUE,
    headers::REPRESENTED_PARTY,
    headers::PURPOSE,
    headers::ENDPOINT,
    headers::GRANT,
    headers::LEGAL_BASIS,
    headers::SUBJECTS,
    "accept",
    "accept-encoding",
    "accept-language",
    "age",
    "authorization",
    "cache-control",
    "content-type",
    "date",
    "etag",
];
/// Stands for a name that is spelled out.
const OTHER_NAME: u8 = 31;

const TEXT_FORM: u8 = 0;
const COMPONENTS_FORM: u8 = 1;
const BOUND_FORM: u8 = 2;

const EXPECTED: u8 = 0;
const EXPECTED_AND: u8 = 1;
const TEXT: u8 = 2;
const UUID: u8 = 3;
const BASE64: u8 = 4;

/// A message as it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The signature base.
    pub base: &'a Base,
    /// The signature's bytes.
    pub signature: &'a [u8],
}

/// What is known of a message where it is kept and where it is read again.
#[derive(Debug)]
pub struct Context<'a> {
    record: &'a Record,
    request: Option<(ReadBase<'a>, &'a [u8])>,
}

impl<'a> From<&'a (Base, Vec<u8>)> for Signed<'a> {
    fn from((base, signature): &'a (Base, Vec<u8>)) -> Self {
        Self { base, signature }
    }
}

impl<'a> Context<'a> {
    /// Of the message of `record`, and for an answer its request.
    #[must_use]
    pub fn new(record: &'a Record, request: Option<Signed<'a>>) -> Self {
        let request = request.and_then(|request| {
            ReadBase::parse(request.base).map(|base| (base, request.signature))
        });
        Self { record, request }
    }

    /// The value that a component has most often. Any change of this changes what kept messages mean.
    fn expected(&self, name: &str) -> Option<Cow<'_, str>> {
        let record = self.record;
        let plain = |text: &'a Option<String>| text.as_deref().map(Cow::Borrowed);
        let encoded = |text: &'a Option<String>| text.as_deref().map(headers::encode_text);
        match name {
            "@method" => Some(Cow::Borrowed("GET")),
            "@path" => Some(Cow::Owned(["/r1/", record.service.as_deref()?].concat())),
            "@query" => Some(Cow::Borrowed("?")),
            "@status" => record.status.map(|status| Cow::Owned(status.to_string())),
            "accept" | "content-type" => Some(Cow::Borrowed("application/json")),
            headers::CONTENT_DIGEST => {
                let body = record.body_digest()?;
                Some(Cow::Owned(headers::content_digest(body.as_bytes())))
            }
            headers::CLIENT => plain(&record.client),
            headers::REQUEST_ID => plain(&record.exchange),
            headers::SERVICE => plain(&record.service),
            headers::PURPOSE => encoded(&record.purpose),
            headers::ENDPOINT => encoded(&record.endpoint),
            headers::GRANT => encoded(&record.grant),
            headers::LEGAL_BASIS => encoded(&record.legal_basis),
            headers::ID => self.of_request(name).or_else(|| {
                let (instance, _) = record.client.as_deref()?.split_once('/')?;
                Some(Cow::Owned([instance, "-", record.exchange.as_deref()?].concat()))
            }),
            other => self.of_request(other),
        }
    }

    fn of_request(&self, name: &str) -> Option<Cow<'_, str>> {
        self.request.as_ref()?.0.value(name).map(Cow::Borrowed)
    }

    /// Adds what an answer to the request is bound to, in the order that hubs write it.
    fn bound<'c>(&'c self, components: &mut Vec<(&'c str, bool, Cow<'c, str>)>) -> Option<()> {
        let (request, signature) = self.request.as_ref()?;
        for name in BOUND {
            let value = match name {
                headers::SIGNATURE => Cow::Owned(signature_value(signature)),
                name => Cow::Borrowed(request.value(name)?),
            };
            components.push((name, true, value));
        }
        Some(())
    }
}

/// A message as it is kept: [`read`] gives it back where the context is the same.
#[must_use]
pub fn write(message: Signed<'_>, context: &Context<'_>) -> Vec<u8> {
    let mut kept = Vec::with_capacity(512 + message.signature.len());
    if write_components(&mut kept, message.base, context).is_none() {
        kept.clear();
        kept.push(TEXT_FORM);
        write_bytes(&mut kept, message.base.as_bytes());
    }
    write_bytes(&mut kept, message.signature);
    kept
}

/// `None` for a base that hubs do not write, or that would not come out the same (promise P4).
fn write_components(kept: &mut Vec<u8>, base: &str, context: &Context<'_>) -> Option<()> {
    let ReadBase { components, parameters } = ReadBase::parse(base)?;
    let (own, form) = match components.iter().position(|(_, of_request, _)| *of_request) {
        Some(own) => (own, BOUND_FORM),
        None => (components.len(), COMPONENTS_FORM),
    };
    let algorithm = ALGORITHMS.iter().position(|known| *known == parameters.algorithm)?;
    kept.push(form);
    write_number(kept, parameters.created);
    write_number(kept, parameters.expires.checked_sub(parameters.created)?);
    kept.push(u8::try_from(algorithm).ok()?);
    kept.extend_from_slice(parameters.key_id.as_bytes());
    write_length(kept, own);
    for (name, _, value) in components.iter().take(own) {
        write_component(kept, name, value, context);
    }
    // A base has one reading only, so the same components and parameters are the same base.
    let again = Components::read(&mut kept.as_slice(), context)?;
    let again_is = again.parameters == parameters
        && again.components.iter().map(|(n, r, value)| (*n, *r, &**value)).eq(components);
    again_is.then_some(())
}

fn write_component(kept: &mut Vec<u8>, name: &str, value: &str, context: &Context<'_>) {
    let number = (0..OTHER_NAME).zip(NAMES).find(|(_, known)| *known == name);
    let number = number.map_or(OTHER_NAME, |(number, _)| number);
    let begin = |kept: &mut Vec<u8>, how: u8| {
        kept.push(number << 3 | how);
        if number == OTHER_NAME {
            write_bytes(kept, name.as_bytes());
        }
    };
    let expected = context.expected(name);
    if let Some(rest) = expected.as_deref().and_then(|expected| value.strip_prefix(expected)) {
        begin(kept, if rest.is_empty() { EXPECTED } else { EXPECTED_AND });
        if !rest.is_empty() {
            write_bytes(kept, rest.as_bytes());
        }
    } else if let Some(uuid) = uuid_of(value) {
        begin(kept, UUID);
        kept.extend_from_slice(uuid.as_bytes());
    } else if let Some(bytes) =
        Some(name).filter(|name| *name == headers::REQUEST_HASH).and_then(|_| from_base64(value))
    {
        begin(kept, BASE64);
        write_bytes(kept, &bytes);
    } else {
        begin(kept, TEXT);
        write_bytes(kept, value.as_bytes());
    }
}

/// The UUID that a text is the usual spelling of.
fn uuid_of(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(uuid)
}

/// Base and signature of a message, and what stands behind them; `None` when the bytes are not one that
/// [`write()`] made.
#[must_use]
pub fn read<'k>(kept: &'k [u8], context: &Context<'_>) -> Option<(Base, &'k [u8], &'k [u8])> {
    let mut rest = kept;
    let base = read_base(&mut rest, context)?;
    let signature = read_bytes(&mut rest)?;
    Some((base, signature, rest))
}

fn read_base(rest: &mut &[u8], context: &Context<'_>) -> Option<Base> {
    if let [TEXT_FORM, text @ ..] = *rest {
        *rest = text;
        return read_text(rest).map(|text| Base::new(text.to_owned()));
    }
    let Components { components, parameters } = Components::read(rest, context)?;
    let mut writer = BaseWriter::new(2048);
    for (name, of_request, value) in components {
        writer.component(name, if of_request { REQ } else { "" }, &[&value]);
    }
    Some(writer.finish(&parameters).base)
}

/// A base in its parts, from what is kept and what is expected: name, whether it is of the request, value.
struct Components<'c> {
    components: Vec<(&'c str, bool, Cow<'c, str>)>,
    parameters: Parameters,
}

impl<'c> Components<'c> {
    fn read<'k: 'c>(rest: &mut &'k [u8], context: &'c Context<'_>) -> Option<Self> {
        let form = read_byte(rest)?;
        let created = read_number(rest)?;
        let expires = created.checked_add(read_number(rest)?)?;
        let algorithm = ALGORITHMS.get(usize::from(read_byte(rest)?))?;
        let key_id = Sha256(*read_chunk(rest)?);
        let mut components = Vec::with_capacity(32);
        for _ in 0..read_number(rest)? {
            components.push(Self::read_component(rest, context)?);
        }
        match form {
            COMPONENTS_FORM => (),
            BOUND_FORM => context.bound(&mut components)?,
            _ => return None,
        }
        Some(Self { components, parameters: Parameters { created, expires, key_id, algorithm } })
    }

    fn read_component<'k: 'c>(
        rest: &mut &'k [u8],
        context: &'c Context<'_>,
    ) -> Option<(&'c str, bool, Cow<'c, str>)> {
        let byte = read_byte(rest)?;
        let name = match byte >> 3 {
            OTHER_NAME => read_text(rest)?,
            number => NAMES.get(usize::from(number))?,
        };
        let expected = || context.expected(name);
        let value = match byte & 7 {
            EXPECTED => expected()?,
            EXPECTED_AND => Cow::Owned([&*expected()?, read_text(rest)?].concat()),
            TEXT => Cow::Borrowed(read_text(rest)?),
            UUID => Cow::Owned(Uuid::from_bytes(*read_chunk(rest)?).to_string()),
            BASE64 => Cow::Owned(base64(read_bytes(rest)?)),
            _ => return None,
        };
        Some((name, false, value))
    }
}

fn write_bytes(kept: &mut Vec<u8>, bytes: &[u8]) {
    write_length(kept, bytes.len());
    kept.extend_from_slice(bytes);
}

fn write_length(kept: &mut Vec<u8>, length: usize) {
    write_number(kept, u64::try_from(length).unwrap_or(u64::MAX));
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit.
fn write_number(kept: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return kept.push(low & 0x7f);
        }
        kept.push(low | 0x80);
    }
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = read_byte(rest)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn read_byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some(*byte)
}

fn read_chunk<'k, const N: usize>(rest: &mut &'k [u8]) -> Option<&'k [u8; N]> {
    let (chunk, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(chunk)
}

fn read_bytes<'k>(rest: &mut &'k [u8]) -> Option<&'k [u8]> {
    let length = usize::try_from(read_number(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn read_text<'k>(rest: &mut &'k [u8]) -> Option<&'k str> {
    str::from_utf8(read_bytes(rest)?).ok()
}

#[cfg(test)]
mod tests;
