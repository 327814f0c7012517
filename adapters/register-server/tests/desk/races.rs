//! Requests at once for one person: one of them opens the case, one issues the card.

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::office::{AGENCY, DISTRICT, HEAD, Office, WORKER, points};
use crate::sample::{DAUGHTER, FATHER, GRANDFATHER, MOTHER, SON};

/// Requests at once for each person.
const AT_ONCE: usize = 8;

/// Sends the request several times at once; gives what was made, and asserts that the others were
/// refused as conflicts.
async fn race(office: &Office, user: &str, path: &str, body: &Value) -> Value {
    let calls = (0..AT_ONCE).map(|_| office.post(user, path, body.clone()));
    let (made, refused): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().partition(|(status, _)| *status == StatusCode::CREATED);
    assert_eq!(made.len(), 1, "{path}");
    assert!(refused.iter().all(|(status, _)| *status == StatusCode::CONFLICT), "{refused:?}");
    made[0].1.clone()
}

#[tokio::test]
async fn requests_at_once_open_one_case_for_a_person_and_a_later_one_is_told_of_it() {
    let office = Office::open(None).await;
    for person in [FATHER, MOTHER, SON, DAUGHTER, GRANDFATHER] {
        let body = json!({"pinfl": person, "district": DISTRICT, "ground": "asked for help"});
        race(&office, WORKER, "/cases", &body).await;
        let (status, value) = office.post(WORKER, "/cases", body).await;
        assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &json!("register.exists")));
    }
    let (_, all) = office.get(HEAD, &format!("/cases?district={DISTRICT}")).await;
    assert_eq!(all["cases"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn requests_at_once_issue_and_renew_one_card_for_a_person() {
    let office = Office::open(None).await;
    for person in [FATHER, MOTHER, SON, DAUGHTER, GRANDFATHER] {
        let body = json!({"pinfl": person, "ground": "asked for"});
        let card = race(&office, AGENCY, "/cards", &body).await;
        let path = format!("/cards/{}/renewal", card["card"]["id"].as_str().unwrap());
        race(&office, AGENCY, &path, &json!({"version": 1, "ground": "worn"})).await;
    }
}

#[tokio::test]
async fn an_appeal_does_not_open_a_second_case() {
    let office = Office::open(None).await;
    let id = office.open_case(GRANDFATHER).await;
    let group = json!(["head", "physician", "psychologist"]);
    let steps = [
        (WORKER, json!({"step": "fill_questionnaire", "answers": {"heating": "stove"}})),
        (WORKER, json!({"step": "assess_needs", "points": points(10)})),
        (HEAD, json!({"step": "decide", "outcome": "refused", "group": group})),
    ];
    for (user, step) in steps {
        let (status, value) = office.step(user, &id, step).await;
        assert_eq!(status, StatusCode::OK, "{value}");
    }
    let other = office.open_case(GRANDFATHER).await;
    let (status, value) = office.step(WORKER, &id, json!({"step": "appeal"})).await;
    assert_eq!((status, &value["type"]), (StatusCode::CONFLICT, &json!("register.exists")));
    office.step(WORKER, &other, json!({"step": "close", "reason": "own_wish"})).await;
    let (status, value) = office.step(WORKER, &id, json!({"step": "appeal"})).await;
    assert_eq!(status, StatusCode::OK, "{value}");
}
