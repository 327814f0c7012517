//! A death in the civil registry's database reaches the case and stops the payment, over two hubs and
//! though the adapter is killed on the way.
//!
//! ```text
//! vital_events ─ trigger ─ outbox ── hub `civil-registry` ── hub `register` ── register ── bank, treasury
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::net::SocketAddr;
use std::time::Duration;

use adapter_kit::{AdapterConfig, Definition};
use federation::layout::REGISTER_HUB;
use federation::life_events::{EVENTS, wire};
use federation::raw::{self, Message};
use federation::{Federation, payments, recorded};
use schemas::digest::Pseudonym;
use schemas::record::{Kind, Side};
use serde_json::{Value, json};

/// Two of the worked example: the father is paid, the mother dies.
const PAID: &str = "31505850010011";
const DIES: &str = "42007870010023";
const YOUNGEST: &str = "62509240010052";
const REGISTRY: &str = "civil-registry";
const DEADLINE: Duration = Duration::from_secs(60);

struct World {
    paying: Federation,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut paying = payments::start(dir.path()).await.unwrap();
        let federation = &mut paying;
        wire(&federation.layout).unwrap();
        federation.register.take().unwrap().stop().await;
        let file = &federation.layout.register.0;
        let officer = "\n[[officers]]\nid = \"worker-1\"\nrole = \"caseworker\"\n\
                       district = \"1726269\"\n";
        std::fs::write(file, std::fs::read_to_string(file).unwrap() + officer).unwrap();
        federation.start_register().await.unwrap();
        federation.hub(REGISTER_HUB).unwrap().refresh().await.unwrap();
        federation.start_hub(REGISTRY).await.unwrap();
        // The family of the worked example is history when the outbox opens.
        let registry = definition(&paying);
        adapter_kit::prepare(&registry).await.unwrap();
        adapter_kit::load_seed(&registry, registry.seed().unwrap()).await.unwrap();
        paying.start_adapter(REGISTRY).await.unwrap();
        Self { paying, dir }
    }

    fn register(&self) -> SocketAddr {
        self.paying.register.as_ref().unwrap().address
    }

    /// Registers events with the civil registry, as its own programs would.
    async fn happens(&self, sql: &str) {
        let file = self.dir.path().join("happens.sql");
        std::fs::write(&file, sql).unwrap();
        adapter_kit::load_seed(&definition(&self.paying), &file).await.unwrap();
    }

    /// Waits until `asked` says so.
    async fn until(&self, what: &str, asked: impl AsyncFn() -> bool) {
        let watch = self.paying.clock.stopwatch();
        while !asked().await {
            assert!(watch.elapsed() < DEADLINE, "after a minute there is still no {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn month(&self) -> Value {
        ask(self.register(), "GET", "/payments/2026-03", &Value::Null).await["summary"].clone()
    }

    /// Kinds of the events that a case shows, oldest first.
    async fn seen(&self, case: &str) -> Vec<String> {
        let case = ask(self.register(), "GET", &format!("/cases/{case}"), &Value::Null).await;
        let events = case["case"]["events"].as_array().unwrap().iter();
        events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// Exchanges of the register's service for events that a hub has records of: person and outcome.
    fn exchanges(&self, hub: &str, side: Side) -> Vec<(Vec<Pseudonym>, String)> {
        let log = self.paying.hub(hub).unwrap().log();
        recorded(log)
            .into_iter()
            .filter(|record| record.service.as_deref() == Some(EVENTS))
            .filter(|record| (record.side, record.kind) == (side, Kind::Answer))
            .map(|record| (record.subjects, record.outcome))
            .collect()
    }
}

/// The civil registry's definition on its database.
fn definition(paying: &Federation) -> Definition {
    let config = &paying.layout.adapters[REGISTRY].0;
    AdapterConfig::load(config).unwrap().definition().unwrap()
}

async fn ask(at: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
    let headers = [("Content-Type", "application/json"), ("X-Road-UserId", "worker-1")];
    let bytes = raw::talk(at, &raw::request(method, path, &headers, &body)).await.unwrap();
    let answer = Message::parse_all(&bytes).remove(0);
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    assert!((200..300).contains(&answer.status()), "{path}: {body}");
    body
}

fn account(nth: u32) -> String {
    format!("226180009000{nth:08}")
}

/// Closes March for the two; the order is at the treasury then.
async fn close_month(world: &World) {
    let bank = world.paying.bank.as_ref().unwrap().address;
    let treasury = world.paying.treasury.as_ref().unwrap().address;
    let mut entitlements = Vec::new();
    for (nth, recipient) in [(1, PAID), (2, DIES)] {
        let set = json!({"number": account(nth), "owner": recipient, "opening": "open"});
        ask(bank, "POST", "/operator/accounts", &set).await;
        entitlements.push(json!({
            "family": format!("family-{nth}"), "benefit": "child-benefit", "recipient": recipient,
            "account": account(nth), "amount_soum": 635_000, "ground": "decision", "branch": "00394",
        }));
    }
    ask(treasury, "POST", "/operator/fund", &json!({"soum": 10_000_000})).await;
    let entitlements = json!({"corrections": entitlements});
    ask(world.register(), "POST", "/payments/2026-03/close", &entitlements).await;
    let ordered = async || {
        let orders = ask(treasury, "GET", "/operator/orders", &Value::Null).await;
        orders["orders"].as_array().unwrap().len() == 1
    };
    world.until("order at the treasury", ordered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_in_the_registry_shows_in_the_case_and_stops_the_payment_though_the_adapter_is_killed()
 {
    let mut world = World::start().await;
    let opened = json!({"pinfl": DIES, "district": "1726269", "ground": "asked for help"});
    let case = ask(world.register(), "POST", "/cases", &opened).await;
    let case = case["case"]["id"].as_str().unwrap().to_owned();
    close_month(&world).await;

    // A birth is told while the adapter runs; then it is killed, and the mother dies meanwhile.
    let birth = format!(
        "INSERT INTO vital_events (sequence, event, person, happened) \
         VALUES (5, 'LiveBirth', '{YOUNGEST}', '2026-03-20');"
    );
    told_from_now_on(&world).await;
    world.happens(&birth).await;
    world.until("birth in the case", async || world.seen(&case).await == ["birth"]).await;
    world.paying.stop_adapter(REGISTRY).await;
    let death = format!(
        "UPDATE persons SET died = '2026-03-21' WHERE pinfl = '{DIES}'; \
         INSERT INTO vital_events (sequence, event, person, happened) \
         VALUES (6, 'Death', '{DIES}', '2026-03-21');"
    );
    world.happens(&death).await;
    world.paying.start_adapter(REGISTRY).await.unwrap();
    world.until("death in the case", async || world.seen(&case).await == ["birth", "death"]).await;

    // The statement is at the bank with both lines; the money comes now.
    let treasury = world.paying.treasury.as_ref().unwrap().address;
    ask(treasury, "POST", "/operator/orders/2026-03/finance", &Value::Null).await;
    let settled = async || {
        let states = &world.month().await["states"];
        states["paid"]["lines_count"] == 1 && states["blocked"]["lines_count"] == 1
    };
    world.until("payment of one and stop of the other", settled).await;
    let bank = world.paying.bank.as_ref().unwrap();
    let balances = bank.desk.look(|bank| {
        bank.accounts().map(|account| account.balance_soum.amount()).collect::<Vec<_>>()
    });
    assert_eq!(balances.await, [635_000, 0], "the dead are not paid");
    both_hubs_have_recorded(&world);
    let World { paying, dir } = world;
    paying.stop().await;
    drop(dir);
}

/// Waits until the outbox has made its triggers: what is registered before is history.
async fn told_from_now_on(world: &World) {
    let file = world.dir.path().join("made.sql");
    std::fs::write(&file, "DELETE FROM life_events WHERE n = 0;").unwrap();
    let definition = definition(&world.paying);
    let made = async || adapter_kit::load_seed(&definition, &file).await.is_ok();
    world.until("table of life events", made).await;
}

/// A birth is told of both parents, then the death of one: each exchange is about one person. What was
/// under way when the adapter was killed is told again.
fn both_hubs_have_recorded(world: &World) {
    for (hub, side) in [(REGISTRY, Side::Consumer), (REGISTER_HUB, Side::Provider)] {
        let mut exchanges = world.exchanges(hub, side);
        exchanges.retain(|(_, outcome)| outcome == "ok");
        exchanges.dedup();
        let people: Vec<_> = exchanges.iter().map(|(people, _)| people).collect();
        let [mother, father, dead] = people.as_slice() else { panic!("{hub}: {people:?}") };
        assert!(mother.len() == 1 && mother == dead && mother != father, "{hub}: {people:?}");
    }
}
