//! The triggers of the shipped definitions, on SQLite and PostgreSQL.

use adapter_kit::{Definition, load_seed, prepare};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::agency;
use crate::postgres::Postgres;
use crate::world::World;

const FATHER: &str = "31505850010011";
const MOTHER: &str = "42007870010023";
const YOUNGEST: &str = "62509240010052";
const GRANDFATHER: &str = "30101500010069";

/// A definition with its seed, before its outbox has opened.
async fn world(name: &str, url: Option<&str>) -> World {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}?mode=rwc", dir.path().join("agency.db").display());
    let definition = agency::definition(name, url.unwrap_or(&file));
    prepare(&definition).await.unwrap();
    load_seed(&definition, definition.seed().unwrap()).await.unwrap();
    World::on(definition, dir, (None, &[])).await
}

impl World {
    async fn happens(&self, sql: &str) {
        let file = self.dir.path().join("happens.sql");
        std::fs::write(&file, sql).unwrap();
        load_seed(&self.definition, &file).await.unwrap();
    }

    /// Person, sequence and what of each event that the service was told.
    fn told(&self) -> Vec<(String, u64, Value)> {
        let told = self.service.told.lock().unwrap();
        let text = |event: &Value| event["person"].as_str().unwrap().to_owned();
        let of = |event: &Value| {
            (text(event), event["sequence"].as_u64().unwrap(), event["what"].clone())
        };
        told.iter().map(of).collect()
    }
}

fn event(person: &str, sequence: u64, what: Value) -> (String, u64, Value) {
    (person.to_owned(), sequence, what)
}

async fn civil_registry(url: Option<&str>) {
    let world = world("civil-registry", url).await;
    let mut outbox = world.open();
    assert_eq!(outbox.deliver().await.unwrap(), 0, "the seed is history");
    world
        .happens(&format!(
            "INSERT INTO vital_events (sequence, event, person, happened) VALUES \
                 (11, 'LiveBirth', '{YOUNGEST}', '2026-05-01'), \
                 (12, 'Divorce', '{FATHER}', '2026-05-02'), \
                 (13, 'Death', '{GRANDFATHER}', '2026-05-03'); \
             INSERT INTO marriages (husband, wife, married) VALUES ('{GRANDFATHER}', 'w', '2026-05-04'); \
             INSERT INTO vital_events (sequence, event, person, happened) VALUES \
                 (14, 'Marriage', 'w', '2026-05-04'), (15, 'Death', '{MOTHER}', '2026-05-05');"
        ))
        .await;
    // A restarted outbox makes nothing twice.
    assert_eq!(world.open().deliver().await.unwrap(), 6);
    load_seed(&world.definition, world.definition.seed().unwrap()).await.unwrap();
    assert_eq!(world.open().deliver().await.unwrap(), 0);
    let birth = json!({"kind": "birth", "child": YOUNGEST});
    let expected = [
        event(MOTHER, 1, birth.clone()),
        event(FATHER, 1, birth),
        event(GRANDFATHER, 1, json!({"kind": "death"})),
        event(GRANDFATHER, 2, json!({"kind": "marriage", "spouse": "w"})),
        event("w", 1, json!({"kind": "marriage", "spouse": GRANDFATHER})),
        event(MOTHER, 2, json!({"kind": "death"})),
    ];
    assert_eq!(world.told(), expected);
    let ids = ["birth-1", "birth-2", "death-3", "marriage-4", "marriage-5", "death-6"];
    assert_eq!(world.service.ids(), ids);
}

async fn tax(url: Option<&str>) {
    let world = world("tax", url).await;
    world.open().deliver().await.unwrap();
    world
        .happens(&format!(
            "INSERT INTO wages (pinfl, payer_stir, month, amount_soum) VALUES \
                 ('{FATHER}', '301234567', '2026-03', 1), ('{MOTHER}', '301234567', '2026-03', 1); \
             INSERT INTO wages (pinfl, payer_stir, month, amount_soum) VALUES \
                 ('{MOTHER}', '301234567', '2026-04', 1), ('{FATHER}', '309999999', '2026-04', 1);"
        ))
        .await;
    world.open().deliver().await.unwrap();
    let wage = json!({"kind": "wage"});
    assert_eq!(world.told(), [event(MOTHER, 1, wage.clone()), event(FATHER, 1, wage)]);
    assert_eq!(world.service.told.lock().unwrap()[0]["on"], "2026-03-01");
}

async fn vehicles(url: Option<&str>) {
    let world = world("vehicles", url).await;
    world.open().deliver().await.unwrap();
    let bought = format!(
        "INSERT INTO holdings (pinfl, plate, title, since) \
         VALUES ('{FATHER}', '01A123BC', 'owner', '2026-05-06');"
    );
    world.happens(&bought).await;
    world.open().deliver().await.unwrap();
    assert_eq!(world.told(), [event(FATHER, 1, json!({"kind": "vehicle"}))]);
}

#[tokio::test]
async fn shipped_definitions_tell_what_happens_from_now_on_in_sqlite() {
    civil_registry(None).await;
    tax(None).await;
    vehicles(None).await;
}

#[tokio::test]
async fn shipped_definitions_tell_what_happens_from_now_on_in_postgresql() {
    let server = Postgres::start();
    civil_registry(Some(&server.database("civil"))).await;
    tax(Some(&server.database("tax"))).await;
    vehicles(Some(&server.database("vehicles"))).await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_loses_no_event() {
    let server = Postgres::start();
    let url = server.database("civil");
    let world = world("civil-registry", Some(&url)).await;
    let mut outbox = world.open();
    outbox.deliver().await.unwrap();
    let death = |nth: u32, person: &str| {
        format!(
            "BEGIN; INSERT INTO vital_events (sequence, event, person, happened) \
             VALUES ({nth}, 'Death', '{person}', '2026-05-0{nth}');"
        )
    };
    let mut slow = PgConnection::connect(&url).await.unwrap();
    let slowly = death(6, FATHER);
    sqlx::raw_sql(sqlx::AssertSqlSafe(slowly)).execute(&mut slow).await.unwrap();
    let mut quick = PgConnection::connect(&url).await.unwrap();
    let quickly = death(7, MOTHER) + " COMMIT;";
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        sqlx::raw_sql(sqlx::AssertSqlSafe(quickly)).execute(&mut quick).await.map(drop)
    });
    let mut looking = PgConnection::connect(&url).await.unwrap();
    let waits = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    let waiting = async {
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut looking).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.unwrap();
    assert_eq!(outbox.deliver().await.unwrap(), 0);
    sqlx::raw_sql("COMMIT").execute(&mut slow).await.unwrap();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(outbox.deliver().await.unwrap(), 2);
    let people: Vec<_> = world.told().into_iter().map(|(person, _, _)| person).collect();
    assert_eq!(people, [FATHER, MOTHER]);
}

#[tokio::test]
async fn a_definition_without_life_events_needs_rows() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", dir.path().join("agency.db").display());
    let definition: Definition = agency::definition("pensions", &url);
    let world = World::on(definition, dir, (None, &[])).await;
    let refused = adapter_kit::Outbox::open(&world.definition, &world.config).err().unwrap();
    assert!(refused.to_string().contains("outbox.rows"), "{refused}");
}
