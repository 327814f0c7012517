//! The store of several nodes: the same sealed documents in PostgreSQL. The database sees
//! ciphertext, plain keys and HMACs; the master key stays on the nodes.
//!
//! A commit is one transaction at the isolation level READ COMMITTED: every write names the version
//! it has seen in its `WHERE`, and one that touches no row rolls all back. Writes are sorted, so that
//! two commits never wait for each other.

mod migrations;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use schemas::limits::STORE_CONNECTIONS_MAX_COUNT;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, PgConnection, Row};

use crate::backend::{IndexSelect, Kept, Lookup, SealedDocument, Write};
use crate::error::StoreError;
use crate::query::Cursor;
use crate::seal::{MasterKey, Subject, Wrapped};

/// Time to get a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Run on each new connection: a commit is durable on return, and nothing runs for ever.
const SESSION: &str = "SET synchronous_commit = 'on'; SET statement_timeout = '30s'; \
     SET idle_in_transaction_session_timeout = '30s'";

/// An open store in a database.
pub(crate) struct Postgres {
    pool: PgPool,
}

impl Postgres {
    /// Opens the store, brings its tables to this program's form, and finds its master key.
    pub(crate) async fn open(url: &str, key_file: &Path) -> Result<(Self, MasterKey), StoreError> {
        let repair = "write postgres://user@host/database";
        let not_a_url = |_| StoreError::Config { key: "store.postgres", repair };
        let options = PgConnectOptions::from_str(url).map_err(not_a_url)?;
        let pool = PgPoolOptions::new()
            .max_connections(STORE_CONNECTIONS_MAX_COUNT)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(options.disable_statement_logging());
        migrations::apply(&pool, migrations::STEPS).await?;
        let master = master_key(&pool, key_file).await?;
        Ok((Self { pool }, master))
    }

    pub(crate) async fn get(
        &self,
        kind: &'static str,
        id: &str,
    ) -> Result<Option<Kept>, StoreError> {
        let sql = "SELECT '' AS value, d.id, d.version, d.subject, d.sealed, p.wrapped \
             FROM store_documents d LEFT JOIN store_people p ON p.subject = d.subject \
             WHERE d.kind = $1 AND d.id = $2";
        let row = sqlx::query(sql).bind(kind).bind(id).fetch_optional(&self.pool).await;
        row.map_err(failed("reading a document"))?.map(|row| kept(&row)).transpose()
    }

    pub(crate) async fn find(&self, lookup: Lookup) -> Result<Vec<Kept>, StoreError> {
        let Lookup { kind, select, after, limit } = lookup;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let id = after.as_ref().map(|last| last.id.clone()).unwrap_or_default();
        let query = match select {
            IndexSelect::All => sqlx::query(ALL).bind(kind).bind(id).bind(limit),
            IndexSelect::Equal(key) => {
                sqlx::query(EQUAL).bind(kind).bind(id).bind(limit).bind(key.name).bind(key.value)
            }
            IndexSelect::Range { name, from, below } => {
                // Ids are not empty, so (value, '') lies before every document with the value.
                let behind = after.filter(|last| last.value >= from);
                let (value, id) = behind.map_or((from, String::new()), |c| (c.value, c.id));
                sqlx::query(RANGE)
                    .bind(kind)
                    .bind(id)
                    .bind(limit)
                    .bind(name)
                    .bind(value)
                    .bind(below)
            }
        };
        let rows = query.fetch_all(&self.pool).await.map_err(failed("finding documents"))?;
        rows.iter().map(kept).collect()
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        // Dropped without a commit, the transaction is rolled back.
        let mut transaction = self.pool.begin().await.map_err(failed("beginning a commit"))?;
        for write in &writes {
            let conflict_or_failed = |cause: sqlx::Error| {
                let victim = cause.as_database_error().and_then(|cause| cause.code());
                // serialization_failure, deadlock_detected (PostgreSQL manual, appendix A).
                if matches!(victim.as_deref(), Some("40001" | "40P01")) {
                    return write.conflict();
                }
                failed("writing a document")(cause)
            };
            let stood = write_one(&mut transaction, write).await.map_err(conflict_or_failed)?;
            if !stood {
                return Err(write.conflict());
            }
        }
        transaction.commit().await.map_err(failed("ending a commit"))
    }

    pub(crate) async fn key(&self, subject: Subject) -> Result<Option<Wrapped>, StoreError> {
        let sql = "SELECT wrapped FROM store_people WHERE subject = $1";
        let row = sqlx::query(sql).bind(&subject.0[..]).fetch_optional(&self.pool).await;
        let row = row.map_err(failed("reading a person's key"))?;
        let bytes: Option<Vec<u8>> =
            row.map(|row| row.try_get(0)).transpose().map_err(failed("reading a person's key"))?;
        bytes.map(wrapped).transpose()
    }

    pub(crate) async fn make_key(
        &self,
        subject: Subject,
        new: Wrapped,
    ) -> Result<Wrapped, StoreError> {
        let sql = "INSERT INTO store_people (subject, wrapped) VALUES ($1, $2) \
             ON CONFLICT (subject) DO NOTHING";
        let added = sqlx::query(sql).bind(&subject.0[..]).bind(&new[..]).execute(&self.pool).await;
        added.map_err(failed("adding a person's key"))?;
        let erased = || StoreError::Conflict { kind: "a person's key".to_owned() };
        self.key(subject).await?.ok_or_else(erased)
    }

    pub(crate) async fn erase_key(&self, subject: Subject) -> Result<(), StoreError> {
        let sql = "DELETE FROM store_people WHERE subject = $1";
        let erased = sqlx::query(sql).bind(&subject.0[..]).execute(&self.pool).await;
        erased.map(drop).map_err(failed("erasing a person's key"))
    }
}

const ALL: &str = "SELECT '' AS value, d.id, d.version, d.subject, d.sealed, p.wrapped \
     FROM store_documents d LEFT JOIN store_people p ON p.subject = d.subject \
     WHERE d.kind = $1 AND d.id > $2 ORDER BY d.id LIMIT $3";
const EQUAL: &str = "SELECT i.value, d.id, d.version, d.subject, d.sealed, p.wrapped \
     FROM store_index i JOIN store_documents d ON d.kind = i.kind AND d.id = i.id \
     LEFT JOIN store_people p ON p.subject = d.subject \
     WHERE i.kind = $1 AND i.name = $4 AND i.value = $5 AND i.id > $2 ORDER BY i.id LIMIT $3";
const RANGE: &str = "SELECT i.value, d.id, d.version, d.subject, d.sealed, p.wrapped \
     FROM store_index i JOIN store_documents d ON d.kind = i.kind AND d.id = i.id \
     LEFT JOIN store_people p ON p.subject = d.subject \
     WHERE i.kind = $1 AND i.name = $4 AND (i.value, i.id) > ($5, $2) AND i.value < $6 \
     ORDER BY i.value, i.id LIMIT $3";

/// Writes one document; `false` when another version stands than was seen.
async fn write_one(connection: &mut PgConnection, write: &Write) -> Result<bool, sqlx::Error> {
    let seen = write.seen.map(|seen| i64::try_from(seen).unwrap_or(i64::MAX));
    let (kind, id) = (write.kind, write.id.as_str());
    let Some(document) = &write.new else {
        let sql = "DELETE FROM store_documents WHERE kind = $1 AND id = $2 AND version = $3";
        let deleted = sqlx::query(sql).bind(kind).bind(id).bind(seen).execute(connection).await?;
        return Ok(deleted.rows_affected() == 1);
    };
    let SealedDocument { version, subject, keys, sealed } = document;
    let sql = if seen.is_none() {
        "INSERT INTO store_documents (kind, id, version, subject, sealed) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, id) DO NOTHING"
    } else {
        "UPDATE store_documents SET version = $3, subject = $4, sealed = $5 \
         WHERE kind = $1 AND id = $2 AND version = $6"
    };
    let mut query = sqlx::query(sql)
        .bind(kind)
        .bind(id)
        .bind(i64::try_from(*version).unwrap_or(i64::MAX))
        .bind(subject.as_ref().map(|subject| &subject.0[..]))
        .bind(sealed);
    if seen.is_some() {
        query = query.bind(seen);
    }
    if query.execute(&mut *connection).await?.rows_affected() != 1 {
        return Ok(false);
    }
    let old = "DELETE FROM store_index WHERE kind = $1 AND id = $2";
    sqlx::query(old).bind(kind).bind(id).execute(&mut *connection).await?;
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let values: Vec<&str> = keys.iter().map(|key| key.value.as_str()).collect();
    let new = "INSERT INTO store_index (kind, name, value, id) \
         SELECT $1, name, value, $2 FROM UNNEST($3::text[], $4::text[]) AS key (name, value)";
    sqlx::query(new).bind(kind).bind(id).bind(names).bind(values).execute(connection).await?;
    Ok(true)
}

/// The master key: made when the store has none yet, else the one that it was written with.
async fn master_key(pool: &PgPool, key_file: &Path) -> Result<MasterKey, StoreError> {
    let sql = "SELECT value FROM store_facts WHERE name = 'master_key'";
    let recorded = || async {
        let row = sqlx::query(sql).fetch_optional(pool).await;
        let row = row.map_err(failed("reading the store's facts"))?;
        row.map(|row| row.try_get::<String, _>(0))
            .transpose()
            .map_err(failed("reading the store's facts"))
    };
    let master = match recorded().await? {
        Some(_) => MasterKey::read(key_file)?,
        None => MasterKey::read_or_make(key_file)?,
    };
    let insert = "INSERT INTO store_facts (name, value) VALUES ('master_key', $1) \
         ON CONFLICT (name) DO NOTHING";
    let added = sqlx::query(insert).bind(master.id()).execute(pool).await;
    added.map_err(failed("writing the store's facts"))?;
    if recorded().await? == Some(master.id()) {
        return Ok(master);
    }
    let path = key_file.display().to_string();
    let cause = "it is not the key that this store was written with".to_owned();
    let repair = "copy the key file of the first node, or restore it from the backup of the keys";
    Err(StoreError::MasterKey { path, cause, repair })
}

fn kept(row: &PgRow) -> Result<Kept, StoreError> {
    let read = || {
        let at = Cursor { value: row.try_get("value")?, id: row.try_get("id")? };
        let version: i64 = row.try_get("version")?;
        let subject: Option<Vec<u8>> = row.try_get("subject")?;
        let key: Option<Vec<u8>> = row.try_get("wrapped")?;
        let sealed: Vec<u8> = row.try_get("sealed")?;
        Ok((at, version, subject, key, sealed))
    };
    let (at, version, subject, key, sealed) = read().map_err(failed("reading a document"))?;
    let damaged =
        || StoreError::damaged("store_documents", "a row is not as this program writes it");
    let version = u64::try_from(version).map_err(|_| damaged())?;
    let subject = subject.map(|bytes| bytes.try_into().map(Subject)).transpose();
    let subject = subject.map_err(|_| damaged())?;
    let wrapped = key.map(wrapped).transpose()?;
    Ok(Kept { at, version, subject, wrapped, sealed })
}

fn wrapped(bytes: Vec<u8>) -> Result<Wrapped, StoreError> {
    bytes.try_into().map_err(|_| StoreError::damaged("store_people", "a key has another length"))
}

fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |cause| StoreError::Unavailable {
        doing,
        check: "the database, its address and the rights of its user",
        cause: cause.into(),
    }
}
