//! Life events and questions about Social Cards as exchanges: a source and a shop reach the register
//! through both hubs, by the published contracts.
//!
//! ```text
//! tax (source, shop) → hub `tax` → hub `register` → register with a store
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a wrong value or index here fails the test"
)]

use std::path::Path;

use federation::agencies::REGISTER;
use federation::stage::{CONSUMER, PROVIDER, PROVIDER_SUBSYSTEM, Stage, grant};
use federation::{Answer, Caller};
use hub_server::config::Service;
use pki::signer::generate;
use pki::trust::Algorithm;
use register::card::answer::{Parties, StatusRequest, verify};
use register_server::{RegisterConfig, RunningRegister, start};
use schemas::clock::Clock;
use schemas::encoding::{base64url, from_base64url};
use serde_json::{Value, json};

const EVENTS: &str = "UZ/GOV/NASP/register/life-events";
const CARDS: &str = "UZ/GOV/NASP/register/social-card";
const PERSON: &str = "31505850010011";

/// A register that takes wages from the tax authority.
async fn register(dir: &Path, clock: &Clock) -> RunningRegister {
    generate(Algorithm::Ed25519, &dir.join("card.pem")).unwrap();
    let text = format!(
        r#"
listen = "127.0.0.1:0"
hub_url = "http://127.0.0.1:9"
client = "{REGISTER}"
purpose = "social-assessment"
[[sources]]
name = "civil-registry"
kind = "civil-registry"
service = "UZ/GOV/JUSTICE/civil-registry/civil-registry"
path = "/persons/{{pinfl}}/family"
wave = 1
[store]
directory = "{dir}/store"
[card]
key_file = "{dir}/card.pem"
[[event_sources]]
client = "{PROVIDER_SUBSYSTEM}"
name = "tax"
kinds = ["wage"]
"#,
        dir = dir.display()
    );
    start(RegisterConfig::parse(&text).unwrap(), clock.clone()).await.unwrap()
}

struct World {
    stage: Stage,
    register: RunningRegister,
    tax: Caller,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = Stage::lay_out().await.unwrap();
        let register = register(dir.path(), &stage.clock).await;
        let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi");
        let service = |id: &str, contract: &str| Service {
            id: id.parse().unwrap(),
            title: "Register".to_owned(),
            url: format!("http://{}", register.address),
            contract: Some(contracts.join(contract)),
            timeout_seconds: Some(10),
            disabled: None,
        };
        let services = [service(EVENTS, "life-events.json"), service(CARDS, "social-card.json")];
        let grants = [EVENTS, CARDS].map(|id| {
            let mut grant = grant(id.rsplit('/').next().unwrap(), id).unwrap();
            grant.client = Some(PROVIDER_SUBSYSTEM.parse().unwrap());
            grant
        });
        stage
            .federation
            .layout
            .edit_hub(CONSUMER, |config| {
                config.services.extend(services);
                config.grants.extend(grants);
            })
            .unwrap();
        stage.federation.start_central().await.unwrap();
        stage.federation.start_hub(PROVIDER).await.unwrap();
        stage.federation.start_hub(CONSUMER).await.unwrap();
        let edge = stage.place(PROVIDER).unwrap().edge_plain;
        let tax = Caller::new(edge, PROVIDER_SUBSYSTEM);
        Self { stage, register, tax, _dir: dir }
    }

    async fn post(&self, service: &str, path: &str, body: &Value) -> Answer {
        self.tax.post(service, path, body).await.unwrap()
    }

    async fn stop(self) {
        self.register.stop().await;
        self.stage.stop().await;
    }
}

fn event(kind: &str, sequence: u64) -> Value {
    let id = format!("{kind}-{sequence}");
    let what = json!({"kind": kind});
    json!({"id": id, "person": PERSON, "sequence": sequence, "on": "2026-05-31", "what": what})
}

#[tokio::test]
async fn a_source_tells_a_life_event_through_both_hubs_until_it_is_taken() {
    let world = World::start().await;
    for (sequence, outcome) in [(2, "held"), (1, "taken"), (2, "repeated")] {
        let answer = world.post(EVENTS, "/events", &event("wage", sequence)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.problem());
        assert_eq!(answer.json().unwrap()["outcome"], outcome);
        assert!(answer.header("koprik-receipt").is_some(), "recorded");
    }
    // The register, not the hub, knows which kinds a source may tell.
    let answer = world.post(EVENTS, "/events", &event("death", 3)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json().unwrap()["type"], "register.access_denied");
    world.stop().await;
}

#[tokio::test]
async fn an_event_with_more_than_the_contract_has_never_reaches_the_register() {
    let world = World::start().await;
    let mut chatty = event("wage", 1);
    chatty["employer"] = json!("invented");
    let answer = world.post(EVENTS, "/events", &chatty).await;
    assert!(answer.problem().is_some(), "the hub refuses it");
    let answer = world.post(EVENTS, "/events", &event("wage", 1)).await;
    assert_eq!(answer.json().unwrap()["outcome"], "taken", "nothing was taken before");
    world.stop().await;
}

#[tokio::test]
async fn a_shop_asks_about_a_card_through_both_hubs_and_believes_the_answer() {
    let world = World::start().await;
    let key = world.tax.get(CARDS, "/card-key").await.unwrap().json().unwrap();
    let key = from_base64url(key["x"].as_str().unwrap()).unwrap().try_into().unwrap();
    let card = base64url(&[9; 16]);
    let request = json!({"card": card, "question": "pupil", "nonce": base64url(&[7; 16])});
    let answer = world.post(CARDS, "/card-status", &request).await;
    assert_eq!(answer.status, 200, "{:?}", answer.problem());
    let answer = answer.json().unwrap();
    let request: StatusRequest = serde_json::from_value(request).unwrap();
    let parties = Parties {
        issuer: REGISTER.parse().unwrap(),
        audience: PROVIDER_SUBSYSTEM.parse().unwrap(),
    };
    let now = world.stage.clock.now();
    let text = answer["answer"].as_str().unwrap();
    assert_eq!(verify(text, &key, &request, &parties, now), Ok(false), "an unknown card");
    world.stop().await;
}
