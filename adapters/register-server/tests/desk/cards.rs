//! Cards over HTTP: what a shop learns, and what agencies report.

use http::StatusCode;
use register::card::Question;
use register::card::answer::{Parties, StatusRequest, verify};
use schemas::encoding::{base64url, from_base64url};
use serde_json::{Value, json};

use crate::office::{AGENCY, Office, SHOP, TAX};
use crate::sample::{FATHER, SON};

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
