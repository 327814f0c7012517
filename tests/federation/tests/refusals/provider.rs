//! Refusals of the provider's hub that are neither a question of grants nor of signatures.

use federation::refused::Recorded;
use federation::stage::{CONSUMER, FILES, PEOPLE, PERSON, PROVIDER, Stage};
use http::Method;
use schemas::problem::ProblemCode;
use serde_json::json;

#[tokio::test]
async fn service_that_is_not_there_or_switched_off_is_refused() {
    let stage = Stage::start().await.unwrap();
    let answer = stage.caller.get("UZ/GOV/TAX/tax/none", PERSON).await.unwrap();
    stage.refused(&answer, ProblemCode::UnknownService, Recorded::AtBoth).await.unwrap();
    let notice = "back on Monday";
    stage
        .reconfigure(|config| {
            let people = config.services.iter_mut().find(|s| s.id.as_str() == PEOPLE).unwrap();
            people.disabled = Some(notice.to_owned());
        })
        .await
        .unwrap();
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::ServiceDisabled;
    let message = stage.refused(&answer, code, Recorded::AtBoth).await.unwrap();
    assert!(message.contains(notice), "{message}");
    assert_eq!(stage.source.calls_count(), 0);
    assert_eq!(stage.caller.get(FILES, "/x").await.unwrap().status, 200, "the other goes on");
    stage.stop().await;
}

#[tokio::test]
async fn request_body_that_does_not_follow_the_contract_does_not_reach_the_source() {
    let stage = Stage::start().await.unwrap();
    let send = async |method: Method, path: &str, body: &str| {
        let request = stage.caller.request(method, PEOPLE, path, body.to_owned()).unwrap();
        stage.caller.send(request).await.unwrap()
    };
    let cases = [
        ("extra field", r#"{"pinfls":["31505850010011"],"all":true}"#),
        ("wrong type", r#"{"pinfls":"31505850010011","x":1}"#),
        ("no person number", r#"{"pinfls":["me"]}"#),
        ("subjects missing", "{}"),
        ("repeated name", r#"{"pinfls":[],"pinfls":["31505850010011"]}"#),
        ("number that parsers read differently", r#"{"pinfls":[],"n":9007199254740993}"#),
        ("not JSON", "pinfls=31505850010011"),
        ("not JSON to the end", r#"{"pinfls":["31505850010011"]}x"#),
        ("not there", ""),
    ];
    for (what, body) in cases {
        let answer = send(Method::POST, "/people", body).await;
        let code = ProblemCode::InvalidRequestBody;
        let refused = stage.refused(&answer, code, Recorded::AtBoth).await;
        refused.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    let answer = send(Method::GET, PERSON, "{}").await;
    let code = ProblemCode::InvalidRequestBody;
    let message = stage.refused(&answer, code, Recorded::AtBoth).await.unwrap();
    assert!(!message.is_empty(), "a body where the contract has none");
    assert_eq!(stage.source.calls_count(), 0);
    let good = json!({"pinfls": ["31505850010011"]}).to_string();
    assert_eq!(send(Method::POST, "/people", &good).await.status, 200);
    stage.stop().await;
}

#[tokio::test]
async fn ambiguous_path_of_another_hub_is_refused_before_anything_else() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    let mut peer = stage.connect_as(CONSUMER).await.unwrap();
    let paths = [
        "/persons/..",
        "/persons/%2e%2e/x",
        "/persons//x",
        "/persons/a%2F..%2Fb",
        "/a%252Fb",
        "/a%5Cb",
    ];
    for path in paths {
        let answer = peer.send(stage.signed(Method::GET, path, "").unwrap()).await.unwrap();
        let refused =
            stage.refused(&answer, ProblemCode::AmbiguousPath, Recorded::AtProvider).await;
        refused.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    assert_eq!(stage.source.calls_count(), 0);
    let answer = peer.send(stage.signed(Method::GET, PERSON, "").unwrap()).await.unwrap();
    assert_eq!(answer.status, 200);
    stage.stop().await;
}

#[tokio::test]
async fn record_of_a_refusal_names_who_asked_what_and_of_a_permitted_call_the_grant_too() {
    let stage = Stage::start_with(|config| config.grants.clear()).await.unwrap();
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::AccessDenied, Recorded::AtBoth).await.unwrap();
    let detail = answer.problem().unwrap().detail;
    for hub in [CONSUMER, PROVIDER] {
        let operator = federation::operator::Operator::of(stage.hub(hub).unwrap());
        let steps = operator.explain(&detail).await.unwrap();
        let record = &steps.last().unwrap()["record"];
        assert_eq!(record["client"], "UZ/GOV/NASP/register", "{hub}");
        assert_eq!(record["service"], PEOPLE, "{hub}");
        assert!(!record.to_string().contains("31505850010011"), "{hub}: a person in a record");
    }
    stage.stop().await;
}
