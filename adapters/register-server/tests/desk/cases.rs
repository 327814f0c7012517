//! Cases over HTTP, with the snapshots of their decisions.

use http::{Method, StatusCode};
use schemas::digest::Sha256;
use serde_json::{Value, json};

use crate::office::{AGENCY, DISTRICT, HEAD, Office, WORKER, points};
use crate::sample::GRANDFATHER;

fn group() -> Value {
    json!(["head", "physician", "psychologist"])
}

/// A case that awaits its decision, assessed with these points at stairs.
async fn assessed(office: &Office, stairs: u16) -> String {
    let id = office.open_case(GRANDFATHER).await;
    let answers = json!({"step": "fill_questionnaire", "answers": {"heating": "stove"}});
    let assess = json!({"step": "assess_needs", "points": points(stairs)});
    for step in [answers, assess] {
        let (status, value) = office.step(WORKER, &id, step).await;
        assert_eq!(status, StatusCode::OK, "{value}");
    }
    id
}

#[tokio::test]
async fn an_appeal_is_decided_on_a_new_snapshot_and_the_old_one_is_kept_byte_by_byte() {
    let office = Office::open(None).await;
    let id = assessed(&office, 10).await;
    let refuse = json!({"step": "decide", "outcome": "refused", "group": group()});
    let (_, refused) = office.step(HEAD, &id, refuse).await;
    let first = refused["case"]["decisions"][0]["snapshot"].clone();
    let path = format!("/cases/{id}/snapshots/{}", first["id"].as_str().unwrap());
    let who = ("x-road-userid", WORKER);
    let (_, before) = office.raw(Method::GET, &path, who, &Value::Null).await;
    assert_eq!(first["hash"], json!(Sha256::of(&before)), "the bytes that were decided on");
    office.step(WORKER, &id, json!({"step": "appeal"})).await;
    let grant = json!({"step": "decide_appeal", "outcome": "granted", "points": points(0)});
    let (status, decided) = office.step(AGENCY, &id, grant).await;
    assert_eq!(status, StatusCode::OK, "{decided}");
    let second = decided["case"]["decisions"][1]["snapshot"].clone();
    assert_eq!(decided["case"]["decisions"][0]["snapshot"], first);
    assert_ne!(second["id"], first["id"]);
    let (_, after) = office.raw(Method::GET, &path, who, &Value::Null).await;
    assert_eq!(before, after);
    assert_eq!(decided["case"]["stage"]["stage"], "awaits_plan");
}

#[tokio::test]
async fn a_case_survives_a_restart_and_goes_on_to_services() {
    let office = Office::open(None).await;
    let id = assessed(&office, 0).await;
    let office = office.restart(None).await;
    let grant = json!({"step": "decide", "outcome": "granted", "group": group()});
    let services = json!([{"code": "home-care", "provider": "Inson", "weekly_hours": 4}]);
    let steps = [
        (HEAD, grant),
        (WORKER, json!({"step": "offer_plan", "services": services})),
        (WORKER, json!({"step": "accept_plan"})),
        (WORKER, json!({"step": "record_service", "code": "home-care", "day": "2026-03-02"})),
        (WORKER, json!({"step": "record_visit", "day": "2026-03-02", "findings": "in order"})),
    ];
    for (user, step) in steps {
        let (status, value) = office.step(user, &id, step).await;
        assert_eq!(status, StatusCode::OK, "{value}");
    }
    let (_, case) = office.get(WORKER, &format!("/cases/{id}")).await;
    assert_eq!(case["case"]["stage"]["next_visit"], "2026-09-02");
    let acts = case["case"]["acts"].as_array().unwrap();
    assert_eq!(acts.len(), 8);
    assert!(acts.iter().all(|act| act["by"].is_string() && act["ground"].is_string()));
}

#[tokio::test]
async fn a_decision_that_is_refused_asks_no_source() {
    let office = Office::open(None).await;
    let id = assessed(&office, 10).await;
    let grant = json!({"step": "decide", "outcome": "granted", "group": group()});
    let (status, value) = office.step(HEAD, &id, grant).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(value["message"].as_str().unwrap().contains("independent"), "{value}");
    assert!(office.hub.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_saw_an_older_version_is_refused_and_changes_nothing() {
    let office = Office::open(None).await;
    let id = assessed(&office, 0).await;
    let step = json!({"step": "close", "reason": "own_wish"});
    let body = json!({"version": 1, "ground": "late", "step": step});
    let (status, value) = office.post(WORKER, &format!("/cases/{id}/steps"), body).await;
    assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &json!("register.changed")));
    let (_, case) = office.get(WORKER, &format!("/cases/{id}")).await;
    assert_eq!(case["case"]["acts"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn overdue_cases_are_listed_from_the_day_after_the_last() {
    let office = Office::open(None).await;
    let id = assessed(&office, 0).await;
    let overdue = format!("/cases?district={DISTRICT}&overdue=true");
    let day = std::time::Duration::from_secs(86_400);
    // Five working days from Monday, 2 March 2026; the holiday of the 8th, a Sunday, moves to the 9th.
    office.clock.advance(day * 8);
    assert_eq!(office.get(HEAD, &overdue).await.1["cases"], json!([]), "the last day itself");
    office.clock.advance(day);
    let (_, listed) = office.get(HEAD, &overdue).await;
    assert_eq!(listed["cases"][0]["id"], json!(id));
    let (_, all) = office.get(HEAD, &format!("/cases?district={DISTRICT}")).await;
    assert_eq!(all["cases"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_has_one_open_case() {
    let office = Office::open(None).await;
    let id = office.open_case(GRANDFATHER).await;
    let again = json!({"pinfl": GRANDFATHER, "district": DISTRICT, "ground": "again"});
    let (status, value) = office.post(WORKER, "/cases", again.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(!value.to_string().contains(GRANDFATHER), "{value}");
    let (status, _) =
        office.step(WORKER, &id, json!({"step": "close", "reason": "own_wish"})).await;
    assert_eq!(status, StatusCode::OK);
    office.done(WORKER, "/cases", again).await;
}
