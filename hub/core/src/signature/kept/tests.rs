//! Kept messages: what is given back is what was signed, whatever it was, and little is kept.

use http::HeaderMap;
use proptest::prelude::*;
use schemas::clock::UnixMillis;
use schemas::record::{Kind, Side};

use super::super::{RequestParts, SignatureBase, answer_base, request_base};
use super::*;

const EXCHANGE: &str = "455c1685-58b0-4808-9549-fe0b1b53993a";
const PATH: &str = "/r1/UZ/GOV/TAX/tax/tax/persons/31505850010011/income";

fn parameters() -> Parameters {
    let (created, expires) = (1_795_369_738, 1_795_369_798);
    let key_id = Sha256::of(b"certificate");
    Parameters { created, expires, key_id, algorithm: crate::batch::ALGORITHM }
}

fn headers_of(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
}

fn record() -> Record {
    let mut record = Record::new(Kind::Request, Side::Provider, UnixMillis(1), "ok");
    record.set_body(&Sha256::of(b""), 0);
    record.client = Some("UZ/GOV/NASP/register".into());
    record.endpoint = Some("GET /persons/{pinfl}/income".into());
    record.exchange = Some(EXCHANGE.into());
    record.grant = Some("tax-register-1".into());
    record.legal_basis = Some("Вазирлар Маҳкамаси 35".into());
    record.purpose = Some("social-assessment".into());
    record.service = Some("UZ/GOV/TAX/tax/tax".into());
    record
}

fn request_headers() -> HeaderMap {
    let digest = headers::content_digest(Sha256::of(b"").as_bytes());
    headers_of(&[
        (headers::CLIENT, "UZ/GOV/NASP/register"),
        (headers::PURPOSE, "social-assessment"),
        (headers::ID, "d6762966-5c05-4e55-8134-fd26c2437ed6"),
        ("accept", "application/json"),
        (headers::REQUEST_ID, EXCHANGE),
        (headers::CONTENT_DIGEST, &digest),
    ])
}

fn request() -> SignatureBase {
    let headers = request_headers();
    let query = Some("from=2025-12&to=2026-02");
    request_base(
        &RequestParts { method: "GET", path: PATH, query, headers: &headers },
        &parameters(),
    )
    .unwrap()
}

fn answered() -> Record {
    let mut record = record();
    record.kind = Kind::Answer;
    record.status = Some(200);
    record.set_body(&Sha256::of(b"{}"), 2);
    record
}

fn answer(signature: &[u8]) -> SignatureBase {
    let digest = headers::content_digest(Sha256::of(b"{}").as_bytes());
    let answer = headers_of(&[
        ("content-type", "application/json"),
        ("date", "Sun, 22 Nov 2026 17:48:58 GMT"),
        (headers::ID, "d6762966-5c05-4e55-8134-fd26c2437ed6"),
        (headers::CLIENT, "UZ/GOV/NASP/register"),
        (headers::SERVICE, "UZ/GOV/TAX/tax/tax"),
        (headers::REQUEST_ID, EXCHANGE),
        (headers::REQUEST_HASH, &base64(&[0xfb; 64])),
        (headers::ENDPOINT, "GET /persons/{pinfl}/income"),
        (headers::GRANT, "tax-register-1"),
        (headers::PURPOSE, "social-assessment"),
        (headers::LEGAL_BASIS, &headers::encode_text("Вазирлар Маҳкамаси 35")),
        (headers::SUBJECTS, "path.pinfl"),
        (headers::CONTENT_DIGEST, &digest),
    ]);
    let mut headers = request_headers();
    headers.insert(headers::SIGNATURE, signature_value(signature).parse().unwrap());
    let query = Some("from=2025-12&to=2026-02");
    let parts = RequestParts { method: "GET", path: PATH, query, headers: &headers };
    answer_base(200, &answer, &parts, &parameters()).unwrap()
}

/// Kept, and read back as it was.
fn kept(message: Signed<'_>, context: &Context<'_>) -> Vec<u8> {
    let kept = write(message, context);
    let back = read(&kept, context);
    assert_eq!(back, Some((message.base.to_owned(), message.signature, &[][..])));
    kept
}

#[test]
fn usual_messages_are_kept_in_a_third() {
    let (record, answered, signature) = (record(), answered(), [9; 68]);
    let (request, answer) = (request(), answer(&signature));
    let request = Signed { base: &request.base, signature: &signature };
    let answer = Signed { base: &answer.base, signature: &[8; 68] };
    let first = kept(request, &Context::new(&record, None));
    let second = kept(answer, &Context::new(&answered, Some(request)));
    assert_eq!(first.first(), Some(&COMPONENTS_FORM));
    assert_eq!(second.first(), Some(&BOUND_FORM));
    assert!(first.len() * 3 < request.base.len() + 68, "{}", first.len());
    assert!(second.len() * 6 < answer.base.len() + 68, "{}", second.len());
}

/// What a release has kept, later ones must read: a change of this is a change of the form.
#[test]
fn kept_bytes_are_those_of_the_table() {
    let record = record();
    let base = request();
    let message = Signed { base: &base.base, signature: &[9, 9] };
    let kept = kept(message, &Context::new(&record, None));
    let id = Sha256::of(b"certificate");
    let mut expected = vec![1, 0x8a, 0xd6, 0x8c, 0xd8, 0x06, 60, 2];
    expected.extend_from_slice(id.as_bytes());
    expected.extend([9, 0, 1 << 3 | 1, 30]);
    expected.extend(b"/persons/31505850010011/income");
    expected.extend([2 << 3 | 1, 23]);
    expected.extend(b"from=2025-12&to=2026-02");
    expected.extend([5 << 3, 14 << 3, 6 << 3 | 3]);
    expected.extend(b"\xd6\x76\x29\x66\x5c\x05\x4e\x55\x81\x34\xfd\x26\xc2\x43\x7e\xd6");
    expected.extend([19 << 3, 7 << 3, 4 << 3, 2, 9, 9]);
    assert_eq!(kept, expected);
}

/// A base of these components, kept beside a record: what stands behind the parameters.
fn kept_components(
    components: &[(&str, &str)],
    algorithm: &'static str,
    record: &Record,
) -> Vec<u8> {
    let mut writer = BaseWriter::new(0);
    for (name, value) in components {
        writer.component(name, "", &[value]);
    }
    let base = writer.finish(&Parameters { algorithm, ..parameters() }).base;
    let kept = kept(Signed { base: &base, signature: &[] }, &Context::new(record, None));
    let (head, [count, components @ .., 0]) = kept.split_at(40) else { panic!("{kept:?}") };
    assert_eq!(head[..7], [1, 0x8a, 0xd6, 0x8c, 0xd8, 0x06, 60]);
    [&head[7..8], &[*count], components].concat()
}

/// As spelled in the headers' documents, in the order of their numbers, which never changes.
const SPELLED: [&str; 28] = [
    "@method",
    "@path",
    "@query",
    "@status",
    "content-digest",
    "x-road-client",
    "x-road-id",
    "x-road-request-id",
    "x-road-request-hash",
    "x-road-service",
    "x-road-security-server",
    "x-road-userid",
    "x-road-issue",
    "x-road-represented-party",
    "koprik-purpose",
    "koprik-endpoint",
    "koprik-grant",
    "koprik-legal-basis",
    "koprik-subjects",
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

#[test]
fn numbers_of_names_values_and_algorithms_stay() {
    let record = record();
    let of = |name, value| kept_components(&[(name, value)], "ed25519", &record);
    for (number, name) in (0..).zip(SPELLED) {
        assert_eq!(of(name, "x"), [0, 1, number << 3 | 2, 1, b'x'], "{name}");
    }
    assert_eq!(of("own", "x"), [0, 1, 31 << 3 | 2, 3, b'o', b'w', b'n', 1, b'x']);
    let uuid = "00010203-0405-0607-0809-0a0b0c0d0e0f";
    let expected: Vec<u8> = [0, 1, 31 << 3 | 3, 1, b'i'].into_iter().chain(0..16).collect();
    assert_eq!(of("i", uuid), expected);
    assert_eq!(of("x-road-request-hash", "AAEC"), [0, 1, 8 << 3 | 4, 3, 0, 1, 2]);
    let long = "x".repeat(300);
    assert_eq!(of("date", &long)[..5], [0, 1, 26 << 3 | 2, 0xac, 2], "LEB128");
    for (number, algorithm) in (0..).zip(["ed25519", "ecdsa-p256-sha256", "ed25519-merkle-batch"]) {
        assert_eq!(kept_components(&[("age", "x")], algorithm, &record)[0], number, "{algorithm}");
    }
}

#[test]
fn expected_values_stay() {
    let record = Record { legal_basis: Some("ЗРУ 1%".into()), ..answered() };
    let usual = [
        ("@method", "GET"),
        ("@path", "/r1/UZ/GOV/TAX/tax/tax"),
        ("@query", "?"),
        ("@status", "200"),
        ("content-digest", "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"),
        ("x-road-client", "UZ/GOV/NASP/register"),
        ("x-road-id", "UZ-455c1685-58b0-4808-9549-fe0b1b53993a"),
        ("x-road-request-id", "455c1685-58b0-4808-9549-fe0b1b53993a"),
        ("x-road-service", "UZ/GOV/TAX/tax/tax"),
        ("koprik-purpose", "social-assessment"),
        ("koprik-endpoint", "GET /persons/{pinfl}/income"),
        ("koprik-grant", "tax-register-1"),
        ("koprik-legal-basis", "%D0%97%D0%A0%D0%A3 1%25"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
    ];
    for (name, value) in usual {
        let number = SPELLED.iter().position(|spelled| *spelled == name).unwrap();
        let kept = kept_components(&[(name, value)], "ed25519", &record);
        assert_eq!(kept, [0, 1, u8::try_from(number << 3).unwrap()], "{name}");
    }
}

/// An answer's base in the form that is bound to its request.
#[test]
fn kept_bytes_of_an_answer_are_those_of_the_table() {
    let (record, signature) = (answered(), [9; 64]);
    let (asked, mut writer) = (request(), BaseWriter::new(0));
    writer.component("@status", "", &["200"]);
    writer.component("age", "", &["7"]);
    let request = ReadBase::parse(&asked.base).unwrap();
    for name in ["@method", "@path", "@query", "content-digest", "x-road-request-id"] {
        writer.component(name, ";req", &[request.value(name).unwrap()]);
    }
    writer.component("signature", ";req", &[&signature_value(&signature)]);
    let base = writer.finish(&parameters()).base;
    let request = Signed { base: &asked.base, signature: &signature };
    let message = Signed { base: &base, signature: &[8, 8] };
    let kept = kept(message, &Context::new(&record, Some(request)));
    let mut expected = vec![2, 0x8a, 0xd6, 0x8c, 0xd8, 0x06, 60, 2];
    expected.extend_from_slice(Sha256::of(b"certificate").as_bytes());
    expected.extend([2, 3 << 3, 22 << 3 | 2, 1, b'7', 2, 8, 8]);
    assert_eq!(kept, expected);
}

#[test]
fn unusual_bases_are_kept_as_text() {
    let record = record();
    let usual = request();
    // Bound components that are not the request's, bound ones before others, and no base at all.
    let bound = usual.base.replace("\"@method\": GET", "\"@method\";req: GET");
    let bound = bound.replace("(\"@method\"", "(\"@method\";req");
    for text in [&*bound, "", "\"@method\": GET", "\u{7f}\n§"] {
        let base = &Base::new(text.to_owned());
        let kept = kept(Signed { base, signature: &[] }, &Context::new(&record, None));
        assert_eq!(kept.first(), Some(&0), "{text}");
    }
    let answered = answered();
    let answer = answer(&[9; 64]);
    let message = Signed { base: &answer.base, signature: &[8; 64] };
    let other = Signed { base: &usual.base, signature: &[1; 64] };
    for request in [None, Some(other)] {
        let kept = kept(message, &Context::new(&answered, request));
        assert_eq!(kept.first(), Some(&TEXT_FORM), "bound to another request");
    }
}

#[test]
fn another_record_or_request_gives_another_base_or_none() {
    let (record, answered, signature) = (record(), answered(), [9; 64]);
    let (request, answer) = (request(), answer(&signature));
    let request = Signed { base: &request.base, signature: &signature };
    let message = Signed { base: &answer.base, signature: &[8; 64] };
    let kept = kept(message, &Context::new(&answered, Some(request)));
    let read = |context: &Context<'_>| read(&kept, context).map(|(base, ..)| base);
    assert_eq!(read(&Context::new(&answered, None)), None);
    let other = Signed { signature: &[7; 64], ..request };
    for context in [Context::new(&record, Some(request)), Context::new(&answered, Some(other))] {
        assert_ne!(read(&context).as_ref(), Some(message.base));
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(&NAMES[..]).prop_map(ToOwned::to_owned),
        "[a-z0-9_@.-]{1,40}"
    ]
}

fn value() -> impl Strategy<Value = String> {
    let usual = ["GET", "?", "?a=1", PATH, "200", EXCHANGE, "application/json", "tax-register-1"];
    let upper = EXCHANGE.to_uppercase();
    let unlike = ["application/json; charset=utf-8", "AAAA", "AAA=", "UZ-", upper.as_str()];
    let known = usual.into_iter().chain(unlike).map(ToOwned::to_owned).collect::<Vec<_>>();
    prop_oneof![proptest::sample::select(known), "[ -~]{0,200}"]
}

proptest! {
    #[test]
    fn any_base_that_hubs_write_is_given_back(
        components in proptest::collection::vec((name(), value(), any::<bool>()), 1..40),
        created: u64,
        lifetime: u32,
        algorithm in proptest::sample::select(&ALGORITHMS[..]),
        signature: Vec<u8>,
        record_known: bool,
    ) {
        let mut writer = BaseWriter::new(0);
        for (name, value, of_request) in &components {
            writer.component(name, if *of_request { ";req" } else { "" }, &[value]);
        }
        let expires = created.saturating_add(u64::from(lifetime));
        let key_id = Sha256::of(&signature);
        let base = writer.finish(&Parameters { created, expires, key_id, algorithm }).base;
        let nothing = Record::new(Kind::Request, Side::Consumer, UnixMillis(1), "ok");
        let record = if record_known { answered() } else { nothing };
        kept(Signed { base: &base, signature: &signature }, &Context::new(&record, None));
    }

    #[test]
    fn any_answer_is_given_back_whatever_it_is_bound_to(
        components in proptest::collection::vec((name(), value()), 0..40),
        unbound in 0..=BOUND.len(),
        signature: Vec<u8>,
    ) {
        let (asked, record) = (request(), answered());
        let request = ReadBase::parse(&asked.base).unwrap();
        let shown = signature_value(&signature);
        let mut writer = BaseWriter::new(0);
        for (name, value) in &components {
            writer.component(name, "", &[value]);
        }
        for (nth, name) in BOUND.into_iter().enumerate() {
            let value = if nth == unbound { "x" } else { request.value(name).unwrap_or(&shown) };
            writer.component(name, ";req", &[value]);
        }
        let base = writer.finish(&parameters()).base;
        let request = Signed { base: &asked.base, signature: &signature };
        let message = Signed { base: &base, signature: &[8; 64] };
        let kept = kept(message, &Context::new(&record, Some(request)));
        prop_assert_eq!(kept[0] == BOUND_FORM, unbound == BOUND.len());
    }

    #[test]
    fn any_text_is_given_back(text in "[ -~\n\"§]{0,300}", signature: Vec<u8>) {
        let base = Base::new(text);
        kept(Signed { base: &base, signature: &signature }, &Context::new(&record(), None));
    }

    #[test]
    fn damaged_bytes_end_in_nothing_or_in_another_text(at: prop::sample::Index, to: u8, cut: bool) {
        let (answered, signature) = (answered(), [9; 64]);
        let (request, answer) = (request(), answer(&signature));
        let request = Signed { base: &request.base, signature: &signature };
        let context = Context::new(&answered, Some(request));
        let mut damaged = write(Signed { base: &answer.base, signature: &[8; 64] }, &context);
        let whole = damaged.clone();
        let at = at.index(damaged.len());
        if cut { damaged.truncate(at) } else { damaged[at] = to };
        let damage = read(&damaged, &context);
        prop_assert!(!cut || damage.is_none());
        prop_assert!(damaged == whole || damage != read(&whole, &context));
    }
}
