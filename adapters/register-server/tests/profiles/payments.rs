//! A month that is closed from what the register has decided: who is paid, who is not and why.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::applications::{Office, people, sample_of};

const PAYMENTS: &str = "[payments]\npurpose = \"social-payment\"\n\
    treasury = \"UZ/GOV/TREASURY/treasury/treasury\"\nbank = \"UZ/BANK/AGROBANK/accounts/payouts\"\n\
    pauses = { first_ms = 60000, longest_ms = 60000 }\n";

async fn declare(office: &Office, id: &str, nth: usize) {
    let account = json!({"account": format!("226180009000{nth:08}"), "branch": "00394"});
    office.post(&format!("/applications/{id}/account"), account).await;
}

async fn close(office: &Office, month: &str) -> (StatusCode, Value) {
    // Without a body, as `koprik payments close` sends it.
    office.bare_post(&format!("/payments/{month}/close")).await
}

async fn lines(office: &Office, id: &str) -> Vec<Value> {
    let answer = office.get(&format!("/applications/{id}/payments")).await;
    answer["lines"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_is_closed_from_decisions_and_every_family_that_gets_nothing_has_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let people = people(7);
    let [paid, poor, awaits, refused, died, later, stops] = [0, 1, 2, 3, 4, 5, 6];
    let mut sample = sample_of(&people);
    sample.vehicle(&people[refused], "01A123BC", 2024);
    let office = Office::open_with(sample, folder.path(), "2026-03-02", PAYMENTS).await;
    let mut ids = vec![String::new(); people.len()];
    for nth in [paid, poor, died, stops] {
        ids[nth] = office.register(&people[nth], "2026-03-02").await;
    }
    for nth in [awaits, refused] {
        ids[nth] = office.file(&people[nth]).await;
    }
    office.days_later(15);
    ids[later] = office.register(&people[later], "2026-03-17").await;
    for nth in [paid, died, later, stops] {
        declare(&office, &ids[nth], nth).await;
    }
    office.post("/payments/deaths", json!({"pinfl": people[died]})).await;
    let (status, early) = close(&office, "2026-03").await;
    assert_eq!((status.as_u16(), &early["type"]), (409, &json!("register.month_not_closed")));
    assert!(early["message"].as_str().unwrap().contains("2026-03-26"), "{early}");
    drop(office);

    // Monitoring of April stops a family, which is paid for March nevertheless.
    let mut sample = sample_of(&people);
    sample.vehicle(&people[stops], "01A123BC", 2024);
    let office = Office::open_with(sample, folder.path(), "2026-04-01", PAYMENTS).await;
    office.post("/monitoring", json!({"month": "2026-04"})).await;
    office.monitored("2026-04", |progress| progress["progress"] == "finished").await;
    let (status, march) = close(&office, "2026-03").await;
    assert_eq!(status, 200, "{march}");
    let left_out = json!({"awaits-decision": 1, "refused": 1, "begins-later": 1,
        "recipient-died": 1, "no-account": 1});
    let families = json!({"entitled_count": 2, "corrections_count": 0, "left_out": left_out});
    assert_eq!(march["summary"]["families"], families);
    let application = office.get(&format!("/applications/{}", ids[paid])).await;
    let support = application["application"]["state"]["entitlement"].clone();
    let amount = support["monthly_soum"].as_u64().unwrap();
    assert_eq!(march["summary"]["states"]["checking"]["sum_soum"], 2 * amount);
    let of_paid = lines(&office, &ids[paid]).await;
    assert_eq!(of_paid.len(), 1);
    assert_eq!(of_paid[0]["amount_soum"], amount);
    assert_eq!(of_paid[0]["benefit"], support["category"]);
    assert_eq!(lines(&office, &ids[stops]).await.len(), 1);
    assert_eq!(lines(&office, &ids[poor]).await, Vec::<Value>::new());
    // Again: nothing changes, also after a restart.
    assert_eq!(close(&office, "2026-03").await.1, march);
    drop(office);
    let office = Office::open_with(sample_of(&people), folder.path(), "2026-04-26", PAYMENTS).await;
    assert_eq!(close(&office, "2026-03").await.1, march);
    assert_eq!(lines(&office, &ids[paid]).await, of_paid);

    let (_, april) = close(&office, "2026-04").await;
    let left_out = json!({"awaits-decision": 1, "refused": 1, "stopped": 1,
        "recipient-died": 1, "no-account": 1});
    assert_eq!(april["summary"]["families"]["left_out"], left_out);
    assert_eq!(april["summary"]["families"]["entitled_count"], 2);
    assert_eq!(lines(&office, &ids[stops]).await.len(), 1, "it was stopped from April on");
    ended_support_is_not_paid(office, &application["application"], &ids[later]).await;
}

/// In the first month without support of all who began in March, only the later one is paid.
async fn ended_support_is_not_paid(office: Office, application: &Value, later: &str) {
    let until = application["state"]["until"].as_str().unwrap();
    office.days_later(400);
    let (status, closed) = close(&office, until).await;
    assert_eq!(status, 200, "{closed}");
    let families = &closed["summary"]["families"];
    assert_eq!(families["entitled_count"], 1, "{families}");
    // The one that was to be paid, the one that died, and the one without account have ended.
    assert_eq!(families["left_out"]["ended"], 3, "{families}");
    assert_eq!(lines(&office, later).await.len(), 2);
    let id = application["id"].as_str().unwrap();
    assert_eq!(lines(&office, id).await.len(), 2, "March and April");
}

#[tokio::test]
async fn closing_is_refused_while_it_would_guess_and_takes_corrections() {
    let folder = tempfile::tempdir().unwrap();
    let people = people(2);
    let office = Office::open_with(sample_of(&people), folder.path(), "2026-03-02", PAYMENTS).await;
    let id = office.register(&people[0], "2026-03-02").await;
    office.days_later(30);
    // Nobody has an account: there is nothing to pay, and the month stays open.
    let nothing = "/payments/2026-03/close";
    office.refused(nothing, json!({"corrections": []}), 409, "register.month_not_closed").await;
    let (status, _) = office.call(Method::GET, "/payments/2026-03", &Value::Null).await;
    assert_eq!(status, 404);
    let wrong = json!({"account": "2261800090000000000", "branch": "00394"});
    let path = format!("/applications/{id}/account");
    office.refused(&path, wrong, 400, "register.bad_request").await;
    let account = json!({"account": "22618000900000000001", "branch": "00394"});
    let unknown = "/applications/00000000-0000-4000-8000-000000000000/account";
    office.refused(unknown, account.clone(), 404, "register.unknown").await;
    office.post(&path, account).await;
    let correction = json!({"family": "arrears-1", "benefit": "arrears", "recipient": people[1],
        "account": "22618000900000000002", "amount_soum": 100_000, "ground": "act-17",
        "branch": "00394"});
    let list = json!({"corrections": [correction]});
    let closed = office.post(nothing, list.clone()).await;
    let families = json!({"entitled_count": 1, "corrections_count": 1, "left_out": {}});
    assert_eq!(closed["summary"]["families"], families);
    // A list cannot come to a month that is closed.
    office.refused(nothing, list, 409, "register.month_not_closed").await;
    // An earlier month is not closed after a later one.
    office.refused("/payments/2026-02/close", Value::Null, 400, "register.bad_request").await;
    let (status, _) = close(&office, "2026-02").await;
    assert_eq!(status, 409);
}
