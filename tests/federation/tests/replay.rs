//! Signed requests out of their time: captured and sent again, expired, or from the future.
//!
//! ```text
//! rogue with the register's keys, and every request it ever saw → real provider's hub → source
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::time::Duration;

use bytes::Bytes;
use federation::Answer;
use federation::agencies::REGISTER;
use federation::refused::Recorded;
use federation::rogue;
use federation::stage::{self, BYSTANDER, CONSUMER, PEOPLE, PERSON, PROVIDER, Stage};
use http::{Method, Request};
use schemas::limits::{CLOCK_SKEW, MESSAGE_LIFETIME};
use schemas::problem::ProblemCode;

const SECOND: Duration = Duration::from_secs(1);

async fn provider_alone() -> Stage {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    stage
}

async fn send(stage: &Stage, request: &Request<Bytes>) -> Answer {
    stage.connect_as(CONSUMER).await.unwrap().send(request.clone()).await.unwrap()
}

async fn refused(stage: &Stage, answer: &Answer, code: ProblemCode) -> String {
    let calls = stage.source.calls_count();
    let body = federation::refused::error_body(answer, code).unwrap();
    assert_eq!(stage.source.calls_count(), calls);
    body.message
}

/// A request that the register's hub could have signed at another moment, good for so long.
fn signed(stage: &Stage, created_seconds: u64, life: Duration) -> Request<Bytes> {
    let target = format!("{PEOPLE}{PERSON}");
    let mut request = rogue::request(Method::GET, REGISTER, &target, "").unwrap();
    let keys = stage.signing_keys(CONSUMER).unwrap();
    let mut parameters = keys.parameters(stage.clock.now());
    parameters.created = created_seconds;
    parameters.expires = created_seconds + life.as_secs();
    rogue::sign_request(&mut request, &keys, &parameters).unwrap();
    request
}

#[tokio::test]
async fn captured_request_is_good_once_on_any_connection() {
    let stage = provider_alone().await;
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    let mut connection = stage.connect_as(CONSUMER).await.unwrap();
    assert_eq!(connection.send(request.clone()).await.unwrap().status, 200);
    let again = connection.send(request.clone()).await.unwrap();
    refused(&stage, &again, ProblemCode::Replayed).await;
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    let elsewhere = stage.connect_as(BYSTANDER).await.unwrap().send(request).await.unwrap();
    refused(&stage, &elsewhere, ProblemCode::PeerNotAuthorised).await;
    assert_eq!(stage.source.calls_count(), 1);
    let fresh = stage.signed(Method::GET, PERSON, "").unwrap();
    assert_eq!(connection.send(fresh).await.unwrap().status, 200);
    stage.stop().await;
}

#[tokio::test]
async fn replay_is_a_record_with_its_reason_beside_the_exchange() {
    let stage = provider_alone().await;
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    assert_eq!(send(&stage, &request).await.status, 200);
    let answer = send(&stage, &request).await;
    stage.refused(&answer, ProblemCode::Replayed, Recorded::AtProvider).await.unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn same_request_many_times_at_once_reaches_the_source_once() {
    let stage = provider_alone().await;
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    let sent = (0..8).map(|_| send(&stage, &request));
    let answers = futures_util::future::join_all(sent).await;
    let good = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((good, stage.source.calls_count()), (1, 1));
    stage.stop().await;
}

#[tokio::test]
async fn captured_request_is_refused_after_a_restart_too_whether_the_index_is_there_or_not() {
    let mut stage = provider_alone().await;
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    assert_eq!(send(&stage, &request).await.status, 200);
    stage.federation.stop_hub(PROVIDER).await;
    stage.federation.start_hub(PROVIDER).await.unwrap();
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    // The index is not trusted: it may be gone, or something else.
    stage.federation.stop_hub(PROVIDER).await;
    let index = stage.place(PROVIDER).unwrap().dir.join("data/log/index");
    std::fs::remove_dir_all(&index).unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    assert_eq!(stage.source.calls_count(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn request_that_was_refused_cannot_be_sent_again_when_it_would_be_permitted() {
    let stage = provider_alone().await;
    stage.reconfigure(|config| config.grants.clear()).await.unwrap();
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    refused(&stage, &send(&stage, &request).await, ProblemCode::AccessDenied).await;
    let grant = stage::grant("people", PEOPLE).unwrap();
    stage.reconfigure(|config| config.grants = vec![grant]).await.unwrap();
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    stage.stop().await;
}

/// A record has one spelling of its id: evidence of a request that was signed with another would not agree with it.
#[tokio::test]
async fn an_id_in_another_spelling_is_refused_though_it_is_signed() {
    let stage = provider_alone().await;
    let id = "7c1b4f0e-6a0c-4e0e-9d9b-2f1f7c0e9a11";
    let bare = id.replace('-', "");
    let spellings = [id.to_uppercase(), bare, format!("{{{id}}}"), format!("urn:uuid:{id}")];
    let target = format!("{PEOPLE}{PERSON}");
    let keys = stage.signing_keys(CONSUMER).unwrap();
    let signed = |id: &str| {
        let mut request = rogue::request(Method::GET, REGISTER, &target, "").unwrap();
        request.headers_mut().insert("x-road-request-id", id.parse().unwrap());
        let parameters = keys.parameters(stage.clock.now());
        rogue::sign_request(&mut request, &keys, &parameters).unwrap();
        request
    };
    for spelled in &spellings {
        let answer = send(&stage, &signed(spelled)).await;
        let message = refused(&stage, &answer, ProblemCode::RequestSignature).await;
        assert!(message.contains("small letters"), "{spelled}: {message}");
    }
    assert_eq!(send(&stage, &signed(id)).await.status, 200);
    stage.stop().await;
}

#[tokio::test]
async fn forgery_does_not_use_up_the_id_of_an_honest_request() {
    let mut stage = provider_alone().await;
    let first = stage.signed(Method::GET, PERSON, "").unwrap();
    let second = stage.signed(Method::GET, PERSON, "").unwrap();
    for honest in [&first, &second] {
        let mut forged = honest.clone();
        forged.headers_mut().remove("signature");
        refused(&stage, &send(&stage, &forged).await, ProblemCode::RequestSignature).await;
    }
    assert_eq!(send(&stage, &first).await.status, 200);
    stage.federation.stop_hub(PROVIDER).await;
    stage.federation.start_hub(PROVIDER).await.unwrap();
    assert_eq!(send(&stage, &second).await.status, 200, "after a restart too");
    stage.stop().await;
}

#[tokio::test]
async fn signature_is_good_within_its_life_and_the_skew_of_the_clocks() {
    let stage = provider_alone().await;
    let now = stage.clock.now().seconds();
    let (life, skew) = (MESSAGE_LIFETIME.as_secs(), CLOCK_SKEW.as_secs());
    for good in [now - life - skew, now, now + skew] {
        let answer = send(&stage, &signed(&stage, good, MESSAGE_LIFETIME)).await;
        assert_eq!(answer.status, 200, "made {} s from now", i128::from(good) - i128::from(now));
    }
    let calls = stage.source.calls_count();
    let cases = [
        (signed(&stage, now - life - skew - 1, MESSAGE_LIFETIME), "has expired"),
        (signed(&stage, now - 3600, MESSAGE_LIFETIME), "has expired"),
        (signed(&stage, now + skew + 1, MESSAGE_LIFETIME), "made in the future"),
        (signed(&stage, now, MESSAGE_LIFETIME + SECOND), "lives longer"),
        (signed(&stage, now, 3600 * SECOND), "lives longer"),
    ];
    for (request, words) in cases {
        let answer = send(&stage, &request).await;
        let code = ProblemCode::RequestExpired;
        let message = stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(stage.source.calls_count(), calls);
    stage.stop().await;
}

/// The longest that a signature can be good: made as far in the future as clocks may differ, sent at once.
#[tokio::test]
async fn id_is_remembered_for_as_long_as_any_signature_can_be_good() {
    let stage = provider_alone().await;
    let now = stage.clock.now().seconds();
    let request = signed(&stage, now + CLOCK_SKEW.as_secs(), MESSAGE_LIFETIME);
    assert_eq!(send(&stage, &request).await.status, 200);
    let longest = MESSAGE_LIFETIME + CLOCK_SKEW + CLOCK_SKEW;
    stage.clock.advance(longest);
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    // Signatures count whole seconds, so the last one is good to its end.
    stage.clock.advance(SECOND - Duration::from_millis(1));
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    stage.clock.advance(Duration::from_millis(1));
    refused(&stage, &send(&stage, &request).await, ProblemCode::RequestExpired).await;
    assert_eq!(stage.source.calls_count(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn id_is_remembered_for_as_long_after_a_restart() {
    let mut stage = provider_alone().await;
    let now = stage.clock.now().seconds();
    let request = signed(&stage, now + CLOCK_SKEW.as_secs(), MESSAGE_LIFETIME);
    assert_eq!(send(&stage, &request).await.status, 200);
    stage.federation.stop_hub(PROVIDER).await;
    let longest = MESSAGE_LIFETIME + CLOCK_SKEW + CLOCK_SKEW + SECOND;
    stage.clock.advance(longest - Duration::from_millis(1));
    stage.federation.start_hub(PROVIDER).await.unwrap();
    refused(&stage, &send(&stage, &request).await, ProblemCode::Replayed).await;
    assert_eq!(stage.source.calls_count(), 1);
    stage.stop().await;
}
