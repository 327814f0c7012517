//! What the parties answer is what their contracts at `/openapi.json` say.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use payments::treasury::Treasury;
use payments::{PaymentPartyConfig, RunningParty, start_treasury};
use register::payment::message::Role;
use schemas::clock::Clock;
use serde_json::{Value, json};

use crate::govstack::{ACCOUNT, PAYEE, bank, batch, beneficiaries, get, post};
use crate::person;

async fn treasury(dir: &std::path::Path) -> RunningParty<Treasury> {
    let config = PaymentPartyConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: dir.join("treasury.sqlite"),
        hub: "127.0.0.1:9".parse().unwrap(),
        client: "UZ/GOV/TREASURY/treasury".parse().unwrap(),
        purpose: "social-payment".to_owned(),
        pay_every_ms: 1_000,
        services: BTreeMap::new(),
        pauses: payments::sender::Pauses::default(),
    };
    start_treasury(config, Clock::machine()).await.unwrap()
}

/// Sends a request that the contract has, and holds the answer to it; gives the status.
async fn held_to_the_contract(at: SocketAddr, path: &str, body: &Value) -> u16 {
    let contract = get(at, "/openapi.json").await.1;
    let operation = &contract["paths"][path]["post"];
    let schema = |place: &Value| {
        jsonschema::draft202012::new(&place["content"]["application/json"]["schema"])
    };
    let request = schema(&operation["requestBody"]).unwrap();
    let (status, answer) = post(at, path, body).await;
    // What is not a request of the contract is refused, also without a hub.
    assert!(request.is_valid(body) || status == 400, "{path}: {status} {body}");
    let stated = operation["responses"].get(status.to_string());
    let stated = stated.or(operation["responses"].get("default")).unwrap();
    let stated = schema(stated).unwrap();
    assert!(stated.is_valid(&answer), "{path}: {status} {answer}");
    // The schema forbids what it does not have.
    let mut more = answer.clone();
    more["surplus"] = json!(1);
    assert!(!stated.is_valid(&more), "{path}: {status}");
    status
}

#[tokio::test]
async fn a_banks_answers_are_those_of_its_contract() {
    let dir = tempfile::tempdir().unwrap();
    let bank = bank(dir.path()).await;
    let at = bank.address;
    let check = json!({ "kind": "account-check", "month": "2026-03", "part": 1,
        "recipients": [person(1)], "accounts": [ACCOUNT] });
    assert_eq!(held_to_the_contract(at, "/account-checks", &check).await, 200);
    let mut uneven = check.clone();
    uneven["accounts"] = json!([ACCOUNT, ACCOUNT]);
    assert_eq!(held_to_the_contract(at, "/account-checks", &uneven).await, 400);
    let statement = json!({ "month": "2026-03", "parts_count": 1, "lines_count": 1,
        "total_soum": 635_000 });
    let part = json!({ "kind": "statement-part", "statement": statement, "part": 1,
        "recipients": [person(1)],
        "lines": [{ "line": "2026030000000001", "account": ACCOUNT, "amount_soum": 635_000,
            "ground": "decision-1", "branch": "00394" }] });
    assert_eq!(held_to_the_contract(at, "/statements", &part).await, 200);
    let mut other = part.clone();
    other["lines"][0]["amount_soum"] = json!(1);
    assert_eq!(held_to_the_contract(at, "/statements", &other).await, 409);
    let money = json!({ "kind": "financing", "month": "2026-03", "total_soum": 635_000 });
    assert_eq!(held_to_the_contract(at, "/financings", &money).await, 200);
    assert_eq!(held_to_the_contract(at, "/financings", &json!({ "kind": "gift" })).await, 400);
    let registration = beneficiaries(PAYEE, ACCOUNT);
    for path in ["/register-beneficiary", "/update-beneficiary-details"] {
        assert_eq!(held_to_the_contract(at, path, &registration).await, 200);
    }
    for path in ["/prepayment-validation", "/bulk-payment"] {
        assert_eq!(held_to_the_contract(at, path, &batch(PAYEE)).await, 200);
        assert_eq!(held_to_the_contract(at, path, &json!({})).await, 400);
    }
    bank.stop().await;
}

#[tokio::test]
async fn a_treasurys_answers_are_those_of_its_contract() {
    let dir = tempfile::tempdir().unwrap();
    let treasury = treasury(dir.path()).await;
    let at = treasury.address;
    let order =
        json!({ "kind": "payment-order", "month": "2026-03", "lines_count": 1, "total_soum": 1 });
    for _ in 0..2 {
        assert_eq!(held_to_the_contract(at, "/payment-orders", &order).await, 200);
    }
    let settlement = json!({ "kind": "settlement", "month": "2026-03", "paid_soum": 1,
        "returned_soum": 0 });
    assert_eq!(held_to_the_contract(at, "/settlements", &settlement).await, 409);
    assert_eq!(get(at, "/openapi.json").await.1, *payments::contract::of(Role::Treasury));
    treasury.stop().await;
}
