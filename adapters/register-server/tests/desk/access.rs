//! Every door of the desk is closed to everyone whom the table of roles does not let in.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::office::{AGENCY, DISTRICT, ELSEWHERE, HEAD, Office, REGISTRY, SHOP, WORKER};
use crate::sample::{FATHER, GRANDFATHER};

const STRANGER: &str = "stranger";

#[tokio::test]
async fn each_door_refuses_every_officer_but_those_of_the_table_and_changes_nothing() {
    let office = Office::open(None).await;
    let case = office.open_case(GRANDFATHER).await;
    let (card, _) = office.issue_card(GRANDFATHER).await;
    let open = json!({"pinfl": FATHER, "district": DISTRICT, "ground": "g"});
    let issue = json!({"pinfl": FATHER, "ground": "g"});
    // A version that nobody has seen: who is let in is refused for that.
    let step = |step: Value| json!({"version": 99, "ground": "g", "step": step});
    let renew = json!({"version": 99, "ground": "g"});
    let decide = json!({"step": "decide", "outcome": "refused", "group": []});
    let appeal = json!({"step": "decide_appeal", "outcome": "refused", "points": null});
    let (steps, cards) = (format!("/cases/{case}/steps"), format!("/cards/{card}/steps"));
    let block = json!({"step": "block", "reason": "lost"});
    let get = Value::Null;
    let doors: Vec<(String, Value, Vec<&str>)> = vec![
        (format!("/cases/{case}"), get.clone(), vec![WORKER, HEAD, AGENCY]),
        (format!("/cases?district={DISTRICT}"), get.clone(), vec![WORKER, HEAD, AGENCY]),
        (steps.clone(), step(json!({"step": "appeal"})), vec![WORKER]),
        (steps.clone(), step(decide), vec![HEAD]),
        (steps, step(appeal), vec![AGENCY]),
        (format!("/cards/{card}"), get.clone(), vec![AGENCY]),
        (cards.clone(), step(json!({"step": "unblock"})), vec![AGENCY]),
        (cards, step(block), vec![WORKER, HEAD, AGENCY, ELSEWHERE]),
        (format!("/cards/{card}/renewal"), renew, vec![AGENCY]),
        ("/received/search".into(), json!({"pinfl": FATHER}), vec![AGENCY]),
        ("/events/waiting".into(), get.clone(), vec![HEAD, AGENCY]),
        ("/proposals".into(), get.clone(), vec![HEAD, AGENCY]),
        ("/proposals/none".into(), get, vec![HEAD, AGENCY]),
        ("/proposals/none/application".into(), json!({}), vec![AGENCY]),
        ("/proposals/none/refusal".into(), json!({"ground": "g"}), vec![AGENCY]),
        ("/cards".into(), issue, vec![AGENCY]),
        ("/cases".into(), open, vec![WORKER]),
    ];
    for (path, body, let_in) in doors {
        for user in [STRANGER, "", ELSEWHERE, WORKER, HEAD, AGENCY] {
            let (status, value) = match &body {
                Value::Null => office.get(user, &path).await,
                body => office.post(user, &path, body.clone()).await,
            };
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, !let_in.contains(&user), "{path} {user}: {value}");
        }
    }
}

#[tokio::test]
async fn systems_that_are_no_source_of_an_event_are_refused() {
    let office = Office::open(None).await;
    let event = json!({"id": "e-1", "person": FATHER, "sequence": 1, "on": "2026-03-01",
        "what": {"kind": "wage"}});
    for client in [SHOP, REGISTRY] {
        let (status, value) = office.tell(client, "/events", event.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{value}");
    }
    let (status, _) = office.tell("not a client", "/events", event).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(office.get(AGENCY, "/proposals").await.1["proposals"], json!([]));
}

#[tokio::test]
async fn refusals_of_wrong_requests_repeat_nothing_of_them() {
    let office = Office::open(None).await;
    let wrong = "31505850010012";
    let requests = [
        ("/cases", json!({"pinfl": wrong, "district": DISTRICT, "ground": "g"})),
        ("/cases", json!({"pinfl": FATHER, "district": DISTRICT, "ground": " "})),
        ("/cases", json!({"pinfl": FATHER, "district": "17|26", "ground": wrong})),
        ("/cards", json!({"pinfl": wrong, "ground": "g"})),
        ("/card-status", json!({"card": wrong, "question": "pupil", "nonce": wrong})),
        ("/received", json!({"card": wrong})),
        ("/events", json!({"person": wrong})),
    ];
    for (path, body) in requests {
        for header in
            [("x-road-userid", WORKER), ("x-road-userid", AGENCY), ("x-road-client", REGISTRY)]
        {
            let (status, answer) = office.raw(Method::POST, path, header, &body).await;
            assert!(status.is_client_error(), "{path}");
            let answer = String::from_utf8(answer.to_vec()).unwrap();
            assert!(!answer.contains(wrong) && !answer.contains(FATHER), "{answer}");
        }
    }
}
