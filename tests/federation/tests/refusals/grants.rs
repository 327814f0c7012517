//! Default deny: what no live grant permits is refused, with how near the call came, and the source hears nothing.

use federation::Answer;
use federation::agencies::PURPOSE;
use federation::refused::Recorded;
use federation::stage::{self, FILES, PEOPLE, PERSON, Stage};
use http::Method;
use hub_core::policy::Grant;
use schemas::problem::ProblemCode;
use serde_json::json;

/// What the provider grants for [`PEOPLE`], and the words of the refusal of the good call.
type Case = (&'static str, fn(&mut Grant), &'static str);

const CASES: &[Case] = &[
    (
        "another client",
        |g| g.client = "UZ/GOV/PENSIONS/pensions".parse().ok(),
        "no grant for this client",
    ),
    (
        "a neighbour of the client",
        |g| g.client = "UZ/GOV/NASP/other".parse().ok(),
        "no grant for this client",
    ),
    (
        "another service",
        |g| g.service = FILES.parse().unwrap(),
        "no grant for this client and service",
    ),
    ("another path", |g| endpoint(g, "GET /people"), "no grant for this method and path"),
    (
        "another method",
        |g| endpoint(g, "DELETE /persons/{pinfl}"),
        "no grant for this method and path",
    ),
    (
        "another person",
        |g| endpoint(g, "GET /persons/42003760020028"),
        "no grant for this method and path",
    ),
    ("from tomorrow", |g| g.valid_from = Some("2026-06-02T00:00:00Z".into()), "not yet valid"),
    ("until this moment", |g| g.valid_until = Some("2026-06-01T00:00:00Z".into()), "has ended"),
    (
        "another purpose",
        |g| g.purposes = vec![stage::purpose("audit")],
        "not in the purpose catalogue",
    ),
    (
        "several purposes",
        |g| g.purposes = vec![stage::purpose(PURPOSE), stage::purpose("audit")],
        "state one in Koprik-Purpose",
    ),
    (
        "a group that the client is not in",
        |g| (g.client, g.group) = (None, Some("ministries".into())),
        "no grant for this client",
    ),
];

fn endpoint(grant: &mut Grant, endpoint: &str) {
    grant.endpoint = Some(endpoint.to_owned());
}

async fn granted(stage: &Stage, change: impl FnOnce(&mut Grant)) {
    let mut grant = stage::grant("people", PEOPLE).unwrap();
    change(&mut grant);
    stage.reconfigure(|config| config.grants = vec![grant]).await.unwrap();
}

async fn ask_for(stage: &Stage, purpose: &str) -> Answer {
    let mut request = stage.caller.request(Method::GET, PEOPLE, PERSON, "").unwrap();
    request.headers_mut().insert("koprik-purpose", purpose.parse().unwrap());
    stage.caller.send(request).await.unwrap()
}

async fn denied(stage: &Stage, what: &str, answer: &Answer, words: &str) {
    let calls = stage.source.calls_count();
    let refused = stage.refused(answer, ProblemCode::AccessDenied, Recorded::AtBoth).await;
    let message = refused.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(message.contains(words), "{what}: {message}");
    assert_eq!(stage.source.calls_count(), calls, "{what}: the source was asked");
}

#[tokio::test]
async fn call_that_no_live_grant_permits_is_refused_with_the_nearest_reason() {
    let stage = Stage::start().await.unwrap();
    stage.reconfigure(|config| config.grants.clear()).await.unwrap();
    denied(&stage, "no grants", &stage.ask().await.unwrap(), "no grant for this client").await;
    for (what, change, words) in CASES {
        granted(&stage, change).await;
        denied(&stage, what, &stage.ask().await.unwrap(), words).await;
    }
    assert_eq!(stage.source.calls_count(), 0);
    granted(&stage, |grant| endpoint(grant, "GET /persons/{pinfl}")).await;
    assert_eq!(stage.ask().await.unwrap().status, 200, "the right grant permits");
    stage.stop().await;
}

#[tokio::test]
async fn purpose_must_be_one_of_the_grant() {
    let stage = Stage::start().await.unwrap();
    let answer = ask_for(&stage, "curiosity").await;
    denied(&stage, "other purpose", &answer, "does not allow this purpose").await;
    granted(&stage, |g| g.purposes = vec![stage::purpose(PURPOSE), stage::purpose("audit")]).await;
    assert_eq!(ask_for(&stage, PURPOSE).await.status, 200);
    let answer = ask_for(&stage, "audit").await;
    denied(&stage, "granted but not in the catalogue", &answer, "purpose catalogue").await;
    stage.stop().await;
}

#[tokio::test]
async fn grant_ends_at_its_moment() {
    let stage = Stage::start().await.unwrap();
    granted(&stage, |g| g.valid_until = Some("2026-06-01T00:01:00Z".into())).await;
    stage.clock.advance(std::time::Duration::from_millis(59_999));
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage.clock.advance(std::time::Duration::from_millis(1));
    denied(&stage, "after its end", &stage.ask().await.unwrap(), "has ended").await;
    stage.stop().await;
}

#[tokio::test]
async fn call_about_more_people_than_the_grant_allows_is_refused() {
    let stage = Stage::start().await.unwrap();
    let people = |count: usize| {
        let pinfls: Vec<_> =
            (0..count).map(|nth| format!("{:014}", 31_505_850_010_000 + nth)).collect();
        json!({ "pinfls": pinfls })
    };
    granted(&stage, |grant| grant.subjects_max = Some(2)).await;
    let answer = stage.caller.post(PEOPLE, "/people", &people(2)).await.unwrap();
    assert_eq!(answer.status, 200);
    let answer = stage.caller.post(PEOPLE, "/people", &people(3)).await.unwrap();
    denied(&stage, "three", &answer, "more people than the grant allows").await;
    granted(&stage, |_| ()).await;
    let answer = stage.caller.post(PEOPLE, "/people", &people(101)).await.unwrap();
    denied(&stage, "a bulk call", &answer, "at most 100 people").await;
    stage.stop().await;
}

#[tokio::test]
async fn calls_over_the_rate_are_refused_until_the_minute_is_over() {
    let stage = Stage::start().await.unwrap();
    granted(&stage, |grant| grant.rate_per_minute = Some(2)).await;
    for _ in 0..2 {
        assert_eq!(stage.ask().await.unwrap().status, 200);
    }
    denied(&stage, "third", &stage.ask().await.unwrap(), "more calls in a minute").await;
    stage.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(stage.ask().await.unwrap().status, 200, "half a minute brings one of two");
    denied(&stage, "fourth", &stage.ask().await.unwrap(), "more calls in a minute").await;
    stage.stop().await;
}

#[tokio::test]
async fn path_or_method_that_the_contract_does_not_have_is_refused_whatever_is_granted() {
    let stage = Stage::start().await.unwrap();
    for (method, path) in [(Method::GET, "/nothing"), (Method::PUT, PERSON), (Method::GET, "")] {
        let request = stage.caller.request(method, PEOPLE, path, "").unwrap();
        let answer = stage.caller.send(request).await.unwrap();
        denied(&stage, path, &answer, "no such method and path").await;
    }
    stage.stop().await;
}
