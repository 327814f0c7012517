//! Searches through the operator's door: an answer is found by what its record leaves to its request's.
//!
//! ```text
//! operator → /v1/records?subject=… → hub's index → records of requests → records of their answers
//! ```

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::time::Duration;

use federation::agencies::{PURPOSE, REGISTER as CLIENT};
use federation::operator::Operator;
use federation::source::{self, Source};
use federation::stage::{CONSUMER, PEOPLE, PROVIDER, Stage};
use federation::{Pair, pair};
use http::{HeaderValue, Method};
use hub_server::HubConfig;
use hub_server::hub::RunningHub;
use schemas::clock::UnixMillis;

const PINFL: &str = "31505850010011";

#[derive(Debug, PartialEq)]
struct Found {
    index: u64,
    kind: String,
    time: UnixMillis,
}

/// What a hub finds, as it lists it.
async fn found(hub: &RunningHub, query: &str) -> Vec<Found> {
    page(hub, query).await.0
}

/// The same, and where the search goes on.
async fn page(hub: &RunningHub, query: &str) -> (Vec<Found>, Option<u64>) {
    let answer = Operator::of(hub).get(&format!("/v1/records?{query}")).await.unwrap();
    let answer = answer.json().unwrap();
    let records = answer["records"].as_array().unwrap();
    let read = |found: &serde_json::Value| {
        let (index, record) = (found["index"].as_u64().unwrap(), &found["record"]);
        let time = UnixMillis(record["time"].as_u64().unwrap());
        Found { index, kind: record["kind"].as_str().unwrap().to_owned(), time }
    };
    (records.iter().map(read).collect(), answer["next"].as_u64())
}

fn kinds(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.kind.as_str()).collect()
}

#[tokio::test]
async fn answers_come_with_the_requests_that_say_whom_and_why() {
    let stage = Stage::start().await.unwrap();
    for _ in 0..2 {
        assert_eq!(stage.ask().await.unwrap().status, 200);
    }
    let mut other =
        stage.caller.request(Method::GET, PEOPLE, "/persons/41505850010012", "").unwrap();
    other.headers_mut().insert("x-road-id", HeaderValue::from_static("case-7"));
    assert_eq!(stage.caller.send(other).await.unwrap().status, 200);

    let [consumer, provider] = [CONSUMER, PROVIDER].map(|hub| stage.hub(hub).unwrap());
    let about = format!("subject={PINFL}");
    let all = found(provider, &about).await;
    assert_eq!(kinds(&all), ["answer", "request", "answer", "request"], "newest first");
    assert!(all.is_sorted_by(|a, b| a.index > b.index), "{all:?}");
    assert_eq!(found(provider, &format!("{about}&limit=1")).await, all[..2], "of the newest");
    // The consumer's hub hears with the answer whom a call was about.
    let heard = found(consumer, &about).await;
    assert_eq!(kinds(&heard), ["answer", "request", "answer", "request"]);
    assert_eq!(found(provider, &format!("purpose={PURPOSE}")).await.len(), 6);
    for hub in [consumer, provider] {
        let named = found(hub, "message=case-7").await;
        assert_eq!(kinds(&named), ["answer", "request"]);
        assert!(
            found(hub, &format!("{about}&message=case-7")).await.is_empty(),
            "all that is asked"
        );
        let both = format!("message=case-7&subject=41505850010012&purpose={PURPOSE}");
        assert_eq!(found(hub, &both).await, named, "in the two records of one exchange");
        assert!(found(hub, &format!("{both}&client=UZ/GOV/TAX/tax")).await.is_empty());
        let narrowed = format!("{about}&service={PEOPLE}&purpose={PURPOSE}&outcome=ok&limit=1");
        assert_eq!(found(hub, &narrowed).await.len(), 2);
        assert!(found(hub, &format!("{about}&client=UZ/GOV/TAX/tax")).await.is_empty());
    }
    assert!(found(provider, "subject=51505850010013").await.is_empty());
    // Refused after its request was a record: both say whom and why.
    let nobody = |config: &mut HubConfig| {
        config.services.iter_mut().for_each(|service| service.url = "http://127.0.0.1:9".into());
    };
    stage.reconfigure(nobody).await.unwrap();
    assert_eq!(stage.ask().await.unwrap().status, 500);
    let refused = found(provider, &about).await;
    assert_eq!(kinds(&refused[..3]), ["refusal", "request", "answer"]);
    // Page by page everything is found once, whatever the times.
    let why = format!("purpose={PURPOSE}");
    let asked_why = format!("client={CLIENT}&{why}");
    let mut queries = Vec::new();
    for hub in [consumer, provider] {
        queries.extend([about.as_str(), &why, &asked_why, "outcome=ok"].map(|query| (hub, query)));
    }
    for (hub, query) in queries {
        let (mut paged, mut before) = (Vec::new(), u64::MAX);
        loop {
            let (page, next) = page(hub, &format!("{query}&limit=1&before={before}")).await;
            paged.extend(page);
            let Some(next) = next else { break };
            assert!(next < before);
            before = next;
        }
        assert_eq!(paged, found(hub, query).await);
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_exchange_is_found_in_the_time_of_the_record_that_says_it() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::start(|_| {
        std::thread::sleep(Duration::from_millis(20));
        source::answer(200, &[("Content-Type", "text/plain")], b"hi")
    });
    let pair = Pair::start(dir.path(), source.await.unwrap()).await.unwrap();
    pair.ask("GET", "/a", &[("X-Road-Id", "case-7")], b"").await.unwrap();
    for hub in [pair::CONSUMER, pair::PROVIDER] {
        let hub = pair.federation.hub(hub).unwrap();
        let all = found(hub, "message=case-7").await;
        assert_eq!(kinds(&all), ["answer", "request"]);
        assert!(all[1].time < all[0].time);
        let (asked, answered) = (all[1].time.to_rfc3339(), all[0].time.to_rfc3339());
        for within in [format!("&from={asked}"), format!("&to={asked}")] {
            assert_eq!(found(hub, &format!("message=case-7{within}")).await, all, "whole");
        }
        assert!(found(hub, &format!("message=case-7&from={answered}")).await.is_empty());
    }
}

#[tokio::test]
async fn a_person_is_found_in_the_years_of_all_keys_and_nobody_without_any() {
    let new_year = UnixMillis::from_rfc3339("2027-01-01T00:00:00Z").unwrap();
    let mut stage = Stage::lay_out_at(new_year.minus(Duration::from_secs(30))).await.unwrap();
    stage.federation.start_central().await.unwrap();
    stage.federation.start_hub(PROVIDER).await.unwrap();
    stage.federation.start_hub(CONSUMER).await.unwrap();
    let provider = stage.hub(PROVIDER).unwrap();
    let about = format!("subject={PINFL}");
    assert!(!found(provider, "limit=10").await.is_empty(), "the hub's start");
    assert!(found(provider, &about).await.is_empty(), "not what is about nobody");
    assert_eq!(stage.ask().await.unwrap().status, 200);
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.ask().await.unwrap().status, 200);
    let all = found(provider, &about).await;
    assert_eq!(kinds(&all), ["answer", "request", "answer", "request"]);
    assert!(all[1].time > new_year && all[2].time < new_year);
    assert_eq!(found(provider, &format!("{about}&limit=1")).await, all[..2]);
    stage.stop().await;
}
