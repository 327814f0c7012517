//! Sources that are down, slow, broken, wordy or rude: nothing of a bad answer leaves the provider's hub, and
//! `unavailable`, `no record` and `forbidden` are never confused (promise P8).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::time::Duration;

use federation::Answer;
use federation::operator::Operator;
use federation::refused::Recorded;
use federation::scripted::Play;
use federation::stage::{self, CONSUMER, FILES, PEOPLE, PERSON, PROVIDER, Stage};
use http::Method;
use schemas::limits::{BODY_IDLE_TIMEOUT, JSON_BODY_MAX_BYTES};
use schemas::problem::ProblemCode;
use serde_json::{Value, json};

/// Lets the hubs do what they can do now, then lets tokio's time pass without waiting.
async fn pass(time: Duration) {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Stands in every bad answer and must not come through.
const MARK: &str = "not-for-the-caller";

async fn refused(stage: &Stage, what: &str, answer: &Answer, code: ProblemCode) -> String {
    let refused = stage.refused(answer, code, Recorded::AtBoth).await;
    let shown = format!("{answer:?}");
    assert!(!shown.contains(MARK), "{what}: {shown}");
    refused.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Head of an answer in JSON with this framing.
fn head(status: u16, framing: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{framing}\r\n\r\n")
}

fn text(status: u16, body: impl AsRef<str>) -> Play {
    Play::answer(status, &[("Content-Type", "application/json")], body.as_ref().as_bytes())
}

#[tokio::test]
async fn answer_that_does_not_follow_the_contract_is_held_back() {
    let stage = Stage::start().await.unwrap();
    let mut wordy = stage::person();
    wordy["home_address"] = MARK.into();
    let good = stage::person().to_string();
    let cases = [
        ("a field too many", Play::json(200, &wordy)),
        ("a field too few", Play::json(200, &json!({"pinfl": "31505850010011"}))),
        ("wrong type", Play::json(200, &json!({"pinfl": "31505850010011", "income_soum": MARK}))),
        ("another thing", Play::json(200, &json!([MARK]))),
        ("not JSON", text(200, MARK)),
        ("more than JSON", text(200, format!("{good}{MARK}"))),
        ("repeated name", text(200, good.replacen('{', r#"{"pinfl":"42003760020028","#, 1))),
        (
            "number that parsers read differently",
            text(200, good.replace("1200000", "9007199254740993")),
        ),
        ("too deep", text(200, "[".repeat(100) + &"]".repeat(100))),
        ("nothing", text(200, "")),
        ("status that the contract does not have", Play::json(201, &stage::person())),
        ("fault that the contract does not have", Play::json(500, &json!({"error": MARK}))),
        ("no-record of another form", Play::json(404, &json!({"error": MARK}))),
        ("no-record page", text(404, format!("<html>{MARK}</html>"))),
        ("redirect", Play::answer(302, &[("Location", "http://127.0.0.1:9/")], b"")),
        (
            "header that cannot be signed",
            Play::answer(200, &[("X-Note", "\u{e9}t\u{e9}")], good.as_bytes()),
        ),
    ];
    let asked = cases.len();
    for (what, play) in cases {
        stage.source.play(play);
        let answer = stage.ask().await.unwrap();
        refused(&stage, what, &answer, ProblemCode::InvalidAnswer).await;
    }
    assert_eq!(stage.source.calls_count(), asked, "each was asked once, no redirect was followed");
    stage.source.play(Play::json(200, &stage::person()));
    assert_eq!(stage.ask().await.unwrap().json().unwrap(), stage::person());
    stage.stop().await;
}

#[tokio::test]
async fn reason_for_holding_back_names_the_place_and_no_value() {
    let stage = Stage::start().await.unwrap();
    let mut wordy = stage::person();
    wordy["home_address"] = MARK.into();
    stage.source.play(Play::json(200, &wordy));
    let answer = stage.ask().await.unwrap();
    let message = refused(&stage, "wordy", &answer, ProblemCode::InvalidAnswer).await;
    assert!(message.contains("was held back"), "{message}");
    let detail = answer.problem().unwrap().detail;
    for hub in [CONSUMER, PROVIDER] {
        let steps = Operator::of(stage.hub(hub).unwrap()).explain(&detail).await.unwrap();
        let shown = Value::from(steps).to_string();
        assert!(!shown.contains(MARK) && !shown.contains("31505850010011"), "{hub}: {shown}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn source_that_breaks_off_or_speaks_something_else_is_called_unreachable() {
    let stage = Stage::start().await.unwrap();
    let whole = stage::person().to_string();
    let close = |bytes: String| Play::Close(bytes.into_bytes());
    let many: String = (0..200).map(|nth| format!("x-{nth}: {MARK}\r\n")).collect();
    let cases = [
        ("closes at once", close(String::new())),
        ("does not speak HTTP", close(format!("{MARK}\r\n"))),
        ("ends within the head", close("HTTP/1.1 200 OK\r\ncontent-le".to_owned())),
        ("ends within the body", close(head(200, "content-length: 1000") + &whole)),
        ("ends within a chunk", close(head(200, "transfer-encoding: chunked") + "ff\r\n" + &whole)),
        ("chunks without an end", close(head(200, "transfer-encoding: chunked") + "2\r\n{}\r\n")),
        ("chunk of no length", close(head(200, "transfer-encoding: chunked") + MARK)),
        ("two lengths", close(head(200, "content-length: 2\r\ncontent-length: 3") + "{} ")),
        (
            "more headers than anyone needs",
            close(head(200, &format!("{many}content-length: 2")) + "{}"),
        ),
    ];
    let asked = cases.len();
    for (what, play) in cases {
        stage.source.play(play);
        let answer = stage.ask().await.unwrap();
        refused(&stage, what, &answer, ProblemCode::SourceUnreachable).await;
    }
    assert_eq!(stage.source.calls_count(), asked, "nothing is asked twice");
    stage.stop().await;
}

#[tokio::test]
async fn source_that_is_down_is_called_unreachable() {
    let stage = Stage::start().await.unwrap();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stage
        .reconfigure(|config| {
            let people = config.services.iter_mut().find(|s| s.id.as_str() == PEOPLE).unwrap();
            people.url = format!("http://{free}");
        })
        .await
        .unwrap();
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::SourceUnreachable;
    let message = refused(&stage, "down", &answer, code).await;
    assert!(message.contains("cannot be reached"), "{message}");
    assert!(!message.contains(&free.to_string()), "nothing internal for the caller: {message}");
    stage.stop().await;
}

#[tokio::test]
async fn source_that_is_silent_or_stops_midway_is_given_up() {
    let stage = Stage::start().await.unwrap();
    stage
        .reconfigure(|config| {
            let people = config.services.iter_mut().find(|s| s.id.as_str() == PEOPLE).unwrap();
            people.timeout_seconds = Some(1);
        })
        .await
        .unwrap();
    stage.source.play(Play::silence());
    let answer = stage.ask().await.unwrap();
    let message = refused(&stage, "silent", &answer, ProblemCode::SourceTimeout).await;
    assert!(message.contains("within 1 s"), "{message}");
    let half = head(200, "content-length: 1000") + MARK;
    stage.source.play(Play::Hold(half.into_bytes()));
    let calls = stage.source.calls_count();
    let wait = async {
        while stage.source.calls_count() == calls {
            tokio::task::yield_now().await;
        }
        // In steps: the wait for the body begins only when the head has been read.
        for _ in 0..=BODY_IDLE_TIMEOUT.as_secs() {
            pass(Duration::from_secs(1)).await;
        }
    };
    let (answer, ()) = tokio::join!(stage.ask(), wait);
    let answer = answer.unwrap();
    refused(&stage, "half an answer", &answer, ProblemCode::SourceTimeout).await;
    stage.stop().await;
}

#[tokio::test]
async fn answer_over_the_limit_is_refused_by_its_length_or_as_it_comes() {
    let stage = Stage::start().await.unwrap();
    let too_much = JSON_BODY_MAX_BYTES + 1;
    let announced = head(200, &format!("content-length: {too_much}")) + MARK;
    stage.source.play(Play::Hold(announced.into_bytes()));
    let answer = stage.ask().await.unwrap();
    let code = ProblemCode::AnswerTooLarge;
    let message = refused(&stage, "announced", &answer, code).await;
    assert!(message.contains(&JSON_BODY_MAX_BYTES.to_string()), "{message}");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let unannounced = head(200, "transfer-encoding: chunked") + &chunk.repeat(5) + "0\r\n\r\n";
    stage.source.play(Play::Close(unannounced.into_bytes()));
    let answer = stage.ask().await.unwrap();
    refused(&stage, "in chunks", &answer, code).await;
    stage.stop().await;
}

/// What passes as the source's own answer: no error of a hub, and a receipt.
fn passed(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.header("x-road-error")), (status, None), "{answer:?}");
    assert!(answer.header("koprik-receipt").is_some());
}

#[tokio::test]
async fn fault_of_the_source_that_the_contract_has_is_passed_on_as_it_is() {
    let stage = Stage::start().await.unwrap();
    let cases = [(404, json!({"error": "no_record"})), (503, json!({"error": "maintenance"}))];
    for (status, body) in cases {
        stage.source.play(Play::json(status, &body));
        let answer = stage.ask().await.unwrap();
        passed(&answer, status);
        assert_eq!(answer.json().unwrap(), body);
    }
    stage.stop().await;
}

#[tokio::test]
async fn service_without_contract_passes_any_answer_on_and_follows_no_redirect() {
    let stage = Stage::start().await.unwrap();
    let elsewhere = format!("http://{}/elsewhere", stage.source.address);
    let cases = [
        (302, Some(elsewhere.as_str()), &b""[..]),
        (404, None, b"<html>no such page</html>"),
        (500, None, b"it broke"),
        (204, None, b""),
        (200, None, b"\x00\xff not JSON"),
    ];
    for (nth, (status, location, body)) in cases.into_iter().enumerate() {
        let location: Vec<_> = location.map(|to| ("Location", to)).into_iter().collect();
        stage.source.play(Play::answer(status, &location, body));
        let answer = stage.caller.get(FILES, "/a").await.unwrap();
        passed(&answer, status);
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("location"), location.first().map(|(_, to)| *to));
        assert_eq!(stage.source.calls_count(), nth + 1);
    }
    stage.stop().await;
}

#[tokio::test]
async fn source_cannot_speak_in_the_name_of_a_hub() {
    let stage = Stage::start().await.unwrap();
    let body = json!({"type": "server.serverproxy.access_denied", "message": "", "detail": ""});
    let said = [
        ("X-Road-Error", "server.serverproxy.access_denied"),
        ("Koprik-Receipt", "log=\"another\"; index=1; exchange=\"x\""),
        ("Koprik-Grant", "another"),
        ("X-Road-Request-Id", "another"),
        ("X-Road-Client", "UZ/GOV/PENSIONS/pensions"),
        ("Signature", "koprik=:AAAA:"),
        ("Content-Digest", "sha-256=:AAAA:"),
    ];
    stage.source.play(Play::answer(500, &said, body.to_string().as_bytes()));
    let answer = stage.caller.get(FILES, "/a").await.unwrap();
    passed(&answer, 500);
    assert_eq!(answer.header("koprik-grant"), Some("files"));
    assert_eq!(answer.header("x-road-client"), Some(federation::agencies::REGISTER));
    assert!(answer.header("koprik-receipt").unwrap().contains(answer.exchange().unwrap()));
    assert_eq!(answer.header("signature"), None);
    stage.stop().await;
}

#[tokio::test]
async fn unavailable_and_no_record_and_forbidden_are_told_apart() {
    let stage = Stage::start().await.unwrap();
    stage.source.play(Play::json(404, &json!({"error": "no_record"})));
    let no_record = stage.ask().await.unwrap();
    passed(&no_record, 404);
    stage.source.play(Play::Close(Vec::new()));
    let unavailable = stage.ask().await.unwrap();
    refused(&stage, "away", &unavailable, ProblemCode::SourceUnreachable).await;
    stage.reconfigure(|config| config.grants.clear()).await.unwrap();
    let forbidden = stage.ask().await.unwrap();
    refused(&stage, "forbidden", &forbidden, ProblemCode::AccessDenied).await;
    // A caller that reads nothing but `X-Road-Error` knows which it was, and whether to come back.
    let code = |answer: &Answer| {
        answer.header("x-road-error").map(|code| code.parse::<ProblemCode>().unwrap())
    };
    assert_eq!(code(&no_record), None);
    let retry = |answer: &Answer| code(answer).map(ProblemCode::retry);
    assert_eq!(retry(&unavailable), Some(schemas::problem::Retry::Later));
    assert_eq!(retry(&forbidden), Some(schemas::problem::Retry::No));
    let records = async |hub| {
        let detail = unavailable.problem().unwrap().detail;
        let steps = Operator::of(stage.hub(hub).unwrap()).explain(&detail).await.unwrap();
        steps.iter().map(|step| step["record"]["kind"].clone()).collect::<Vec<_>>()
    };
    // Promise P1: the request's record was there before the source was asked.
    assert_eq!(records(PROVIDER).await, ["request", "refusal"]);
    stage.stop().await;
}

#[tokio::test]
async fn source_gets_the_request_that_was_signed_and_nothing_of_the_hubs_own() {
    let stage = Stage::start().await.unwrap();
    let mut request = stage.caller.request(Method::GET, PEOPLE, PERSON, "").unwrap();
    for (name, value) in [
        ("x-road-id", "case-4711"),
        ("x-road-userid", "officer"),
        ("authorization", "Bearer source"),
        ("signature", "koprik=:AAAA:"),
        ("koprik-grant", "another"),
        ("x-road-request-hash", "AAAA"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = stage.caller.send(request).await.unwrap();
    passed(&answer, 200);
    let calls = stage.source.calls();
    let heard = &calls[0];
    assert_eq!(heard.asked(), ("GET", PERSON));
    assert_eq!(heard.header("x-road-id"), Some("case-4711"));
    assert_eq!(heard.header("x-road-userid"), Some("officer"));
    assert_eq!(heard.header("authorization"), Some("Bearer source"));
    assert_eq!(heard.header("x-road-request-id"), answer.exchange());
    for name in ["signature", "signature-input", "koprik-grant", "x-road-request-hash"] {
        assert_eq!(heard.header(name), None, "{name}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn slow_source_does_not_hold_up_another() {
    let stage = Stage::start().await.unwrap();
    let other = federation::scripted::Scripted::start(Play::silence()).await.unwrap();
    stage
        .reconfigure(|config| {
            let files = config.services.iter_mut().find(|s| s.id.as_str() == FILES).unwrap();
            files.url = format!("http://{}", other.address);
            files.timeout_seconds = Some(30);
        })
        .await
        .unwrap();
    let slow = stage.caller.get(FILES, "/a");
    let quick = async {
        while other.calls_count() == 0 {
            tokio::task::yield_now().await;
        }
        stage.ask().await
    };
    tokio::select! {
        answer = quick => assert_eq!(answer.unwrap().status, 200),
        _ = slow => panic!("the silent source answered first"),
    }
    stage.stop().await;
}
