//! One id on more records than one exchange has: claimed without a signature, sent again, or used twice at once.
//!
//! ```text
//! rogue with the register's keys → real provider's hub → source; operator → evidence, explanation, search
//! ```

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use federation::agencies::REGISTER;
use federation::operator::Operator;
use federation::rogue;
use federation::source::{self, Source};
use federation::stage::{CONSUMER, FILES, PEOPLE, PERSON, PROVIDER, Stage};
use http::{Method, Request};
use hub_core::evidence::{self, Proved};
use schemas::configuration::Anchor;
use schemas::record::Kind;
use serde_json::Value;

const ID: &str = "7c1b4f0e-6a0c-4e0e-9d9b-2f1f7c0e9a11";

/// A request with [`ID`], signed or not.
fn request(stage: &Stage, target: &str, is_signed: bool) -> Request<Bytes> {
    let mut request = rogue::request(Method::GET, REGISTER, target, "").unwrap();
    request.headers_mut().insert("x-road-request-id", ID.parse().unwrap());
    if is_signed {
        let keys = stage.signing_keys(CONSUMER).unwrap();
        let parameters = keys.parameters(stage.clock.now());
        rogue::sign_request(&mut request, &keys, &parameters).unwrap();
    }
    request
}

/// Sends one after another on one connection; the status of the last.
async fn send(stage: &Stage, request: &Request<Bytes>, times: usize) -> u16 {
    let mut connection = stage.connect_as(CONSUMER).await.unwrap();
    let mut status = 0;
    for _ in 0..times {
        status = connection.send(request.clone()).await.unwrap().status;
    }
    status
}

/// What the provider's evidence of [`ID`] proves: the indexes, kinds and bodies' hashes of the records.
async fn proved(stage: &Stage, query: &str) -> Proved {
    let anchor = std::fs::read_to_string(&stage.federation.layout.anchor).unwrap();
    let anchor: Anchor = serde_json::from_str(&anchor).unwrap();
    let operator = Operator::of(stage.hub(PROVIDER).unwrap());
    let file = operator.get(&format!("/v1/evidence/{ID}{query}")).await.unwrap();
    assert_eq!(file.status, 200, "{query}: {}", String::from_utf8_lossy(&file.body));
    evidence::verify(&file.body, &anchor).unwrap()
}

fn places(proved: &Proved) -> Vec<(u64, Kind)> {
    proved.records.iter().map(|(index, record)| (*index, record.kind)).collect()
}

/// Index and kind of what the operator is told, in its order.
fn listed(records: &Value) -> Vec<(u64, &str)> {
    let records = records.as_array().unwrap().iter();
    let read = |found: &Value| found["index"].as_u64().unwrap();
    records.map(|found| (read(found), found["record"]["kind"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn an_exchange_is_found_and_proved_among_any_number_of_claims_and_replays() {
    // More than one answer of the index holds, before and after.
    const FLOOD: usize = 1_100;
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    let target = format!("{PEOPLE}{PERSON}");
    let (claim, real) = (request(&stage, &target, false), request(&stage, &target, true));
    send(&stage, &claim, FLOOD).await;
    assert_eq!(send(&stage, &real, 1).await, 200);
    assert_ne!(send(&stage, &real, FLOOD).await, 200);

    let kept = places(&proved(&stage, "").await);
    let [(request, Kind::Request), (answer, Kind::Answer)] = kept[..] else {
        panic!("{kept:?}");
    };
    for named in [request, answer] {
        assert_eq!(places(&proved(&stage, &format!("?index={named}")).await), kept);
    }
    let operator = Operator::of(stage.hub(PROVIDER).unwrap());
    let person = PERSON.rsplit('/').next().unwrap();
    let about = format!("/v1/records?subject={person}&outcome=ok");
    let about = operator.get(&about).await.unwrap().json().unwrap();
    assert_eq!(listed(&about["records"]), [(answer, "answer"), (request, "request")]);
    let steps = Value::Array(operator.explain(ID).await.unwrap());
    let steps = listed(&steps);
    assert!(steps.contains(&(request, "request")) && steps.contains(&(answer, "answer")));
    let other = operator.get(&format!("/v1/evidence/{ID}?index=0&side=consumer")).await.unwrap();
    assert_eq!(other.status, 404);
    let text = other.json().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(text.contains("record 0 is not of this exchange"), "{text}");
    stage.stop().await;
}

/// The call's own `X-Road-Id` is a UUID, and afterwards somebody claims it as the id of an exchange.
#[tokio::test]
async fn a_claim_hides_no_call_that_is_explained_by_its_message_id() {
    let mut stage = Stage::lay_out().await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    let target = format!("{PEOPLE}{PERSON}");
    let mut real = rogue::request(Method::GET, REGISTER, &target, "").unwrap();
    real.headers_mut().insert("x-road-id", ID.parse().unwrap());
    let keys = stage.signing_keys(CONSUMER).unwrap();
    rogue::sign_request(&mut real, &keys, &keys.parameters(stage.clock.now())).unwrap();
    assert_eq!(send(&stage, &real, 1).await, 200);
    assert_ne!(send(&stage, &request(&stage, &target, false), 1).await, 200);
    let operator = Operator::of(stage.hub(PROVIDER).unwrap());
    let steps = Value::Array(operator.explain(ID).await.unwrap());
    let kinds: Vec<&str> = listed(&steps).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["request", "answer", "refusal"]);
    stage.stop().await;
}

/// A source whose first answer waits until the test lets it go.
async fn waiting() -> (Source, Sender<()>) {
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let source = Source::start(move |heard| {
        let path = heard.asked().1.to_owned();
        if path.ends_with("/first") {
            let wait = || wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
            tokio::task::block_in_place(wait).unwrap();
        }
        source::answer(200, &[("Content-Type", "text/plain")], path.as_bytes())
    });
    (source.await.unwrap(), go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_exchanges_at_once_under_one_id_are_each_proved_with_their_own_answer() {
    let (source, go) = waiting().await;
    let mut stage = Stage::lay_out().await.unwrap();
    let url = format!("http://{}", source.address);
    let edit = |config: &mut hub_server::config::HubConfig| {
        config.services.iter_mut().filter(|s| s.id.as_str() == FILES).for_each(|service| {
            service.url.clone_from(&url);
        });
    };
    stage.federation.layout.edit_hub(PROVIDER, edit).unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();

    let first = request(&stage, &format!("{FILES}/first"), true);
    let log = stage.hub(PROVIDER).unwrap().log().clone();
    let before = log.size();
    let later = async {
        // When the window has forgotten the id, while the source still thinks about the first request.
        while log.size() == before {
            tokio::task::yield_now().await;
        }
        stage.clock.advance(hub_core::replay::ReplayWindow::length() + Duration::from_secs(1));
        let second = request(&stage, &format!("{FILES}/second"), true);
        assert_eq!(send(&stage, &second, 1).await, 200);
        go.send(()).unwrap();
    };
    let (status, ()) = tokio::join!(send(&stage, &first, 1), later);
    assert_eq!(status, 200);

    let [r1, r2, a2, a1] = [0, 1, 2, 3].map(|n| before + n);
    for (named, expected) in [(r1, [r1, a1]), (r2, [r2, a2]), (a2, [r2, a2]), (a1, [r1, a1])] {
        let proved = proved(&stage, &format!("?index={named}")).await;
        let kept = expected.iter().copied().zip([Kind::Request, Kind::Answer]);
        assert_eq!(places(&proved), kept.collect::<Vec<_>>(), "record {named}");
    }
    assert_eq!(places(&proved(&stage, "").await)[0].0, r1, "the first that was answered");
    stage.stop().await;
}
