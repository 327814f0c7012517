//! The store in PostgreSQL: the suite, several nodes, and what lies on disk.

use std::path::PathBuf;

use register_store::{Changes, Store, StoreConfig, StoreError};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Row};
use tempfile::TempDir;

use crate::disk::holds;
use crate::postgres::Postgres;
use crate::suite::{FATHER, MOTHER, NAME, Note, insert, note, suite};

fn empty() -> (StoreConfig, (Postgres, TempDir)) {
    let server = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::postgres(server.database("register"), key(&folder));
    (config, (server, folder))
}

fn key(folder: &TempDir) -> PathBuf {
    folder.path().join("store.key")
}

fn url(config: &StoreConfig) -> &str {
    config.postgres.as_deref().unwrap()
}

suite!(empty:
    documents_come_back_as_they_were_also_after_a_restart,
    a_commit_that_comes_second_is_refused_whole,
    of_many_writers_at_once_none_is_lost,
    queries_answer_in_order_page_by_page,
    a_changed_document_is_found_by_its_new_keys_only,
    an_erased_person_is_gone_and_nobody_else,
    what_is_beyond_a_limit_is_refused_with_its_repair,
);

#[tokio::test]
async fn the_disk_of_the_database_holds_no_pinfl_and_no_name() {
    let (config, _kept) = empty();
    let store = Store::open(&config).await.unwrap();
    insert(&store, &[note("a", FATHER, "a-state-in-the-clear"), note("b", MOTHER, "b")]).await;
    let mut connection = PgConnection::connect(url(&config)).await.unwrap();
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.unwrap();
    let row = sqlx::query("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
    let data = PathBuf::from(row.get::<String, _>(0));
    for secret in [FATHER, MOTHER, NAME] {
        assert!(!holds(&data, secret), "{secret}");
    }
    assert!(holds(&data, "a-state-in-the-clear"));
}

#[tokio::test]
async fn nodes_share_one_store_and_one_key_file() {
    let (config, (server, folder)) = empty();
    // All start at once in an empty database: one makes the tables, the others find them.
    let (first, second) = tokio::join!(Store::open(&config), Store::open(&config));
    let (first, second) = (first.unwrap(), second.unwrap());
    insert(&first, &[note("a", FATHER, "open")]).await;
    let seen = second.get::<Note>("a").await.unwrap().unwrap();
    first.commit(Changes::new().update(&seen).unwrap()).await.unwrap();
    let late = second.commit(Changes::new().update(&seen).unwrap()).await.unwrap_err();
    assert!(matches!(late, StoreError::Conflict { .. }));
    second.erase_person(&FATHER.parse().unwrap()).await.unwrap();
    assert!(matches!(first.get::<Note>("a").await, Err(StoreError::Erased { .. })));

    let elsewhere = folder.path().join("other.key");
    let stranger = StoreConfig::postgres(url(&config), &elsewhere);
    let refused = Store::open(&stranger).await.unwrap_err().to_string();
    assert!(refused.contains("another node"), "{refused}");
    assert!(!elsewhere.exists());
    drop(server);
}

#[tokio::test]
async fn a_newer_store_is_refused_and_steps_are_applied_once() {
    let (config, _kept) = empty();
    for _ in 0..2 {
        Store::open(&config).await.unwrap();
    }
    let pool = PgPool::connect(url(&config)).await.unwrap();
    let count =
        sqlx::query("SELECT COUNT(*) FROM store_migrations").fetch_one(&pool).await.unwrap();
    assert_eq!(count.get::<i64, _>(0), 1);
    sqlx::raw_sql("INSERT INTO store_migrations (number) VALUES (2)").execute(&pool).await.unwrap();
    let refused = Store::open(&config).await.unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 2, known: 1 }), "{refused}");
}

#[tokio::test]
async fn a_database_that_is_gone_is_named_with_its_repair() {
    let (config, (server, _folder)) = empty();
    let store = Store::open(&config).await.unwrap();
    server.stop();
    let refused = store.get::<Note>("a").await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("check the database"), "{refused}");
}
