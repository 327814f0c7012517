//! Proposals of life events: visible, answered once, outdated when something else has answered them.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::office::{AGENCY, Office, REGISTRY, WORKER};
use crate::sample::{BABY, FATHER, MOTHER};

const DAY: Duration = Duration::from_secs(86_400);

/// Tells a birth to a parent; gives the proposal's identifier.
async fn birth(office: &Office, parent: &str) -> String {
    tell(office, parent, 1, json!({"kind": "birth", "child": BABY})).await;
    let (_, found) = office.get(AGENCY, "/proposals").await;
    let proposals = found["proposals"].as_array().unwrap();
    let of_parent = proposals.iter().find(|proposal| proposal["person"] == parent).unwrap();
    of_parent["id"].as_str().unwrap().to_owned()
}

async fn tell(office: &Office, person: &str, sequence: u64, what: Value) {
    let event = json!({"id": format!("e-{sequence}"), "person": person, "sequence": sequence,
        "on": "2026-03-01", "what": what});
    let (status, value) = office.tell(REGISTRY, "/events", event).await;
    assert_eq!(status, StatusCode::OK, "{value}");
}

async fn standing(office: &Office, id: &str) -> Value {
    office.get(AGENCY, &format!("/proposals/{id}")).await.1["proposal"]["standing"].clone()
}

async fn open_count(office: &Office) -> usize {
    office.get(AGENCY, "/proposals").await.1["proposals"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_birth_becomes_an_application_in_one_step_however_often_it_is_asked_for() {
    let office = Office::open(None).await;
    let case = office.open_case(FATHER).await;
    let id = birth(&office, FATHER).await;
    let of_mother = birth(&office, MOTHER).await;
    let (_, shown) = office.get(WORKER, &format!("/cases/{case}")).await;
    assert_eq!(shown["proposals"][0]["standing"], json!({"is": "open"}));
    let path = format!("/proposals/{id}/application");
    let calls = (0..4).map(|_| office.post(AGENCY, &path, json!({})));
    let answers = join_all(calls).await;
    let (status, first) = office.post(AGENCY, &path, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(first["proposal"]["standing"]["is"], "filed");
    assert_eq!(first["proposal"]["standing"]["by"], AGENCY);
    for (status, answer) in answers {
        assert!(status == StatusCode::OK && answer == first, "{answer}");
    }
    let application = first["proposal"]["standing"]["application"].clone();
    let path = format!("/applications/{}", application.as_str().unwrap());
    let (_, filed) = office.get(AGENCY, &path).await;
    assert_eq!(filed["application"]["state"]["state"], "awaits-questionnaire");
    assert_eq!(standing(&office, &of_mother).await["application"], application, "one family");
    assert_eq!(open_count(&office).await, 0);
    let (_, shown) = office.get(WORKER, &format!("/cases/{case}")).await;
    assert_eq!(shown["proposals"][0]["standing"]["is"], "filed");
}

#[tokio::test]
async fn a_closed_proposal_keeps_its_reason_and_becomes_no_application() {
    let office = Office::open(None).await;
    let id = birth(&office, FATHER).await;
    let path = format!("/proposals/{id}/refusal");
    for ground in [json!({}), json!({"ground": " "})] {
        let (status, _) = office.post(AGENCY, &path, ground).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let reason = json!({"ground": "the child lives with the other parent"});
    for _ in 0..2 {
        let refused = office.done(AGENCY, &path, reason.clone()).await;
        assert_eq!(refused["proposal"]["standing"]["ground"], reason["ground"]);
        assert_eq!(refused["proposal"]["standing"]["by"], AGENCY);
    }
    let file = format!("/proposals/{id}/application");
    for (path, body) in [(&file, json!({})), (&path, json!({"ground": "another"}))] {
        let (status, value) = office.post(AGENCY, path, body).await;
        assert_eq!(
            (status, &value["type"]),
            (StatusCode::CONFLICT, &json!("register.proposal_closed"))
        );
    }
    assert_eq!(open_count(&office).await, 0);
    let (_, overdue) = office.get(AGENCY, "/overdue?by=2027-01-01").await;
    assert_eq!(overdue["lines"], json!([]), "nothing was filed");
}

#[tokio::test]
async fn a_proposal_is_outdated_by_support_by_an_application_and_by_death() {
    let office = Office::open(None).await;
    office.done(AGENCY, "/applications", json!({"pinfl": FATHER})).await;
    let id = birth(&office, MOTHER).await;
    let path = format!("/proposals/{id}/application");
    for _ in 0..2 {
        let answer = office.done(AGENCY, &path, json!({})).await;
        assert_eq!(answer["proposal"]["standing"]["because"], "applied", "{answer}");
    }
    let id = birth(&office, FATHER).await;
    tell(&office, FATHER, 2, json!({"kind": "death"})).await;
    assert_eq!(standing(&office, &id).await["because"], "died");

    let office = Office::open(None).await;
    let filed = office.done(AGENCY, "/applications", json!({"pinfl": FATHER})).await;
    let path = format!("/applications/{}", filed["application"]["id"].as_str().unwrap());
    let visit = json!({"visited_on": "2026-03-02", "family_confirmed": true, "note": ""});
    office.done(WORKER, &format!("{path}/questionnaire"), visit).await;
    office.done(AGENCY, &format!("{path}/final-rating"), json!({})).await;
    let id = birth(&office, MOTHER).await;
    office.clock.advance(DAY * 31);
    let answer = office.done(AGENCY, &format!("/proposals/{id}/application"), json!({})).await;
    assert_eq!(answer["proposal"]["standing"]["because"], "supported", "{answer}");
}

#[tokio::test]
async fn a_birth_that_is_told_with_the_death_proposes_nothing() {
    let office = Office::open(None).await;
    tell(&office, FATHER, 2, json!({"kind": "death"})).await;
    tell(&office, FATHER, 1, json!({"kind": "birth", "child": BABY})).await;
    let (_, found) = office.get(AGENCY, "/proposals").await;
    let open = found["proposals"].as_array().unwrap();
    assert!(open.iter().all(|proposal| proposal["proposed"] == "recheck"), "{found}");
}

#[tokio::test]
async fn after_the_entry_has_closed_the_proposal_stays_open_for_the_next_month() {
    let office = Office::open(None).await;
    let id = birth(&office, FATHER).await;
    office.clock.advance(DAY * 25);
    let path = format!("/proposals/{id}/application");
    let (status, value) = office.post(AGENCY, &path, json!({})).await;
    assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &json!("register.entry_closed")));
    assert_eq!(standing(&office, &id).await, json!({"is": "open"}));
    office.clock.advance(DAY * 5);
    let filed = office.done(AGENCY, &path, json!({})).await;
    assert_eq!(filed["proposal"]["standing"]["is"], "filed");
}

#[tokio::test]
async fn an_event_that_proposes_a_new_rating_becomes_no_application() {
    let office = Office::open(None).await;
    tell(&office, FATHER, 1, json!({"kind": "marriage", "spouse": MOTHER})).await;
    let (_, found) = office.get(AGENCY, "/proposals").await;
    let id = found["proposals"][0]["id"].as_str().unwrap();
    let path = format!("/proposals/{id}/application");
    let (status, value) = office.post(AGENCY, &path, json!({})).await;
    let problem = json!("register.no_application_proposed");
    assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &problem));
}
