//! Signature bases: the form on the wire, and that nothing can be added, dropped or moved unseen.

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
}

fn parameters() -> Parameters {
    Parameters {
        created: 1_772_446_500,
        expires: 1_772_446_560,
        key_id: Sha256::of(b"certificate"),
        algorithm: "ed25519",
    }
}

fn request_headers() -> HeaderMap {
    headers(&[
        ("accept", "application/json"),
        ("x-road-client", "UZ/GOV/NASP/register"),
        ("x-road-request-id", "1bd6"),
        ("content-digest", &headers::content_digest(&[7; 32])),
    ])
}

fn signed(mut headers: HeaderMap, base: &SignatureBase) -> HeaderMap {
    headers.insert(SIGNATURE_INPUT, base.input.parse().unwrap());
    headers.insert(SIGNATURE, signature_value(&[9; 64]).parse().unwrap());
    headers
}

const PATH: &str = "/r1/UZ/GOV/TAX/tax/tax/persons/1";

fn parts(headers: &HeaderMap) -> RequestParts<'_> {
    RequestParts { method: "GET", path: PATH, query: Some("a=1"), headers }
}

#[test]
fn base_has_the_form_of_rfc_9421() {
    let base = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let lines: Vec<&str> = base.base.lines().collect();
    assert_eq!(lines[0], "\"@method\": GET");
    assert_eq!(lines[1], format!("\"@path\": {PATH}"));
    assert_eq!(lines[2], "\"@query\": ?a=1");
    assert_eq!(lines[3], "\"accept\": application/json");
    let input = base.input.strip_prefix("koprik=").unwrap();
    assert_eq!(*lines.last().unwrap(), format!("\"@signature-params\": {input}"));
    assert!(input.starts_with("(\"@method\" \"@path\" \"@query\" \"accept\" "), "{input}");
    assert!(!base.base.ends_with('\n'));
}

#[test]
fn received_request_has_the_base_that_was_signed() {
    let base = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let on_the_wire = signed(request_headers(), &base);
    let received = read_request(&parts(&on_the_wire)).unwrap();
    assert_eq!(received.base, base.base);
    assert_eq!(received.parameters, parameters());
    assert_eq!(received.signature, [9; 64]);
    assert!(ReadBase::parse(&base.base).is_some());
}

#[test]
fn header_added_on_the_way_is_refused_and_a_dropped_one_missed() {
    let base = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let mut added = signed(request_headers(), &base);
    added.insert("x-road-userid", "mallory".parse().unwrap());
    assert_eq!(read_request(&parts(&added)), Err(SignatureRefusal::Uncovered));
    let mut dropped = signed(request_headers(), &base);
    dropped.remove("accept");
    assert_eq!(read_request(&parts(&dropped)), Err(SignatureRefusal::MissingComponent));
    let mut changed = signed(request_headers(), &base);
    changed.append("accept", "text/xml".parse().unwrap());
    assert_ne!(read_request(&parts(&changed)).unwrap().base, base.base);
}

#[test]
fn signature_that_leaves_out_a_required_component_is_refused() {
    for missing in ["x-road-client", "x-road-request-id", "content-digest"] {
        let mut fewer = request_headers();
        fewer.remove(missing);
        let base = request_base(&parts(&fewer), &parameters()).unwrap();
        let refused = read_request(&parts(&signed(fewer, &base)));
        assert_eq!(refused, Err(SignatureRefusal::RequiredComponent), "{missing}");
    }
}

#[test]
fn other_spellings_of_the_signature_input_are_refused() {
    let base = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let spellings = [
        base.input.replace(";created=", ";created=0"),
        base.input.replace("koprik=", "other="),
        base.input.replace("\"@path\"", "\"@PATH\""),
        base.input.replace("alg=\"ed25519\"", "alg=\"ed25519\";tag=\"x\""),
        base.input.replace(";expires=", ";until="),
        String::new(),
    ];
    for input in spellings {
        let mut on_the_wire = signed(request_headers(), &base);
        on_the_wire.insert(SIGNATURE_INPUT, input.parse().unwrap());
        assert_eq!(read_request(&parts(&on_the_wire)), Err(SignatureRefusal::Malformed), "{input}");
    }
    let mut twice = signed(request_headers(), &base);
    twice.append(SIGNATURE, signature_value(&[8; 64]).parse().unwrap());
    assert_eq!(read_request(&parts(&twice)), Err(SignatureRefusal::Malformed));
    let covered_twice = base.input.replace("\"accept\"", "\"accept\" \"accept\"");
    let mut doubled = signed(request_headers(), &base);
    doubled.insert(SIGNATURE_INPUT, covered_twice.parse().unwrap());
    assert_eq!(read_request(&parts(&doubled)), Err(SignatureRefusal::Uncovered));
}

#[test]
fn answer_is_bound_to_its_request() {
    let base = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let request = signed(request_headers(), &base);
    let own = headers(&[
        ("content-type", "application/json"),
        ("x-road-request-id", "1bd6"),
        ("content-digest", &headers::content_digest(&[8; 32])),
    ]);
    let answer = answer_base(200, &own, &parts(&request), &parameters()).unwrap();
    let on_the_wire = signed(own, &answer);
    let received = read_answer(200, &on_the_wire, &parts(&request)).unwrap();
    assert_eq!(received.base, answer.base);

    let mut other_request = request.clone();
    other_request.insert(SIGNATURE, signature_value(&[1; 64]).parse().unwrap());
    let other = read_answer(200, &on_the_wire, &parts(&other_request)).unwrap();
    assert_ne!(other.base, answer.base, "another request gives another base");
    assert_ne!(read_answer(201, &on_the_wire, &parts(&request)).unwrap().base, answer.base);

    let read = ReadBase::parse(&answer.base).unwrap();
    let request_read = ReadBase::parse(&base.base).unwrap();
    assert!(read.answers(&request_read, &[9; 64]));
    assert!(!read.answers(&request_read, &[1; 64]));
}

#[test]
fn answer_that_is_not_bound_is_refused() {
    let base = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let request = signed(request_headers(), &base);
    let unbound = request_base(&parts(&request_headers()), &parameters()).unwrap();
    let answer = signed(request_headers(), &unbound);
    let refused = read_answer(200, &answer, &parts(&request));
    assert_eq!(refused, Err(SignatureRefusal::RequiredComponent));
}

#[test]
fn value_that_cannot_be_signed_is_refused() {
    let mut odd = request_headers();
    odd.insert("x-odd", http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(request_base(&parts(&odd), &parameters()), Err(SignatureRefusal::HeaderValue));
}
