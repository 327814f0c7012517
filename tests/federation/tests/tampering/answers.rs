//! Answers that are not what the provider's member signed for this request.
//!
//! ```text
//! caller → real consumer's hub → rogue with the provider's authentication keys
//! ```

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use federation::refused::Recorded;
use federation::rogue::{self, RogueProvider, SigningKeys};
use federation::stage::{self, BYSTANDER, CONSUMER, PEOPLE, PROVIDER, Stage};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use schemas::clock::UnixMillis;
use schemas::problem::ProblemCode;
use serde_json::json;

/// Stands in every bad answer, in header and body, and must not come through.
const MARK: &str = "not-for-the-caller";

/// What the rogue has at hand.
struct Hand {
    own: SigningKeys,
    others: SigningKeys,
    unknown: SigningKeys,
    earlier: Mutex<Option<Request<Bytes>>>,
    now: UnixMillis,
}

impl Hand {
    fn sign(&self, answer: &mut Response<Bytes>, request: &Request<Bytes>, keys: &SigningKeys) {
        rogue::sign_answer(answer, request, keys, &keys.parameters(self.now)).unwrap();
    }

    fn signed_at(&self, at: UnixMillis, asked: &Request<Bytes>, answer: &mut Response<Bytes>) {
        rogue::sign_answer(answer, asked, &self.own, &self.own.parameters(at)).unwrap();
    }
}

fn set(answer: &mut Response<Bytes>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    answer.headers_mut().insert(HeaderName::from_static(name), value);
}

/// Signs honestly, then changes.
fn after(
    hand: &Hand,
    asked: &Request<Bytes>,
    answer: &mut Response<Bytes>,
    change: impl Fn(&mut Response<Bytes>),
) {
    hand.sign(answer, asked, &hand.own);
    change(answer);
}

/// Changes, then signs: the provider itself says something wrong.
fn before(
    hand: &Hand,
    asked: &Request<Bytes>,
    answer: &mut Response<Bytes>,
    change: impl Fn(&mut Response<Bytes>),
) {
    change(answer);
    hand.sign(answer, asked, &hand.own);
}

/// What is wrong, how, and the refusal.
type Case = (&'static str, fn(&Hand, &Request<Bytes>, &mut Response<Bytes>), ProblemCode);

const CASES: &[Case] = &[
    (
        "body changed",
        |h, q, a| after(h, q, a, |a| *a.body_mut() = MARK.into()),
        ProblemCode::AnswerSignature,
    ),
    (
        "status changed",
        |h, q, a| after(h, q, a, |a| *a.status_mut() = StatusCode::NOT_FOUND),
        ProblemCode::AnswerSignature,
    ),
    (
        "header added",
        |h, q, a| after(h, q, a, |a| set(a, "x-extra", MARK)),
        ProblemCode::AnswerSignature,
    ),
    (
        "header removed",
        |h, q, a| after(h, q, a, |a| drop(a.headers_mut().remove("x-mark"))),
        ProblemCode::AnswerSignature,
    ),
    (
        "header changed",
        |h, q, a| after(h, q, a, |a| set(a, "x-mark", "other")),
        ProblemCode::AnswerSignature,
    ),
    (
        "grant changed",
        |h, q, a| after(h, q, a, |a| set(a, "koprik-endpoint", "GET%20/")),
        ProblemCode::AnswerSignature,
    ),
    ("unsigned", |_, _, _| (), ProblemCode::AnswerSignature),
    (
        "signature without input",
        |h, q, a| after(h, q, a, |a| drop(a.headers_mut().remove("signature-input"))),
        ProblemCode::AnswerSignature,
    ),
    (
        "body not covered",
        |h, q, a| before(h, q, a, |a| drop(a.headers_mut().remove("content-digest"))),
        ProblemCode::AnswerSignature,
    ),
    ("signed by another member", |h, q, a| h.sign(a, q, &h.others), ProblemCode::AnswerCertificate),
    (
        "signed with an unknown certificate",
        |h, q, a| h.sign(a, q, &h.unknown),
        ProblemCode::AnswerCertificate,
    ),
    (
        "bound to an earlier request",
        |h, _, a| {
            let earlier = h.earlier.lock().unwrap().clone().unwrap();
            h.sign(a, &earlier, &h.own);
        },
        ProblemCode::AnswerSignature,
    ),
    (
        "names another exchange",
        |h, q, a| {
            before(h, q, a, |a| set(a, "x-road-request-id", "7c1b4f0e-6a0c-4e0e-9d9b-2f1f7c0e9a11"))
        },
        ProblemCode::InconsistentResponse,
    ),
    (
        "names another message",
        |h, q, a| before(h, q, a, |a| set(a, "x-road-id", "another")),
        ProblemCode::InconsistentResponse,
    ),
    (
        "names another client",
        |h, q, a| before(h, q, a, |a| set(a, "x-road-client", "UZ/GOV/PENSIONS/pensions")),
        ProblemCode::InconsistentResponse,
    ),
    (
        "names another service",
        |h, q, a| before(h, q, a, |a| set(a, "x-road-service", stage::FILES)),
        ProblemCode::InconsistentResponse,
    ),
    (
        "names a grant of more than a grant may have",
        |h, q, a| before(h, q, a, |a| set(a, "koprik-grant", &"g".repeat(1_025))),
        ProblemCode::InconsistentResponse,
    ),
    (
        "fills the record",
        |h, q, a| before(h, q, a, |a| set(a, "koprik-legal-basis", &"\"".repeat(33_000))),
        ProblemCode::InconsistentResponse,
    ),
    (
        "stale",
        |h, q, a| h.signed_at(h.now.minus(Duration::from_secs(66)), q, a),
        ProblemCode::AnswerSignature,
    ),
    (
        "from the future",
        |h, q, a| h.signed_at(h.now.plus(Duration::from_secs(6)), q, a),
        ProblemCode::AnswerSignature,
    ),
    (
        "error that is no error object",
        |_, _, a| set(a, "x-road-error", "server.serverproxy.access_denied"),
        ProblemCode::AnswerSignature,
    ),
    (
        "error in the name of the caller's own hub",
        |_, _, a| {
            let kind = ProblemCode::ConfigurationOutdated.as_str();
            set(a, "x-road-error", kind);
            *a.body_mut() = json!({"type": kind, "message": MARK, "detail": ""}).to_string().into();
        },
        ProblemCode::AnswerSignature,
    ),
    (
        "endless error object",
        |_, _, a| {
            set(a, "x-road-error", "server.serverproxy.access_denied");
            *a.body_mut() = [MARK; 1_000].concat().into();
        },
        ProblemCode::NetworkError,
    ),
];

fn draft(request: &Request<Bytes>) -> Response<Bytes> {
    let body = json!({"mark": MARK}).to_string();
    let mut answer = rogue::honest_answer(request, 200, body).unwrap();
    set(&mut answer, "x-mark", MARK);
    answer
}

/// The consumer's hub runs and a rogue in the provider's place, which picks its case by the path.
async fn rogue_in_the_providers_place(
    pick: impl Fn(&Hand, &Request<Bytes>, &mut Response<Bytes>) + Send + Sync + 'static,
) -> (Stage, RogueProvider) {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let now = stage.clock.now();
    let unknown = SigningKeys::unregistered(&stage.federation.layout, "UZ/GOV/TAX", now).unwrap();
    let hand = Hand {
        own: stage.signing_keys(PROVIDER).unwrap(),
        others: stage.signing_keys(BYSTANDER).unwrap(),
        unknown,
        earlier: Mutex::new(None),
        now,
    };
    let place = stage.place(PROVIDER).unwrap();
    let identity = rogue::identity(&place.dir, "peer").unwrap();
    let rogue = RogueProvider::start(place.peer, &identity, &stage.clock, move |request| {
        let mut answer = draft(request);
        pick(&hand, request, &mut answer);
        hand.earlier.lock().unwrap().replace(request.clone());
        Some(answer)
    });
    let rogue = rogue.await.unwrap();
    (stage, rogue)
}

#[tokio::test]
async fn answer_that_is_not_the_providers_to_this_request_is_refused_and_nothing_of_it_comes_through()
 {
    let (stage, _rogue) = rogue_in_the_providers_place(|hand, request, answer| {
        let nth = request.uri().path().rsplit('/').next().unwrap();
        match nth.parse::<usize>() {
            Ok(nth) => CASES[nth].1(hand, request, answer),
            Err(_) => hand.sign(answer, request, &hand.own),
        }
    })
    .await;
    let honest = stage.caller.get(PEOPLE, "/honest").await.unwrap();
    assert_eq!((honest.status, honest.json().unwrap()), (200, json!({"mark": MARK})));
    assert_eq!(honest.header("x-mark"), Some(MARK), "the unchanged answer comes through");
    for (nth, (what, _, code)) in CASES.iter().enumerate() {
        let answer = stage.caller.get(PEOPLE, &format!("/{nth}")).await.unwrap();
        let refused = stage.refused(&answer, *code, Recorded::AtConsumer).await;
        refused.unwrap_or_else(|error| panic!("{what}: {error}"));
        let shown = format!("{answer:?}");
        assert!(!shown.contains(MARK), "{what}: {shown}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn answer_signed_with_a_revoked_certificate_is_refused() {
    let (stage, _rogue) = rogue_in_the_providers_place(|hand, request, answer| {
        hand.sign(answer, request, &hand.own);
    })
    .await;
    let now = stage.clock.now();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage
        .federation
        .publish(|content| {
            let members = content.members.iter_mut().filter(|m| m.id.as_str() == "UZ/GOV/TAX");
            members.for_each(|member| member.signing_certificates[0].revoked = Some(now));
        })
        .await
        .unwrap();
    let answer = stage.ask().await.unwrap();
    let message =
        stage.refused(&answer, ProblemCode::AnswerCertificate, Recorded::AtConsumer).await;
    assert!(message.unwrap().contains("revoked"));
    stage.stop().await;
}

#[tokio::test]
async fn refusal_of_the_other_hub_keeps_its_reason_and_gets_this_hubs_reference() {
    let kind = ProblemCode::AccessDenied.as_str();
    let (stage, rogue) = rogue_in_the_providers_place(move |_, _, answer| {
        set(answer, "x-road-error", kind);
        let action = ProblemCode::AccessDenied.action();
        let body = json!({"type": kind, "message": action, "detail": "look elsewhere"});
        *answer.body_mut() = body.to_string().into();
    })
    .await;
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::AccessDenied, Recorded::AtConsumer).await.unwrap();
    let asked = rogue.asked();
    let exchange = asked[0].headers()["x-road-request-id"].to_str().unwrap();
    assert_eq!(answer.problem().unwrap().detail, exchange);
    stage.stop().await;
}

#[tokio::test]
async fn signed_answer_cannot_pass_for_a_refusal() {
    let (stage, _rogue) = rogue_in_the_providers_place(|hand, request, answer| {
        set(answer, "x-road-error", "server.clientproxy.global_conf_outdated");
        hand.sign(answer, request, &hand.own);
    })
    .await;
    let answer = stage.ask().await.unwrap();
    assert_eq!((answer.status, answer.header("x-road-error")), (200, None));
    stage.stop().await;
}

#[tokio::test]
async fn answer_to_one_caller_is_not_taken_for_the_same_question_of_another_moment() {
    let first = Arc::new(Mutex::new(None::<Response<Bytes>>));
    let (stage, _rogue) = rogue_in_the_providers_place(move |hand, request, answer| {
        hand.sign(answer, request, &hand.own);
        let mut first = first.lock().unwrap();
        *answer = first.get_or_insert_with(|| answer.clone()).clone();
    })
    .await;
    assert_eq!(stage.ask().await.unwrap().status, 200);
    let repeated = stage.ask().await.unwrap();
    let code = ProblemCode::AnswerSignature;
    stage.refused(&repeated, code, Recorded::AtConsumer).await.unwrap();
    stage.stop().await;
}
