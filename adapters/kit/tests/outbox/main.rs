//! An outbox tells the events of a database to a service, in order and at least once.
//!
//! ```text
//! SQLite, PostgreSQL → outbox → service that does as the test says
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a wrong value or index here fails the test"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "../agency/mod.rs"]
mod agency;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "../postgres/mod.rs"]
mod postgres;
mod triggers;
mod world;

use adapter_kit::{Outbox, OutboxConfig, OutboxError};
use serde_json::json;

use crate::world::{PERSON, World};

#[tokio::test]
async fn events_are_told_once_in_order_and_not_again_after_a_restart() {
    let world = World::new(&[]).await;
    let mut outbox = world.open();
    assert_eq!(outbox.deliver().await.unwrap(), 3);
    assert_eq!(outbox.deliver().await.unwrap(), 0);
    assert_eq!(world.open().deliver().await.unwrap(), 0);
    assert_eq!(world.service.ids(), ["e-1", "e-2", "e-3"]);
    let first = world.service.told.lock().unwrap()[0].clone();
    let what = json!({"kind": "marriage", "spouse": "42007870010023"});
    let told =
        json!({"id": "e-1", "person": PERSON, "sequence": 1, "on": "2026-03-01", "what": what});
    assert_eq!(first, told);
}

#[tokio::test]
async fn an_event_that_is_not_taken_holds_up_those_behind_it_and_is_told_again() {
    let world = World::new(&[200, 503, 409]).await;
    let mut outbox = world.open();
    for reason in ["HTTP 503", "HTTP 409, register.event_refused"] {
        let refused = outbox.deliver().await.unwrap_err();
        assert!(matches!(refused, OutboxError::NotTaken { n: 4, .. }));
        let text = refused.to_string();
        assert!(text.contains(reason) && !text.contains("4200787"), "{text}");
    }
    assert_eq!(outbox.deliver().await.unwrap(), 2);
    assert_eq!(world.service.ids(), ["e-1", "e-2", "e-2", "e-2", "e-3"]);
}

#[tokio::test]
async fn a_crash_before_the_position_is_kept_tells_the_event_again() {
    let world = World::new(&[]).await;
    let position = world.dir.path().join("outbox.position");
    world.open().deliver().await.unwrap();
    std::fs::write(&position, "4").unwrap();
    assert_eq!(world.open().deliver().await.unwrap(), 1);
    assert_eq!(world.service.ids(), ["e-1", "e-2", "e-3", "e-3"]);
    std::fs::write(&position, "four").unwrap();
    let refused = Outbox::open(&world.definition, &world.config).err().unwrap();
    assert!(matches!(refused, OutboxError::Position { .. }), "never from the beginning by mistake");
}

#[tokio::test]
async fn unsafe_configurations_are_refused_by_key() {
    let world = World::new(&[]).await;
    let refused =
        |config: OutboxConfig| Outbox::open(&world.definition, &config).err().unwrap().to_string();
    let with_url = |url: &str| OutboxConfig { hub_url: url.to_owned(), ..world.config.clone() };
    for url in ["http://hub.example:80", "https://127.0.0.1:1", "nowhere"] {
        assert!(refused(with_url(url)).contains("outbox.hub_url"), "{url}");
    }
    for rows in ["SELECT 1", "SELECT :after; DROP TABLE life_events", "SELECT :after + :more"] {
        let config = OutboxConfig { rows: Some(rows.to_owned()), ..world.config.clone() };
        assert!(refused(config).contains("outbox.rows"), "{rows}");
    }
}
