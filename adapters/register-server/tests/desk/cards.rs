//! Cards over HTTP: what a shop learns, and what agencies report.

use http::StatusCode;
use register::card::Question;
use register::card::answer::{Parties, StatusRequest, verify};
use schemas::encoding::{base64url, from_base64url};
use serde_json::{Value, json};

use crate::office::{AGENCY, Office, SHOP, TAX, WORKER};
use crate::sample::{FATHER, GRANDFATHER, MOTHER, SON, Sample};

/// What a shop learns about a card, and how long the answer is.
async fn ask(office: &Office, card: &str, question: Question) -> (bool, usize) {
    let request = json!({"card": card, "question": question, "nonce": base64url(&[7; 16])});
    let (status, answer) = office.tell(SHOP, "/card-status", request.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let (_, key) = office.get("", "/card-key").await;
    let key = from_base64url(key["x"].as_str().unwrap()).unwrap().try_into().unwrap();
    let request: StatusRequest = serde_json::from_value(request).unwrap();
    let parties = Parties {
        issuer: "UZ/GOV/NASP/register".parse().unwrap(),
        audience: SHOP.parse().unwrap(),
    };
    let answer = answer["answer"].as_str().unwrap();
    (verify(answer, &key, &request, &parties, office.clock.now()).unwrap(), answer.len())
}

async fn entitle(office: &Office, id: &str) {
    let pupil = json!([{"question": "pupil", "from": "2026-01-01", "to": "2026-06-30"}]);
    let step = json!({"step": "entitle", "entitlements": pupil});
    step_on(office, id, step).await;
}

async fn step_on(office: &Office, id: &str, step: Value) {
    let version = office.get(AGENCY, &format!("/cards/{id}")).await.1["version"].clone();
    let body = json!({"version": version, "ground": "checked", "step": step});
    office.done(AGENCY, &format!("/cards/{id}/steps"), body).await;
}

#[tokio::test]
async fn a_shop_learns_yes_or_no_and_cannot_tell_no_from_unknown() {
    let office = Office::open(None).await;
    let (id, card) = office.issue_card(SON).await;
    entitle(&office, &id).await;
    let (yes, length) = ask(&office, &card, Question::Pupil).await;
    assert!(yes);
    let unknown = base64url(&[9; 16]);
    for (card, question) in [(&card, Question::Veteran), (&unknown, Question::Pupil)] {
        let (entitled, _) = ask(&office, card, question).await;
        assert!(!entitled);
    }
    assert_eq!(ask(&office, &unknown, Question::Pupil).await, (false, length), "one length");
}

#[tokio::test]
async fn a_lost_card_answers_no_and_the_renewed_one_yes_also_after_a_restart() {
    let office = Office::open(None).await;
    let (id, card) = office.issue_card(SON).await;
    entitle(&office, &id).await;
    step_on(&office, &id, json!({"step": "block", "reason": "lost"})).await;
    assert!(!ask(&office, &card, Question::Pupil).await.0);
    let path = format!("/cards/{id}/renewal");
    let version = office.get(AGENCY, &format!("/cards/{id}")).await.1["version"].clone();
    let renewed = json!({"version": version, "ground": "lost"});
    let renewed = office.done(AGENCY, &path, renewed).await;
    let office = office.restart(None).await;
    let new = renewed["card"]["pseudonym"].as_str().unwrap();
    assert!(ask(&office, new, Question::Pupil).await.0);
    assert!(!ask(&office, &card, Question::Pupil).await.0);
}

#[tokio::test]
async fn a_person_has_one_card() {
    let office = Office::open(None).await;
    office.issue_card(SON).await;
    let (status, _) = office.post(AGENCY, "/cards", json!({"pinfl": SON, "ground": "g"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    office.issue_card(FATHER).await;
}

#[tokio::test]
async fn what_agencies_report_is_kept_once_and_seen_across_agencies() {
    let office = Office::open(None).await;
    let (_, card) = office.issue_card(SON).await;
    let report = |soum: u64| json!({"card": card, "reference": "r-1", "code": "school-meal", "soum": soum, "on": "2026-03-02"});
    let (status, first) = office.tell(SHOP, "/received", report(9_000)).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (status, again) = office.tell(SHOP, "/received", report(9_000)).await;
    assert_eq!((status, &again), (StatusCode::OK, &first));
    let (status, _) = office.tell(SHOP, "/received", report(1)).await;
    assert_eq!(status, StatusCode::CONFLICT, "one reference, two reports");
    let (status, _) = office.tell(TAX, "/received", report(1)).await;
    assert_eq!(status, StatusCode::CREATED, "another agency's reference is its own");
    let found = office.done(AGENCY, "/received/search", json!({"pinfl": SON})).await;
    let agencies: Vec<&Value> =
        found["received"].as_array().unwrap().iter().map(|one| &one["agency"]).collect();
    assert_eq!(agencies.len(), 2, "{found}");
    assert!(agencies.contains(&&json!(SHOP)) && agencies.contains(&&json!(TAX)));
}

/// Files, visits and rates the father's family finally.
async fn award(office: &Office) {
    let filed = office.done(AGENCY, "/applications", json!({"pinfl": FATHER})).await;
    let path = format!("/applications/{}", filed["application"]["id"].as_str().unwrap());
    let visit = json!({"visited_on": "2026-03-02", "family_confirmed": true, "note": ""});
    office.done(WORKER, &format!("{path}/questionnaire"), visit).await;
    let rated = office.done(AGENCY, &format!("{path}/final-rating"), json!({})).await;
    assert_eq!(rated["application"]["state"]["state"], "registered", "{rated}");
}

#[tokio::test]
async fn whether_a_family_is_registered_is_answered_by_its_award_and_by_no_request() {
    let office = Office::open(None).await;
    let (id, before) = office.issue_card(SON).await;
    let by_hand = json!([{"question": "registered-family", "from": "2026-01-01", "to": null}]);
    let step = json!({"step": "entitle", "entitlements": by_hand});
    let body = json!({"version": 1, "ground": "said so", "step": step});
    let (status, value) = office.post(AGENCY, &format!("/cards/{id}/steps"), body).await;
    assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &json!("register.card_refused")));
    let registered = async |card: &str| ask(&office, card, Question::RegisteredFamily).await.0;
    assert!(!registered(&before).await, "no application");
    award(&office).await;
    assert!(registered(&before).await, "a card that was issued before the decision");
    let (_, after) = office.issue_card(MOTHER).await;
    assert!(registered(&after).await, "a card that was issued after it");
    let (_, stranger) = office.issue_card(GRANDFATHER).await;
    assert!(!registered(&stranger).await, "not of the family");
    entitle(&office, &id).await;
    assert!(registered(&before).await, "what others decide does not touch it");
    step_on(&office, &id, json!({"step": "block", "reason": "suspected"})).await;
    assert!(!registered(&before).await);
    step_on(&office, &id, json!({"step": "unblock"})).await;
    assert!(registered(&before).await);
    let day = std::time::Duration::from_secs(86_400);
    office.clock.advance(day * 182);
    assert!(registered(&before).await, "31 August 2026, the last day of six months");
    office.clock.advance(day);
    assert!(!registered(&before).await);
}

#[tokio::test]
async fn a_family_that_monitoring_stops_is_registered_to_the_end_of_the_month_before() {
    let office = Office::open(None).await;
    let (_, card) = office.issue_card(SON).await;
    award(&office).await;
    let mut sample = Sample::worked_example();
    sample.vehicle(FATHER, "01A777AA", 2021);
    let office = office.restart_before(sample).await;
    office.done(AGENCY, "/monitoring", json!({"month": "2026-04"})).await;
    let finished = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while office.get(AGENCY, "/monitoring/2026-04").await.1["monitoring"]["progress"]
            != "finished"
        {
            tokio::task::yield_now().await;
        }
    });
    finished.await.unwrap();
    let registered = async || ask(&office, &card, Question::RegisteredFamily).await.0;
    assert!(registered().await, "March is paid");
    office.clock.advance(std::time::Duration::from_secs(30 * 86_400));
    assert!(!registered().await, "1 April 2026");
}
