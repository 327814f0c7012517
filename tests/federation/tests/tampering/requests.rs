//! Requests that are not what the client's member signed.
//!
//! ```text
//! rogue with the register's keys → real provider's hub → source that counts its calls
//! ```

use bytes::Bytes;
use federation::Answer;
use federation::agencies::REGISTER;
use federation::refused::Recorded;
use federation::rogue::{self, SigningKeys};
use federation::stage::{self, BYSTANDER, CONSUMER, PERSON, PROVIDER, Stage};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use schemas::problem::ProblemCode;

/// The provider's hub runs; the consumer's does not: its keys are the rogue's.
async fn provider_alone() -> Stage {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    stage
}

async fn send(stage: &Stage, request: Request<Bytes>) -> Answer {
    stage.connect_as(CONSUMER).await.unwrap().send(request).await.unwrap()
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

fn edit(headers: &mut HeaderMap, name: &'static str, change: impl Fn(&str) -> String) {
    let changed = change(headers[name].to_str().unwrap());
    set(headers, name, &changed);
}

/// What is changed, how, and the refusal.
type Case = (&'static str, fn(&mut Request<Bytes>), ProblemCode);

const CASES: &[Case] = &[
    ("body", |r| *r.body_mut() = "{}".into(), ProblemCode::RequestSignature),
    ("method", |r| *r.method_mut() = Method::DELETE, ProblemCode::RequestSignature),
    ("path", |r| retarget(r, "/persons/42003760020028"), ProblemCode::RequestSignature),
    ("query", |r| retarget(r, "/persons/31505850010011?all=1"), ProblemCode::RequestSignature),
    (
        "header added",
        |r| set(r.headers_mut(), "x-road-represented-party", "GOV/TAX"),
        ProblemCode::RequestSignature,
    ),
    (
        "header removed",
        |r| drop(r.headers_mut().remove("x-road-id")),
        ProblemCode::RequestSignature,
    ),
    ("header changed", |r| set(r.headers_mut(), "x-road-id", "1"), ProblemCode::RequestSignature),
    (
        "header repeated",
        |r| assert!(r.headers_mut().append("x-road-id", HeaderValue::from_static("1"))),
        ProblemCode::RequestSignature,
    ),
    (
        "exchange",
        |r| set(r.headers_mut(), "x-road-request-id", "7c1b4f0e-6a0c-4e0e-9d9b-2f1f7c0e9a11"),
        ProblemCode::RequestSignature,
    ),
    (
        "exchange is no UUID",
        |r| set(r.headers_mut(), "x-road-request-id", "1"),
        ProblemCode::RequestSignature,
    ),
    (
        "client of the same member",
        |r| set(r.headers_mut(), "x-road-client", "UZ/GOV/NASP/other"),
        ProblemCode::PeerNotAuthorised,
    ),
    (
        "digest",
        |r| edit(r.headers_mut(), "content-digest", |v| v.replace("sha-256", "sha-512")),
        ProblemCode::RequestSignature,
    ),
    ("no signature", |r| drop(r.headers_mut().remove("signature")), ProblemCode::RequestSignature),
    (
        "no signature input",
        |r| drop(r.headers_mut().remove("signature-input")),
        ProblemCode::RequestSignature,
    ),
    (
        "signature is another's",
        |r| edit(r.headers_mut(), "signature", |v| v.replace("koprik=:", "koprik=:AAAA")),
        ProblemCode::RequestSignature,
    ),
    (
        "two signatures",
        |r| {
            let second = r.headers()["signature"].clone();
            r.headers_mut().append("signature", second);
        },
        ProblemCode::RequestSignature,
    ),
    (
        "header and its cover removed",
        |r| {
            r.headers_mut().remove("x-road-id");
            edit(r.headers_mut(), "signature-input", |v| v.replace(" \"x-road-id\"", ""));
        },
        ProblemCode::RequestSignature,
    ),
    (
        "client not covered",
        |r| edit(r.headers_mut(), "signature-input", |v| v.replace(" \"x-road-client\"", "")),
        ProblemCode::RequestSignature,
    ),
    (
        "longer life",
        |r| {
            edit(r.headers_mut(), "signature-input", |v| {
                v.replace("expires=17802720", "expires=17802721")
            })
        },
        ProblemCode::RequestExpired,
    ),
    (
        "other algorithm",
        |r| edit(r.headers_mut(), "signature-input", |v| v.replace("ed25519", "ecdsa-p256-sha256")),
        ProblemCode::RequestSignature,
    ),
];

fn retarget(request: &mut Request<Bytes>, path: &str) {
    *request.uri_mut() = format!("https://hub.invalid/r1/{}{path}", stage::PEOPLE).parse().unwrap();
}

#[tokio::test]
async fn request_that_was_changed_is_refused_and_the_source_is_not_asked() {
    let stage = provider_alone().await;
    for (what, change, code) in CASES {
        let honest = stage.signed(Method::GET, PERSON, "").unwrap();
        let mut changed = honest.clone();
        change(&mut changed);
        let same = format!("{changed:?}") == format!("{honest:?}");
        assert!(!same, "{what}: the case changes nothing");
        let answer = send(&stage, changed).await;
        let refused = stage.refused(&answer, *code, Recorded::AtProvider).await;
        refused.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert_eq!(stage.source.calls_count(), 0);
    let answer = send(&stage, stage.signed(Method::GET, PERSON, "").unwrap()).await;
    assert_eq!(answer.json().unwrap(), stage::person(), "the unchanged request is good");
    assert_eq!(stage.source.calls_count(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn hop_by_hop_header_is_no_part_of_the_message_and_does_not_reach_the_source() {
    let stage = provider_alone().await;
    let mut request = stage.signed(Method::GET, PERSON, "").unwrap();
    set(request.headers_mut(), "user-agent", "anything");
    assert_eq!(send(&stage, request).await.status, 200);
    assert_eq!(stage.source.calls()[0].header("user-agent"), None);
    stage.stop().await;
}

async fn refused_with_keys(stage: &Stage, keys: &SigningKeys, code: ProblemCode) -> String {
    let target = format!("{}{PERSON}", stage::PEOPLE);
    let mut request = rogue::request(Method::GET, REGISTER, &target, "").unwrap();
    let parameters = keys.parameters(stage.clock.now());
    rogue::sign_request(&mut request, keys, &parameters).unwrap();
    let answer = send(stage, request).await;
    stage.refused(&answer, code, Recorded::AtProvider).await.unwrap()
}

#[tokio::test]
async fn request_signed_with_a_certificate_that_is_not_the_clients_is_refused() {
    let stage = provider_alone().await;
    let now = stage.clock.now();
    let layout = &stage.federation.layout;
    // Issued by the instance's authority to the right member, but registered nowhere.
    let unknown = SigningKeys::unregistered(layout, "UZ/GOV/NASP", now).unwrap();
    refused_with_keys(&stage, &unknown, ProblemCode::RequestCertificate).await;
    let others = stage.signing_keys(BYSTANDER).unwrap();
    refused_with_keys(&stage, &others, ProblemCode::RequestCertificate).await;
    // The provider's own keys are registered too, and no one else's.
    let own = stage.signing_keys(PROVIDER).unwrap();
    refused_with_keys(&stage, &own, ProblemCode::RequestCertificate).await;
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

#[tokio::test]
async fn certificate_of_the_client_with_the_key_of_another_is_refused() {
    let stage = provider_alone().await;
    let own = stage.signing_keys(CONSUMER).unwrap();
    let key = stage.signing_keys(BYSTANDER).unwrap().key;
    let thief = SigningKeys { key, certificate: own.certificate };
    refused_with_keys(&stage, &thief, ProblemCode::RequestSignature).await;
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

async fn revoke_register(stage: &Stage) {
    let now = stage.clock.now();
    stage
        .federation
        .publish(|content| {
            let members = content.members.iter_mut().filter(|m| m.id.as_str() == "UZ/GOV/NASP");
            members.for_each(|member| member.signing_certificates[0].revoked = Some(now));
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn request_signed_with_a_revoked_certificate_is_refused_as_revoked() {
    let stage = provider_alone().await;
    let own = stage.signing_keys(CONSUMER).unwrap();
    revoke_register(&stage).await;
    refused_with_keys(&stage, &own, ProblemCode::RequestCertificateRevoked).await;
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

/// Requests of the register under one root.
fn batch(stage: &Stage, count: usize) -> Vec<Request<Bytes>> {
    let target = format!("{}{PERSON}", stage::PEOPLE);
    let draft = || rogue::request(Method::GET, REGISTER, &target, "").unwrap();
    let mut requests: Vec<_> = (0..count).map(|_| draft()).collect();
    let keys = stage.signing_keys(CONSUMER).unwrap();
    rogue::sign_batch(&mut requests, &keys, stage.clock.now()).unwrap();
    requests
}

#[tokio::test]
async fn requests_under_one_root_stand_or_fall_each_for_itself() {
    let stage = provider_alone().await;
    let requests = batch(&stage, 4);
    let [first, second, third, fourth] = requests.as_slice() else { panic!("four were made") };
    assert_eq!(send(&stage, first.clone()).await.status, 200, "the root is known now");
    let mut changed = second.clone();
    set(changed.headers_mut(), "x-road-id", "1");
    let mut swapped = third.clone();
    swapped.headers_mut().insert("signature", second.headers()["signature"].clone());
    let mut alone = fourth.clone();
    edit(alone.headers_mut(), "signature-input", |v| v.replace("ed25519-merkle-batch", "ed25519"));
    for forged in [changed, swapped, alone] {
        let answer = send(&stage, forged).await;
        let code = ProblemCode::RequestSignature;
        stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    }
    assert_eq!(stage.source.calls_count(), 1);
    for honest in [second, third, fourth] {
        assert_eq!(send(&stage, honest.clone()).await.status, 200);
    }
    stage.stop().await;
}

#[tokio::test]
async fn root_that_was_verified_does_not_outlive_the_revocation_of_its_certificate() {
    let stage = provider_alone().await;
    let requests = batch(&stage, 2);
    assert_eq!(send(&stage, requests[0].clone()).await.status, 200);
    revoke_register(&stage).await;
    let answer = send(&stage, requests[1].clone()).await;
    let code = ProblemCode::RequestCertificateRevoked;
    stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    assert_eq!(stage.source.calls_count(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn root_that_was_verified_does_not_outlive_the_life_of_its_messages() {
    let stage = provider_alone().await;
    let requests = batch(&stage, 2);
    assert_eq!(send(&stage, requests[0].clone()).await.status, 200);
    stage.clock.advance(std::time::Duration::from_secs(66));
    let answer = send(&stage, requests[1].clone()).await;
    let code = ProblemCode::RequestExpired;
    stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    stage.stop().await;
}
