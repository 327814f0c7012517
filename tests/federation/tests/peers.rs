//! Who is on the other side: security servers that are not registered, speak for others, or stand where
//! another should.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::sync::Arc;

use bytes::Bytes;
use federation::agencies::{Agency, REGISTER};
use federation::refused::Recorded;
use federation::rogue::{
    self, RogueConsumer, RogueProvider, SigningKeys, honest_answer, sign_answer,
};
use federation::stage::{self, BYSTANDER, CONSUMER, PEOPLE, PERSON, PROVIDER, Stage};
use http::{Method, Request, Response};
use pki::tls::Identity;
use schemas::problem::ProblemCode;
use serde_json::json;

/// The bystander's own subsystem.
fn bystanders() -> String {
    Agency::named(BYSTANDER).unwrap().subsystem_id()
}

async fn provider_alone() -> Stage {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    stage
}

#[tokio::test]
async fn server_whose_certificate_is_not_registered_is_refused_in_the_handshake() {
    let stage = provider_alone().await;
    let (layout, now) = (&stage.federation.layout, stage.clock.now());
    let own = rogue::identity(&stage.place(CONSUMER).unwrap().dir, "peer").unwrap();
    let caller = |identity: &Identity| RogueConsumer::new(identity, &stage.clock).unwrap();
    let address = stage.place(PROVIDER).unwrap().peer;
    let request = || stage.signed(Method::GET, PERSON, "").unwrap();
    let sent = caller(&own).connect(address).await.unwrap().send(request()).await.unwrap();
    assert_eq!(sent.status, 200, "the registered certificate is taken");
    let records = stage.hub(PROVIDER).unwrap().log().size();
    // Issued by the instance's own authority in the name of a registered server.
    let unregistered = rogue::unregistered_identity(layout, "UZ/GOV/NASP/hub-1", now).unwrap();
    let dir = &stage.place(CONSUMER).unwrap().dir;
    let edge = rogue::identity(dir, "edge").unwrap();
    let client = rogue::identity(dir, "client").unwrap();
    let refused =
        [caller(&unregistered), caller(&edge), caller(&client), caller(&own).without_certificate()];
    for (nth, caller) in refused.into_iter().enumerate() {
        let sent = async { caller.connect(address).await?.send(request()).await };
        assert!(sent.await.is_err(), "case {nth}");
    }
    assert_eq!(stage.hub(PROVIDER).unwrap().log().size(), records, "nothing was heard");
    assert_eq!(stage.source.calls_count(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn server_that_speaks_for_a_member_it_does_not_serve_is_refused() {
    let stage = provider_alone().await;
    // Everything about the request is good, but it comes through another member's server.
    let request = stage.signed(Method::GET, PERSON, "").unwrap();
    let mut bystander = stage.connect_as(BYSTANDER).await.unwrap();
    let answer = bystander.send(request).await.unwrap();
    let code = ProblemCode::PeerNotAuthorised;
    let message = stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    assert!(message.contains("not registered for this client"), "{message}");
    for client in ["", "UZ/GOV/NASP", "register"] {
        let mut request = stage.signed(Method::GET, PERSON, "").unwrap();
        request.headers_mut().insert("x-road-client", client.parse().unwrap());
        let answer = bystander.send(request).await.unwrap();
        let message = stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
        assert!(message.contains("X-Road-Client"), "{client}: {message}");
    }
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

#[tokio::test]
async fn server_that_speaks_for_its_own_member_is_heard_and_still_needs_a_grant() {
    let stage = provider_alone().await;
    let keys = stage.signing_keys(BYSTANDER).unwrap();
    let target = format!("{PEOPLE}{PERSON}");
    let mut request = rogue::request(Method::GET, &bystanders(), &target, "").unwrap();
    rogue::sign_request(&mut request, &keys, &keys.parameters(stage.clock.now())).unwrap();
    let answer = stage.connect_as(BYSTANDER).await.unwrap().send(request).await.unwrap();
    let code = ProblemCode::AccessDenied;
    stage.refused(&answer, code, Recorded::AtProvider).await.unwrap();
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}

/// Something with an identity in the provider's place; the consumer's hub runs.
async fn in_the_providers_place(
    identity: impl FnOnce(&Stage) -> Identity,
) -> (Stage, RogueProvider) {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let (identity, address) = (identity(&stage), stage.place(PROVIDER).unwrap().peer);
    let keys = stage.signing_keys(PROVIDER).unwrap();
    let now = stage.clock.now();
    let rogue = RogueProvider::start(address, &identity, &stage.clock, move |request| {
        Some(answer_as(request, &keys, now))
    });
    let rogue = rogue.await.unwrap();
    (stage, rogue)
}

fn answer_as(
    request: &Request<Bytes>,
    keys: &SigningKeys,
    now: schemas::clock::UnixMillis,
) -> Response<Bytes> {
    let mut answer = honest_answer(request, 200, json!({"from": "rogue"}).to_string()).unwrap();
    sign_answer(&mut answer, request, keys, &keys.parameters(now)).unwrap();
    answer
}

#[tokio::test]
async fn server_that_stands_in_the_providers_place_hears_nothing() {
    let unregistered = |stage: &Stage| {
        let (layout, now) = (&stage.federation.layout, stage.clock.now());
        rogue::unregistered_identity(layout, "UZ/GOV/TAX/hub-1", now).unwrap()
    };
    let (stage, rogue) = in_the_providers_place(unregistered).await;
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::NetworkError, Recorded::AtConsumer).await.unwrap();
    assert!(rogue.asked().is_empty());
    stage.stop().await;

    // A registered server, and the provider's own signing keys, but not the server of this address.
    let others =
        |stage: &Stage| rogue::identity(&stage.place(BYSTANDER).unwrap().dir, "peer").unwrap();
    let (stage, rogue) = in_the_providers_place(others).await;
    let answer = stage.ask().await.unwrap();
    stage.refused(&answer, ProblemCode::NetworkError, Recorded::AtConsumer).await.unwrap();
    assert!(rogue.asked().is_empty());
    stage.stop().await;

    let own = |stage: &Stage| rogue::identity(&stage.place(PROVIDER).unwrap().dir, "peer").unwrap();
    let (stage, rogue) = in_the_providers_place(own).await;
    assert_eq!(stage.ask().await.unwrap().json().unwrap(), json!({"from": "rogue"}));
    assert_eq!(rogue.asked().len(), 1, "with the right keys it is the provider");
    stage.stop().await;
}

/// The bystander's server serves the provider's subsystem too.
async fn with_second_server(stage: &Stage) -> RogueProvider {
    let subsystem = stage::PROVIDER_SUBSYSTEM;
    stage
        .federation
        .publish(|content| {
            let servers = content.servers.iter_mut();
            let mut second = servers.filter(|server| server.id.as_str() == "UZ/GOV/PENSIONS/hub-1");
            second.next().unwrap().clients.push(subsystem.parse().unwrap());
        })
        .await
        .unwrap();
    let place = stage.place(BYSTANDER).unwrap();
    let identity = rogue::identity(&place.dir, "peer").unwrap();
    let keys = Arc::new(stage.signing_keys(PROVIDER).unwrap());
    let now = stage.clock.now();
    let rogue = RogueProvider::start(place.peer, &identity, &stage.clock, move |request| {
        Some(answer_as(request, &keys, now))
    });
    rogue.await.unwrap()
}

#[tokio::test]
async fn second_server_of_the_provider_is_asked_when_the_first_is_down_or_when_it_is_named() {
    let mut stage = Stage::start().await.unwrap();
    let second = with_second_server(&stage).await;
    assert_eq!(stage.ask().await.unwrap().json().unwrap(), stage::person());
    let mut request = stage.caller.request(Method::GET, PEOPLE, PERSON, "").unwrap();
    let name = "UZ/GOV/PENSIONS/hub-1".parse().unwrap();
    request.headers_mut().insert("x-road-security-server", name);
    let named = stage.caller.send(request.clone()).await.unwrap();
    assert_eq!(named.json().unwrap(), json!({"from": "rogue"}));
    stage.federation.stop_hub(PROVIDER).await;
    assert_eq!(stage.ask().await.unwrap().json().unwrap(), json!({"from": "rogue"}));
    let name = "UZ/GOV/TAX/hub-1".parse().unwrap();
    request.headers_mut().insert("x-road-security-server", name);
    let answer = stage.caller.send(request).await.unwrap();
    stage.refused(&answer, ProblemCode::NetworkError, Recorded::AtConsumer).await.unwrap();
    assert_eq!(second.asked().len(), 2, "the server that was named, and no other");
    stage.stop().await;
}

#[tokio::test]
async fn plain_connection_to_the_peer_port_is_no_way_in() {
    let stage = provider_alone().await;
    let address = stage.place(PROVIDER).unwrap().peer;
    let head = format!(
        "GET /r1/{PEOPLE}{PERSON} HTTP/1.1\r\nhost: hub\r\nx-road-client: {REGISTER}\r\n\r\n"
    );
    let received = federation::raw::talk(address, head.as_bytes()).await.unwrap();
    assert!(!received.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&received));
    assert_eq!(stage.source.calls_count(), 0);
    stage.stop().await;
}
