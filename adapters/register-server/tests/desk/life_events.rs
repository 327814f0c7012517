//! Life events from the sources to proposals, cases, cards and payments.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use jiff::civil::Date;
use register_server::{NotStopped, PaymentStops, Stopping};
use schemas::pinfl::Pinfl;
use serde_json::{Value, json};

use crate::office::{AGENCY, Office, REGISTRY, TAX, WORKER};
use crate::sample::{BABY, FATHER, GRANDFATHER, MOTHER};

fn event(person: &str, sequence: u64, what: Value) -> Value {
    let id = format!("e-{sequence}");
    json!({"id": id, "person": person, "sequence": sequence, "on": "2026-03-01", "what": what})
}

/// Payments that take stops, or do not.
#[derive(Default)]
struct Payments {
    broken: bool,
    stopped: Mutex<Vec<(Pinfl, Date)>>,
}

impl PaymentStops for Payments {
    fn on_death(&self, person: Pinfl, day: Date) -> Stopping<'_> {
        Box::pin(async move {
            if self.broken {
                return Err(NotStopped);
            }
            self.stopped.lock().unwrap().push((person, day));
            Ok(())
        })
    }
}

async fn proposals(office: &Office) -> Vec<Value> {
    let (_, found) = office.get(AGENCY, "/proposals").await;
    found["proposals"].as_array().unwrap().clone()
}

async fn pending_stops(office: &Office) -> usize {
    let (_, waiting) = office.get(AGENCY, "/events/waiting").await;
    waiting["pending_stops"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_birth_proposes_an_application_once_and_stands_in_the_case() {
    let office = Office::open(None).await;
    let case = office.open_case(FATHER).await;
    let birth = event(FATHER, 1, json!({"kind": "birth", "child": BABY}));
    for outcome in ["taken", "repeated", "repeated"] {
        let (status, value) = office.tell(REGISTRY, "/events", birth.clone()).await;
        assert_eq!((status, &value["outcome"]), (StatusCode::OK, &json!(outcome)));
    }
    let proposals = proposals(&office).await;
    assert_eq!(proposals.len(), 1);
    assert_eq!(proposals[0]["proposed"], "application");
    let (_, case) = office.get(WORKER, &format!("/cases/{case}")).await;
    assert_eq!(case["case"]["events"][0]["kind"], "birth");
}

#[tokio::test]
async fn a_death_stops_payments_blocks_the_card_and_leaves_only_closing() {
    let payments = Arc::new(Payments::default());
    let office = Office::open(Some(payments.clone())).await;
    let case = office.open_case(GRANDFATHER).await;
    let (card, _) = office.issue_card(GRANDFATHER).await;
    let death = event(GRANDFATHER, 1, json!({"kind": "death"}));
    office.tell(REGISTRY, "/events", death).await;
    let stopped = payments.stopped.lock().unwrap().clone();
    let day = Date::constant(2026, 3, 1);
    assert!(stopped == [(GRANDFATHER.parse().unwrap(), day)]);
    assert_eq!(pending_stops(&office).await, 0);
    let (_, card) = office.get(AGENCY, &format!("/cards/{card}")).await;
    assert_eq!(card["card"]["state"], json!({"state": "blocked", "reason": "death"}));
    let answers = json!({"step": "fill_questionnaire", "answers": {}});
    let (status, value) = office.step(WORKER, &case, answers).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(value["message"].as_str().unwrap().contains("has died"), "{value}");
    let (status, _) = office.step(WORKER, &case, json!({"step": "close", "reason": "death"})).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_death_that_a_source_tells_stops_the_registers_own_payments() {
    let office = Office::paying().await;
    office.tell(REGISTRY, "/events", event(GRANDFATHER, 1, json!({"kind": "death"}))).await;
    assert_eq!(pending_stops(&office).await, 0);
    for (person, recorded) in [(GRANDFATHER, false), (MOTHER, true)] {
        let (status, value) =
            office.post(WORKER, "/payments/deaths", json!({"pinfl": person})).await;
        assert_eq!((status, &value["recorded"]), (StatusCode::OK, &json!(recorded)), "{value}");
    }
}

#[tokio::test]
async fn a_stop_that_the_payments_do_not_take_is_pending_and_reaches_them_after_a_restart() {
    let broken = Arc::new(Payments { broken: true, ..Payments::default() });
    let office = Office::open(Some(broken)).await;
    let death = event(GRANDFATHER, 1, json!({"kind": "death"}));
    let (_, value) = office.tell(REGISTRY, "/events", death).await;
    assert_eq!(value["outcome"], "taken", "the event itself is safe");
    assert_eq!(pending_stops(&office).await, 1);
    let office = office.restart(None).await;
    assert_eq!(pending_stops(&office).await, 1, "nobody to tell");
    let payments = Arc::new(Payments::default());
    let office = office.restart(Some(payments.clone())).await;
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while pending_stops(&office).await > 0 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
    assert_eq!(payments.stopped.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn events_out_of_order_wait_for_the_missing_one_also_over_a_restart() {
    let office = Office::open(None).await;
    let wage = |sequence| event(FATHER, sequence, json!({"kind": "wage"}));
    for sequence in [3, 2] {
        let (_, value) = office.tell(TAX, "/events", wage(sequence)).await;
        assert_eq!(value["outcome"], "held");
    }
    assert!(proposals(&office).await.is_empty());
    let (_, waiting) = office.get(AGENCY, "/events/waiting").await;
    assert_eq!(
        (&waiting["gaps"][0]["awaited"], &waiting["gaps"][0]["held"]),
        (&json!(1), &json!(2))
    );
    let office = office.restart(None).await;
    let (_, value) = office.tell(TAX, "/events", wage(1)).await;
    assert_eq!(value["outcome"], "taken");
    assert_eq!(proposals(&office).await.len(), 3);
    let (_, waiting) = office.get(AGENCY, "/events/waiting").await;
    assert_eq!(waiting["gaps"], json!([]));
}

#[tokio::test]
async fn events_told_at_once_by_two_sources_are_each_taken_once() {
    let office = Office::open(None).await;
    let case = office.open_case(FATHER).await;
    let marriage = |sequence| event(FATHER, sequence, json!({"kind": "marriage", "spouse": BABY}));
    let wage = |sequence| event(FATHER, sequence, json!({"kind": "wage"}));
    let mut calls = Vec::new();
    for sequence in [2, 1, 3, 2, 1, 3] {
        calls.push(office.tell(REGISTRY, "/events", marriage(sequence)));
        calls.push(office.tell(TAX, "/events", wage(sequence)));
    }
    for (status, value) in futures_util::future::join_all(calls).await {
        // Who lost every race is told to send again, as a source does.
        assert!(status == StatusCode::OK || value["type"] == "register.busy", "{value}");
    }
    for sequence in 1..=3 {
        office.tell(REGISTRY, "/events", marriage(sequence)).await;
        office.tell(TAX, "/events", wage(sequence)).await;
    }
    assert_eq!(proposals(&office).await.len(), 6);
    let (_, case) = office.get(WORKER, &format!("/cases/{case}")).await;
    assert_eq!(case["case"]["events"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn one_number_for_two_events_is_refused_and_the_first_stands() {
    let office = Office::open(None).await;
    office.tell(TAX, "/events", event(FATHER, 1, json!({"kind": "wage"}))).await;
    let mut other = event(FATHER, 1, json!({"kind": "wage"}));
    other["id"] = json!("e-other");
    let (status, value) = office.tell(TAX, "/events", other).await;
    assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &json!("register.event_refused")));
    assert_eq!(proposals(&office).await.len(), 1);
}
