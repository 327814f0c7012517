//! GovStack's lengths and codes, over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use payments::bank::{Bank, Opening};
use payments::{PaymentPartyConfig, RunningParty, start_bank};
use schemas::clock::Clock;
use serde_json::{Value, json};

use crate::person;

pub(crate) const PAYEE: &str = "94049169714828912115";
pub(crate) const ACCOUNT: &str = "22618000900000000001";

pub(crate) async fn bank(dir: &std::path::Path) -> RunningParty<Bank> {
    let config = PaymentPartyConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: dir.join("bank.sqlite"),
        hub: "127.0.0.1:9".parse().unwrap(),
        client: "UZ/BANK/AGROBANK/accounts".parse().unwrap(),
        purpose: "social-payment".to_owned(),
        pay_every_ms: 1_000,
        services: BTreeMap::new(),
        pauses: payments::sender::Pauses::default(),
    };
    let bank = start_bank(config, Clock::machine()).await.unwrap();
    let account = ACCOUNT.parse().unwrap();
    let open = |bank: &Bank| Ok::<_, &str>(bank.set_account(account, person(1), Opening::Open));
    bank.desk.act(open).await.unwrap();
    bank
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> (u16, Value) {
    let request = http::Request::get(format!("http://{at}{path}"));
    send(request.body(Full::default()).unwrap()).await
}

pub(crate) async fn post(at: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let request = http::Request::post(format!("http://{at}{path}"))
        .header("content-type", "application/json");
    send(request.body(Full::from(body.to_string())).unwrap()).await
}

async fn send(request: http::Request<Full<bytes::Bytes>>) -> (u16, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

pub(crate) fn beneficiaries(payee: &str, address: &str) -> Value {
    json!({
        "RequestID": "915251236706", "SourceBBID": "467028349179",
        "Beneficiaries": [
            { "PayeeFunctionalID": payee, "PaymentModality": "00", "FinancialAddress": address }
        ],
    })
}

pub(crate) fn batch(payee: &str) -> Value {
    json!({
        "RequestID": "849324499155", "SourceBBID": "467028349179", "BatchID": "202603000001",
        "CreditInstructions": [{
            "InstructionID": "2026030000000001", "PayeeFunctionalID": payee,
            "Amount": 635_000, "Currency": "UZS", "Narration": "child benefit",
        }],
    })
}

fn code(status: u16, code: &str, request: &str, answer: &(u16, Value)) {
    assert_eq!(answer.0, status, "{answer:?}");
    assert_eq!(answer.1["ResponseCode"], code, "{answer:?}");
    assert_eq!(answer.1["RequestID"], request, "{answer:?}");
    let text = answer.1["ResponseDescription"].as_str().unwrap();
    assert!((1..=200).contains(&text.chars().count()), "{text}");
}

#[tokio::test]
async fn registered_payees_pass_the_prepayment_validation_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let bank = bank(dir.path()).await;
    let at = bank.address;
    let validate = async || post(at, "/prepayment-validation", &batch(PAYEE)).await;
    code(200, "01", "849324499155", &validate().await);
    let updated = post(at, "/update-beneficiary-details", &beneficiaries(PAYEE, ACCOUNT)).await;
    code(200, "01", "915251236706", &updated);
    for _ in 0..2 {
        let registered = post(at, "/register-beneficiary", &beneficiaries(PAYEE, ACCOUNT)).await;
        code(200, "00", "915251236706", &registered);
    }
    code(200, "00", "849324499155", &validate().await);
    let unknown = beneficiaries("94049169714828912116", "22618000900000009999");
    code(200, "01", "915251236706", &post(at, "/register-beneficiary", &unknown).await);
    let number = ACCOUNT.parse().unwrap();
    let close = |bank: &Bank| Ok::<_, &str>(bank.set_account(number, person(1), Opening::Closed));
    bank.desk.act(close).await.unwrap();
    code(200, "01", "849324499155", &validate().await);
    // Bulk payments would pay past statement, order and release.
    code(200, "01", "849324499155", &post(at, "/bulk-payment", &batch(PAYEE)).await);
    bank.stop().await;
}

#[tokio::test]
async fn requests_with_a_wrong_length_code_or_field_are_answered_400() {
    let dir = tempfile::tempdir().unwrap();
    let bank = bank(dir.path()).await;
    for (pointer, wrong) in [
        ("/RequestID", json!("84932449915")),
        ("/SourceBBID", json!("4670283491790")),
        ("/BatchID", json!("")),
        ("/CreditInstructions/0/InstructionID", json!("202603000000001")),
        ("/CreditInstructions/0/PayeeFunctionalID", json!("9404916971482891211")),
        ("/CreditInstructions/0/Amount", json!("635000")),
        ("/CreditInstructions/0/Currency", json!("UZ")),
        ("/CreditInstructions/0/Narration", json!("")),
        ("/CreditInstructions", json!([])),
    ] {
        let mut request = batch(PAYEE);
        *request.pointer_mut(pointer).unwrap() = wrong;
        for path in ["/prepayment-validation", "/bulk-payment"] {
            let answer = post(bank.address, path, &request).await;
            assert_eq!((answer.0, &answer.1["ResponseCode"]), (400, &json!("01")), "{pointer}");
        }
    }
    for (pointer, wrong) in [
        ("/RequestID", json!("84932449915")),
        ("/Beneficiaries/0/PayeeFunctionalID", json!("940491697148289121155")),
        ("/Beneficiaries/0/PaymentModality", json!("05")),
        ("/Beneficiaries/0/FinancialAddress", json!("1".repeat(31))),
    ] {
        let mut request = beneficiaries(PAYEE, ACCOUNT);
        *request.pointer_mut(pointer).unwrap() = wrong;
        let answer = post(bank.address, "/register-beneficiary", &request).await;
        assert_eq!(answer.0, 400, "{pointer}: {answer:?}");
    }
    bank.stop().await;
}
