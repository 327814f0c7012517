//! The steps that bring the tables to this program's form: numbered, each applied once, each in
//! one transaction with its number. Several nodes may start at once: one applies, the others wait.

use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};

use super::failed;
use crate::error::StoreError;

/// All steps; a step that was released is never changed.
pub(super) const STEPS: &[&str] = &[include_str!("0001_documents.sql")];

/// Any number, the same on every node, that nobody else uses in this database: "koprik".
const LOCK: i64 = 0x6b6f_7072_696b;

/// Applies the steps that the database has not seen.
pub(super) async fn apply(pool: &PgPool, steps: &'static [&'static str]) -> Result<(), StoreError> {
    let migrating = || failed("bringing the store's tables to this program's form");
    let mut transaction = pool.begin().await.map_err(migrating())?;
    // Held until the transaction ends.
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *transaction).await.map_err(migrating())?;
    let found = applied(&mut transaction).await.map_err(migrating())?;
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let missing = steps.iter().zip(1_u32..).filter(|(_, number)| *number > found);
    for (step, number) in missing {
        sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(migrating())?;
        let record = sqlx::query("INSERT INTO store_migrations (number) VALUES ($1)");
        let record = record.bind(i64::from(number));
        record.execute(&mut *transaction).await.map_err(migrating())?;
        tracing::info!(number, "brought the store's tables to form");
    }
    transaction.commit().await.map_err(migrating())
}

/// The number of the last step that was applied.
async fn applied(connection: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let make = "CREATE TABLE IF NOT EXISTS store_migrations (\
         number bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";
    sqlx::raw_sql(make).execute(&mut *connection).await?;
    let last = sqlx::query("SELECT COALESCE(MAX(number), 0) FROM store_migrations");
    let number: i64 = last.fetch_one(connection).await?.try_get(0)?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}
