//! A month of payments over three hubs, with hubs and parties killed on the way.
//!
//! ```text
//! register ── hub `register` ──┬── hub `treasury` ── treasury
//!                              └── hub `bank-agro` ── bank
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use ::payments::contract;
use federation::Federation;
use federation::agencies::{REGISTER, TREASURY};
use federation::call::Caller;
use federation::payments::{self, BANK, G2P, PAYMENTS, PAYOUTS, PURPOSE};
use federation::raw::{self, Message};
use register::payment::message::Role;
use schemas::record::{Kind, Record, Side};
use serde_json::{Value, json};

/// Invented recipients: paid, dies before the order is financed, has somebody else's account.
const PAID: &str = "31505850010011";
const DIES: &str = "42007870010023";
const WRONG_ACCOUNT: &str = "30101500010069";
const DEADLINE: Duration = Duration::from_secs(60);

async fn operator(at: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
    let headers = [("Content-Type", "application/json")];
    let bytes = raw::talk(at, &raw::request(method, path, &headers, &body)).await.unwrap();
    let answer = Message::parse_all(&bytes).remove(0);
    (answer.status(), serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

async fn done(at: SocketAddr, path: &str, body: Value) -> Value {
    let (status, answer) = operator(at, "POST", path, &body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// Waits until `asked` says so.
async fn until(paying: &Federation, what: &str, asked: impl AsyncFn() -> bool) {
    let watch = paying.clock.stopwatch();
    while !asked().await {
        if watch.elapsed() > DEADLINE {
            let seen = (month(paying, "2026-03").await, orders(paying).await);
            panic!("after a minute there is still no {what}: {seen:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn register_at(paying: &Federation) -> SocketAddr {
    paying.register.as_ref().unwrap().address
}

async fn month(paying: &Federation, month: &str) -> Value {
    operator(register_at(paying), "GET", &format!("/payments/{month}"), &Value::Null).await.1
}

async fn orders(paying: &Federation) -> Value {
    let at = paying.treasury.as_ref().unwrap().address;
    operator(at, "GET", "/operator/orders", &Value::Null).await.1
}

fn account(nth: u32) -> String {
    format!("226180009000{nth:08}")
}

fn entitlement(family: &str, recipient: &str, account_nth: u32, amount_soum: u64) -> Value {
    json!({
        "family": family, "benefit": "child-benefit", "recipient": recipient,
        "account": account(account_nth), "amount_soum": amount_soum,
        "ground": format!("decision-{family}"), "branch": "00394",
    })
}

async fn prepared(dir: &std::path::Path) -> Federation {
    let paying = payments::start(dir).await.unwrap();
    let bank = paying.bank.as_ref().unwrap().address;
    for (nth, owner) in [(1, PAID), (2, DIES), (3, PAID)] {
        let set = json!({ "number": account(nth), "owner": owner, "opening": "open" });
        done(bank, "/operator/accounts", set).await;
    }
    let treasury = paying.treasury.as_ref().unwrap().address;
    done(treasury, "/operator/fund", json!({ "soum": 10_000_000 })).await;
    paying
}

/// Records of all three hubs, by exchange.
fn records(paying: &Federation) -> BTreeMap<String, Vec<Record>> {
    let mut exchanges: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for hub in ["register", TREASURY.name, BANK] {
        let log = paying.hub(hub).unwrap().log();
        for index in 0..log.size() {
            let record = Record::from_leaf(&log.read(index).unwrap().leaf).unwrap();
            if let Some(exchange) = record.exchange.clone() {
                exchanges.entry(exchange).or_default().push(record);
            }
        }
    }
    exchanges
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_is_paid_over_three_hubs_though_hubs_and_parties_are_killed_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut paying = prepared(dir.path()).await;
    let corrections = json!({ "corrections": [
        entitlement("family-1", PAID, 1, 635_000),
        entitlement("family-2", DIES, 2, 275_000),
        entitlement("family-3", WRONG_ACCOUNT, 3, 360_000),
    ]});
    done(register_at(&paying), "/payments/2026-03/close", corrections.clone()).await;
    let again = operator(register_at(&paying), "POST", "/payments/2026-03/close", &corrections);
    assert_eq!(again.await.0, 409, "a month is closed once");
    let ordered = async || orders(&paying).await["orders"].as_array().unwrap().len() == 1;
    until(&paying, "order at the treasury", ordered).await;
    // The account of another person was held before the statement.
    assert_eq!(orders(&paying).await["orders"][0]["order"]["total_soum"], 910_000);
    // The bank and its hub go away; the treasury finances, and the register learns of a death.
    drop(paying.bank.take());
    paying.stop_hub(BANK).await;
    let treasury = paying.treasury.as_ref().unwrap().address;
    done(treasury, "/operator/orders/2026-03/finance", Value::Null).await;
    done(register_at(&paying), "/payments/deaths", json!({ "pinfl": DIES })).await;
    drop(paying.treasury.take());
    paying.start_treasury().await.unwrap();
    paying.start_hub(BANK).await.unwrap();
    paying.start_bank().await.unwrap();
    let paid = async || {
        let states = &month(&paying, "2026-03").await["summary"]["states"];
        states["paid"]["lines_count"] == 1 && states["blocked"]["lines_count"] == 1
    };
    until(&paying, "confirmation of the payment", paid).await;
    // The register is stopped before the month ends.
    paying.register.take().unwrap().stop().await;
    paying.start_register().await.unwrap();
    let bank = paying.bank.as_ref().unwrap().address;
    done(bank, "/operator/months/2026-03/end", Value::Null).await;
    let settled = async || orders(&paying).await["orders"][0]["progress"]["is"] == "settled";
    until(&paying, "settlement", settled).await;
    sums_agree(&paying).await;
    the_line_that_was_held_rolls_over_once(&paying).await;
    let contract = operator(register_at(&paying), "GET", "/openapi.json", &Value::Null).await.1;
    assert_eq!(contract, *contract::of(Role::Register), "the hub holds every answer to it");
    every_message_is_signed_and_recorded_on_both_sides(&paying);
    paying.stop().await;
}

async fn sums_agree(paying: &Federation) {
    let orders = orders(paying).await;
    assert_eq!(orders["orders"][0]["progress"]["paid_soum"], 635_000);
    assert_eq!(orders["orders"][0]["progress"]["returned_soum"], 275_000);
    assert_eq!(orders["fund_soum"], 10_000_000 - 635_000);
    let register = month(paying, "2026-03").await;
    assert_eq!(register["summary"]["statement_soum"], 910_000);
    assert_eq!(register["summary"]["states"]["paid"]["sum_soum"], 635_000);
    assert_eq!(register["summary"]["states"]["blocked"]["sum_soum"], 275_000);
    assert_eq!(register["summary"]["states"]["held"]["sum_soum"], 360_000);
    let balances = paying.bank.as_ref().unwrap().desk.look(|bank| {
        bank.accounts().map(|account| account.balance_soum.amount()).collect::<Vec<_>>()
    });
    assert_eq!(balances.await, [635_000, 0, 0]);
}

async fn the_line_that_was_held_rolls_over_once(paying: &Federation) {
    let bank = paying.bank.as_ref().unwrap().address;
    let own = json!({ "number": account(4), "owner": WRONG_ACCOUNT, "opening": "open" });
    done(bank, "/operator/accounts", own).await;
    let april = json!({ "corrections": [entitlement("family-3", WRONG_ACCOUNT, 4, 360_000)] });
    done(register_at(paying), "/payments/2026-04/close", april).await;
    let ordered = async || orders(paying).await["orders"].as_array().unwrap().len() == 2;
    until(paying, "order for April", ordered).await;
    let treasury = paying.treasury.as_ref().unwrap().address;
    done(treasury, "/operator/orders/2026-04/finance", Value::Null).await;
    let paid =
        async || month(paying, "2026-04").await["summary"]["states"]["paid"]["sum_soum"] == 720_000;
    until(paying, "payment of both lines", paid).await;
    assert_eq!(month(paying, "2026-04").await["summary"]["rolled_over_count"], 1);
}

fn every_message_is_signed_and_recorded_on_both_sides(paying: &Federation) {
    let mut endpoints = BTreeSet::new();
    for (exchange, records) in records(paying) {
        let answered = records
            .iter()
            .find(|r| r.side == Side::Consumer && r.kind == Kind::Answer && r.outcome == "ok");
        let Some(answered) = answered else { continue };
        endpoints.insert((answered.service.clone().unwrap(), answered.endpoint.clone().unwrap()));
        assert_eq!(answered.purpose.as_deref(), Some(PURPOSE));
        for (side, kind) in [
            (Side::Consumer, Kind::Request),
            (Side::Provider, Kind::Request),
            (Side::Provider, Kind::Answer),
            (Side::Consumer, Kind::Answer),
        ] {
            let record = records.iter().find(|r| (r.side, r.kind) == (side, kind));
            let record = record.unwrap_or_else(|| panic!("{exchange}: no {kind:?} at {side:?}"));
            assert!(record.signed.is_some(), "{exchange}: {record:?}");
        }
    }
    let treasury = TREASURY.service_id();
    let expected = [
        (PAYOUTS, "POST /account-checks"),
        (PAYOUTS, "POST /financings"),
        (PAYOUTS, "POST /statements"),
        (treasury.as_str(), "POST /payment-orders"),
        (treasury.as_str(), "POST /settlements"),
        (PAYMENTS, "POST /confirmations"),
        (PAYMENTS, "POST /financed-orders"),
        (PAYMENTS, "POST /releases"),
    ];
    let expected = expected.map(|(service, endpoint)| (service.to_owned(), endpoint.to_owned()));
    assert_eq!(endpoints, BTreeSet::from(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_party_that_may_say_it_is_heard_and_govstack_callers_get_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    let paying = prepared(dir.path()).await;
    // The register may not say that the treasury has sent money: that is the treasury's to say.
    let edge = paying.layout.place("register").unwrap().edge_plain;
    let register = Caller::new(edge, REGISTER);
    let forged = json!({ "kind": "financing", "month": "2026-03", "total_soum": 1 });
    let refused = register.post(PAYOUTS, "/financings", &forged).await.unwrap();
    assert!(refused.problem().is_some(), "{refused:?}");
    assert!(paying.bank.as_ref().unwrap().desk.look(|bank| bank.months().count()).await == 0);
    let registration = json!({
        "RequestID": "915251236706", "SourceBBID": "467028349179",
        "Beneficiaries": [{
            "PayeeFunctionalID": "94049169714828912115", "PaymentModality": "00",
            "FinancialAddress": account(1),
        }],
    });
    let answer = register.post(G2P, "/register-beneficiary", &registration).await.unwrap();
    assert_eq!(answer.json().unwrap()["ResponseCode"], "00", "{answer:?}");
    let batch = |payee: &str| {
        json!({
            "RequestID": "915251236707", "SourceBBID": "467028349179", "BatchID": "202603000001",
            "CreditInstructions": [{
                "InstructionID": "2026030000000001", "PayeeFunctionalID": payee,
                "Amount": 635_000, "Currency": "UZS",
            }],
        })
    };
    for (payee, code) in [("94049169714828912115", "00"), ("94049169714828912116", "01")] {
        let answer = register.post(G2P, "/prepayment-validation", &batch(payee)).await.unwrap();
        assert_eq!((answer.status, &answer.json().unwrap()["ResponseCode"]), (200, &json!(code)));
    }
    paying.stop().await;
}

/// Posts to the register as an officer does.
async fn office(paying: &Federation, path: &str, body: Value) -> Value {
    done(register_at(paying), path, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rated_family_is_paid_over_the_hubs_what_its_rating_says_until_its_support_ends() {
    let dir = tempfile::tempdir().unwrap();
    let clock = schemas::clock::Clock::machine();
    let layout =
        federation::lay_out(dir.path(), &federation::Options::paying(clock.now())).unwrap();
    let mut paying = Federation::new(layout, clock);
    paying.seed().await.unwrap();
    paying.start_all().await.unwrap();
    let bank = paying.bank.as_ref().unwrap().address;
    for (nth, owner) in [(1, PAID), (2, DIES)] {
        let set = json!({ "number": account(nth), "owner": owner, "opening": "open" });
        done(bank, "/operator/accounts", set).await;
    }
    let treasury = paying.treasury.as_ref().unwrap().address;
    done(treasury, "/operator/fund", json!({ "soum": 10_000_000 })).await;

    let filing = json!({ "pinfl": PAID, "filed_on": "2026-03-02" });
    let filed = office(&paying, "/applications", filing).await;
    let id = filed["application"]["id"].as_str().unwrap().to_owned();
    let visit = json!({ "visited_on": "2026-03-04", "family_confirmed": true, "note": "" });
    office(&paying, &format!("/applications/{id}/questionnaire"), visit).await;
    let declared = json!({ "account": account(1), "branch": "00394" });
    office(&paying, &format!("/applications/{id}/account"), declared).await;
    let rating = format!("/applications/{id}/final-rating");
    let rated = office(&paying, &rating, Value::Null).await;
    assert_eq!(rated["application"]["state"]["entitlement"]["monthly_soum"], 635_000, "{rated}");

    let closed = office(&paying, "/payments/2026-03/close", json!({ "corrections": [] })).await;
    assert_eq!(closed["summary"]["families"]["entitled_count"], 1);
    pay(&paying, "2026-03", 635_000).await;
    let path = format!("/applications/{id}/payments");
    let (_, lines) = operator(register_at(&paying), "GET", &path, &Value::Null).await;
    assert_eq!(lines["lines"][0]["state"], "paid");
    assert_eq!(lines["lines"][0]["amount_soum"], 635_000);
    let again = office(&paying, "/payments/2026-03/close", json!({ "corrections": [] })).await;
    assert_eq!(again["summary"], month(&paying, "2026-03").await["summary"]);

    // Six months later the support has ended; only a correction for somebody else is paid.
    let correction = json!({ "corrections": [entitlement("family-2", DIES, 2, 100_000)] });
    let closed = office(&paying, "/payments/2026-09/close", correction).await;
    let families =
        json!({ "entitled_count": 0, "corrections_count": 1, "left_out": { "ended": 1 } });
    assert_eq!(closed["summary"]["families"], families);
    pay(&paying, "2026-09", 100_000).await;
    let balances = paying.bank.as_ref().unwrap().desk.look(|bank| {
        bank.accounts().map(|account| account.balance_soum.amount()).collect::<Vec<_>>()
    });
    assert_eq!(balances.await, [635_000, 100_000], "each is paid once");
    paying.stop().await;
}

/// Finances the order of a month and waits until its whole sum is paid.
async fn pay(paying: &Federation, of: &str, sum_soum: u64) {
    let ordered = async || {
        let orders = orders(paying).await;
        let orders = orders["orders"].as_array().unwrap();
        orders.iter().any(|kept| kept["order"]["month"] == of)
    };
    until(paying, "order at the treasury", ordered).await;
    let treasury = paying.treasury.as_ref().unwrap().address;
    done(treasury, &format!("/operator/orders/{of}/finance"), Value::Null).await;
    let paid =
        async || month(paying, of).await["summary"]["states"]["paid"]["sum_soum"] == sum_soum;
    until(paying, "payment", paid).await;
}
