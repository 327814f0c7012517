//! Refusals when something is full, slow, away or broken on the side of the hubs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use federation::Answer;
use federation::agencies::REGISTER;
use federation::operator::Operator;
use federation::raw;
use federation::refused::{Recorded, error_body};
use federation::rogue::{self, Connection, Pause, RogueProvider};
use federation::stage::{self, CONSUMER, FILES, PEOPLE, PERSON, PROVIDER, Stage};
use http::{Method, Request};
use schemas::limits::{
    BODY_IDLE_TIMEOUT, BODY_MAX_BYTES, EXCHANGES_MAX_COUNT, HEADERS_TIMEOUT, PEER_TIMEOUT,
};
use schemas::problem::ProblemCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Streams on one connection; under the limit of a hub.
const STREAMS_COUNT: usize = 256;
/// Larger than what a hub holds in memory, so that it goes to the spool.
const SPOOLED_BYTES: usize = 300 * 1024;

/// Lets tokio's time pass without waiting.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Starts exchanges whose bodies never come until the hub has refused one with this code, and gives the
/// refusal of an honest call; then lets go, until honest calls are answered again.
async fn fill(
    stage: &Stage,
    hub: &str,
    code: ProblemCode,
    connect: impl AsyncFn() -> Connection,
    call: impl Fn() -> Request<Bytes>,
) -> Answer {
    let operator = Operator::of(stage.hub(hub).unwrap());
    let mut connections = Vec::new();
    // No honest call is under way while the places are filled, or it would leave one free.
    while !String::from_utf8_lossy(&operator.get("/metrics").await.unwrap().body)
        .contains(code.as_str())
    {
        assert!(
            connections.len() * STREAMS_COUNT < 2 * EXCHANGES_MAX_COUNT,
            "it takes more than it should"
        );
        let mut connection = connect().await;
        for _ in 0..STREAMS_COUNT {
            connection.send_head(call()).await.unwrap();
        }
        connections.push(connection);
    }
    assert!(connections.len() * STREAMS_COUNT > EXCHANGES_MAX_COUNT, "it is full too early");
    let refused = stage.caller.get(FILES, "/x").await.unwrap();
    drop(connections);
    for _ in 0..1_000 {
        if stage.caller.get(FILES, "/x").await.unwrap().status == 200 {
            return refused;
        }
    }
    panic!("the places are not given back");
}

#[tokio::test]
async fn consumers_hub_that_carries_as_many_exchanges_as_it_can_refuses_the_next() {
    let stage = Stage::start().await.unwrap();
    let edge = stage.place(CONSUMER).unwrap().edge_plain;
    let connect = async || Connection::plain(edge).await.unwrap();
    let call = || rogue::request(Method::POST, REGISTER, &format!("{FILES}/x"), "").unwrap();
    let answer = fill(&stage, CONSUMER, ProblemCode::Overloaded, connect, call).await;
    stage.refused(&answer, ProblemCode::Overloaded, Recorded::AtConsumer).await.unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn providers_hub_that_carries_as_many_exchanges_as_it_can_refuses_the_next() {
    let stage = Stage::start().await.unwrap();
    let keys = stage.signing_keys(CONSUMER).unwrap();
    let parameters = keys.parameters(stage.clock.now());
    let connect = async || stage.connect_as(CONSUMER).await.unwrap();
    let call = || {
        let mut call = rogue::request(Method::POST, REGISTER, &format!("{FILES}/x"), "").unwrap();
        rogue::sign_request(&mut call, &keys, &parameters).unwrap();
        call
    };
    let answer = fill(&stage, PROVIDER, ProblemCode::ProviderOverloaded, connect, call).await;
    stage.refused(&answer, ProblemCode::ProviderOverloaded, Recorded::AtBoth).await.unwrap();
    stage.stop().await;
}

/// Sends raw bytes to the edge and gives the answer to what was not even a whole request.
async fn unfinished(stage: &Stage, bytes: &[u8], time: Duration) -> Answer {
    let edge = stage.place(CONSUMER).unwrap().edge_plain;
    let mut stream = TcpStream::connect(edge).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let before = stage.hub(CONSUMER).unwrap().log().size();
    let mut received = Vec::new();
    loop {
        // The hub has the head when it either waits for the body or has answered.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if !time.is_zero() {
            pass(time).await;
        }
        if stream.read_buf(&mut received).await.unwrap() == 0 {
            panic!("closed without an answer after {before} records");
        }
        if let Some((message, _)) = raw::Message::parse(&received) {
            let mut answer = http::Response::builder().status(message.status());
            for (name, value) in &message.headers {
                answer = answer.header(name, value);
            }
            let (parts, body) = answer.body(message.body).unwrap().into_parts();
            return Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: body.into(),
            };
        }
    }
}

fn head(length: u64) -> String {
    format!(
        "POST /r1/{FILES}/x HTTP/1.1\r\nhost: hub\r\nx-road-client: {REGISTER}\r\n\
         content-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn body_over_the_limit_is_refused_by_its_length_alone() {
    let stage = Stage::start().await.unwrap();
    let bytes = head(BODY_MAX_BYTES + 1);
    let answer = unfinished(&stage, bytes.as_bytes(), Duration::ZERO).await;
    let code = ProblemCode::RequestTooLarge;
    let message = stage.refused(&answer, code, Recorded::AtConsumer).await.unwrap();
    assert!(message.contains(&BODY_MAX_BYTES.to_string()), "{message}");
    stage.stop().await;
}

#[tokio::test]
async fn body_that_does_not_go_on_is_refused() {
    let stage = Stage::start().await.unwrap();
    let bytes = head(100) + "the beginning";
    let answer = unfinished(&stage, bytes.as_bytes(), BODY_IDLE_TIMEOUT).await;
    stage.refused(&answer, ProblemCode::IncompleteBody, Recorded::AtConsumer).await.unwrap();
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

#[tokio::test]
async fn body_of_another_hub_that_does_not_go_on_is_refused_as_what_it_is() {
    let stage = Stage::start().await.unwrap();
    let mut request =
        rogue::request(Method::POST, REGISTER, &format!("{FILES}/x"), "question").unwrap();
    let keys = stage.signing_keys(CONSUMER).unwrap();
    rogue::sign_request(&mut request, &keys, &keys.parameters(stage.clock.now())).unwrap();
    request.extensions_mut().insert(Pause(Arc::default()));
    let mut connection = stage.connect_as(CONSUMER).await.unwrap();
    let wait = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        pass(BODY_IDLE_TIMEOUT).await;
    };
    let (answer, ()) = tokio::join!(connection.send(request), wait);
    let code = ProblemCode::RequestIncomplete;
    error_body(&answer.unwrap(), code).unwrap();
    let operator = Operator::of(stage.hub(PROVIDER).unwrap());
    assert_eq!(operator.outcomes(code.as_str()).await.unwrap().len(), 1);
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

#[tokio::test]
async fn provider_that_cannot_be_reached_is_named() {
    let mut stage = Stage::start().await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage.federation.stop_hub(PROVIDER).await;
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::NetworkError, Recorded::AtConsumer).await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 200, "and it is found again");
    stage.stop().await;
}

#[tokio::test]
async fn provider_that_does_not_answer_in_time_is_given_up() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let place = stage.place(PROVIDER).unwrap();
    let identity = rogue::identity(&place.dir, "peer").unwrap();
    let rogue = RogueProvider::start(place.peer, &identity, &stage.clock, |_| None).await.unwrap();
    let wait = async {
        while rogue.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        pass(PEER_TIMEOUT).await;
    };
    let (answer, ()) = tokio::join!(stage.ask(), wait);
    let code = ProblemCode::PeerTimeout;
    stage.refused(&answer.unwrap(), code, Recorded::AtConsumer).await.unwrap();
    stage.stop().await;
}

/// Before the first byte nobody knows which HTTP it will be; still a place is not held for nothing.
#[tokio::test]
async fn connection_that_says_nothing_is_closed_and_one_that_asked_is_not() {
    let stage = Stage::start().await.unwrap();
    let place = stage.place(CONSUMER).unwrap();
    let mut silent = TcpStream::connect(place.edge_plain).await.unwrap();
    let mut asking = Connection::plain(place.edge_plain).await.unwrap();
    let call = || rogue::request(Method::GET, REGISTER, &format!("{FILES}/x"), "").unwrap();
    asking.send(call()).await.unwrap();
    pass(HEADERS_TIMEOUT + Duration::from_secs(1)).await;
    let soon = Duration::from_secs(10);
    let end = tokio::time::timeout(soon, silent.read(&mut [0])).await;
    assert_eq!(end.expect("closed by now").unwrap(), 0);
    let answer = tokio::time::timeout(soon, asking.send(call())).await;
    answer.expect("still served").unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn source_is_not_asked_when_the_providers_log_cannot_write() {
    let stage = Stage::start().await.unwrap();
    stage.hub(PROVIDER).unwrap().log().close().await;
    let answer = stage.ask().await.unwrap();
    let detail = error_body(&answer, ProblemCode::ProviderLogFailed).unwrap().detail;
    // The provider's own record is what is missing, so only the consumer has one.
    let operator = Operator::of(stage.hub(CONSUMER).unwrap());
    let steps = operator.explain(&detail).await.unwrap();
    let outcome = &steps.last().unwrap()["record"]["outcome"];
    assert_eq!(outcome, ProblemCode::ProviderLogFailed.as_str());
    assert_eq!(stage.source.calls_count(), 0, "promise P1");
    stage.stop().await;
}

#[tokio::test]
async fn nothing_of_an_answer_comes_through_when_the_consumers_log_cannot_write() {
    let stage = Stage::start().await.unwrap();
    stage.hub(CONSUMER).unwrap().log().close().await;
    let answer = stage.ask().await.unwrap();
    error_body(&answer, ProblemCode::ConsumerLogFailed).unwrap();
    assert_eq!(stage.source.calls_count(), 0, "nor is anybody asked");
    let income = stage::person()["income_soum"].to_string();
    assert!(!String::from_utf8_lossy(&answer.body).contains(&income), "promise P2");
    stage.stop().await;
}

#[tokio::test]
async fn hub_whose_spool_is_gone_says_that_it_is_its_own_fault() {
    for (hub, code, recorded) in [
        (CONSUMER, ProblemCode::ConsumerInternal, Recorded::AtConsumer),
        (PROVIDER, ProblemCode::ProviderInternal, Recorded::AtBoth),
    ] {
        let stage = Stage::start().await.unwrap();
        std::fs::remove_dir_all(stage.place(hub).unwrap().dir.join("data/spool")).unwrap();
        let request =
            stage.caller.request(Method::POST, FILES, "/x", vec![b'x'; SPOOLED_BYTES]).unwrap();
        let answer = stage.caller.send(request).await.unwrap();
        let message = stage.refused(&answer, code, recorded).await.unwrap();
        assert!(!message.contains("No such file"), "nothing internal for the caller: {message}");
        assert_eq!(stage.source.calls_count(), 0);
        let small = stage.caller.get(PEOPLE, PERSON).await.unwrap();
        assert_eq!(small.status, 200, "{hub}: what needs no spool goes on");
        stage.stop().await;
    }
}
