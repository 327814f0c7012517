//! Books of treasury and bank: SQLite, a file for each; a commit is one transaction, durable on
//! return.
//!
//! They are other authorities than the register, with a database and a backup of their own, and a real
//! one has its core system instead; a file that needs nothing beside it is what a stand-in should be.
//!
//! **Not trusted with secrecy**: who can read the file sees recipients and accounts; give it to the
//! party's user alone. **Trusted with money**: who can change it can make lines look unpaid.
//!
//! | a commit | what is stored | what the desk does |
//! |---|---|---|
//! | fails before it is durable | nothing of it | reads the store again before its next step |
//! | is durable and its answer is lost | all of it | reads the store again before its next step |

use std::path::{Path, PathBuf};
use std::str::FromStr;

use register::payment::message::Message;
use register::payment::party::{Commit, Party};
use serde::de::DeserializeOwned;
use sqlx::any::{AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, ConnectOptions, Connection as _, Row};

use super::{Books, Step};

/// Waits for the disk at every commit. Exclusive, because a second process on the file would not see
/// what the first has paid.
const SESSION: &str = "PRAGMA busy_timeout = 2000; PRAGMA locking_mode = EXCLUSIVE; \
     PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
/// The form that this release reads.
const FORM: i64 = 1;
const TABLES: &str = "CREATE TABLE IF NOT EXISTS form (number BIGINT NOT NULL PRIMARY KEY); \
     CREATE TABLE IF NOT EXISTS documents (name TEXT NOT NULL PRIMARY KEY, content TEXT NOT NULL); \
     CREATE TABLE IF NOT EXISTS outgoing (name TEXT NOT NULL PRIMARY KEY, content TEXT NOT NULL);";

/// Why a store cannot be used. Holds no content.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// The database fails.
    #[error("payments: the database {path} fails while {step}; check disk and permissions, and that no other process uses it", path = .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// The cause.
        #[source]
        cause: sqlx::Error,
    },
    /// The database is of a newer release, or damaged.
    #[error("payments: the database {path} holds what this release cannot read; use the release that wrote it", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// A party's database.
#[derive(Debug)]
pub struct SqliteBooks {
    path: PathBuf,
    connection: AnyConnection,
}

impl SqliteBooks {
    /// Opens the database, and makes it when it is missing.
    ///
    /// # Errors
    /// [`SqliteError`] names the file.
    pub async fn open(path: &Path) -> Result<Self, SqliteError> {
        sqlx::any::install_default_drivers();
        let failed =
            |step| move |cause| SqliteError::Database { path: path.to_owned(), step, cause };
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let options = AnyConnectOptions::from_str(&url).map_err(failed("reading its path"))?;
        let options = options.disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed("opening"))?;
        sqlx::raw_sql(SESSION).execute(&mut connection).await.map_err(failed("opening"))?;
        sqlx::raw_sql(TABLES).execute(&mut connection).await.map_err(failed("making tables"))?;
        let form = "INSERT INTO form SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM form)";
        let made = sqlx::query(form).bind(FORM).execute(&mut connection).await;
        made.map_err(failed("making tables"))?;
        let newest = sqlx::query("SELECT MAX(number) FROM form").fetch_one(&mut connection).await;
        let newest: i64 = newest.and_then(|row| row.try_get(0)).map_err(failed("reading"))?;
        if newest > FORM {
            return Err(SqliteError::Content { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), connection })
    }

    async fn write<P: Party>(&mut self, commit: &Commit<P::Document>) -> Result<(), SqliteError> {
        let unreadable = |_| SqliteError::Content { path: self.path.clone() };
        let mut rows = Vec::with_capacity(commit.documents.len());
        for document in &commit.documents {
            let content = serde_json::to_string(document).map_err(unreadable)?;
            rows.push((PUT_DOCUMENT, P::key(document), content));
        }
        for message in &commit.messages {
            let content = serde_json::to_string(message).map_err(unreadable)?;
            rows.push((PUT_OUTGOING, message.id().as_str().to_owned(), content));
        }
        let answered = commit.answered.as_ref().map(|id| id.as_str().to_owned());
        let done = write(&mut self.connection, rows, answered).await;
        done.map_err(|cause| self.failed("storing", cause))
    }

    async fn everything<D: DeserializeOwned>(&mut self) -> Result<Commit<D>, SqliteError> {
        let documents = self.contents("SELECT content FROM documents").await?;
        let messages: Vec<Message> = self.contents("SELECT content FROM outgoing").await?;
        Ok(Commit { documents, messages, answered: None })
    }

    async fn contents<T: DeserializeOwned>(
        &mut self,
        sql: &'static str,
    ) -> Result<Vec<T>, SqliteError> {
        let rows = sqlx::query(sql).fetch_all(&mut self.connection).await;
        let rows: Vec<AnyRow> = rows.map_err(|cause| self.failed("reading", cause))?;
        let mut contents = Vec::with_capacity(rows.len());
        for row in rows {
            let text: String = row.try_get(0).map_err(|cause| self.failed("reading", cause))?;
            let content = serde_json::from_str(&text);
            contents.push(content.map_err(|_| SqliteError::Content { path: self.path.clone() })?);
        }
        Ok(contents)
    }

    fn failed(&self, step: &'static str, cause: sqlx::Error) -> SqliteError {
        SqliteError::Database { path: self.path.clone(), step, cause }
    }
}

impl<P: Party> Books<P> for SqliteBooks {
    fn read(&mut self) -> Step<'_, Commit<P::Document>> {
        Box::pin(async { Ok(self.everything().await?) })
    }

    fn commit<'a>(&'a mut self, commit: &'a Commit<P::Document>) -> Step<'a, ()> {
        Box::pin(async { Ok(self.write::<P>(commit).await?) })
    }

    fn is_current(&mut self) -> Step<'_, bool> {
        // The file is locked: nobody else writes it.
        Box::pin(async { Ok(true) })
    }
}

const PUT_DOCUMENT: &str = "INSERT INTO documents (name, content) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET content = excluded.content";
const PUT_OUTGOING: &str = "INSERT INTO outgoing (name, content) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET content = excluded.content";

async fn write(
    connection: &mut AnyConnection,
    rows: Vec<(&'static str, String, String)>,
    answered: Option<String>,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for (sql, name, content) in rows {
        sqlx::query(sql).bind(name).bind(content).execute(&mut *transaction).await?;
    }
    if let Some(name) = answered {
        let delete = sqlx::query("DELETE FROM outgoing WHERE name = $1").bind(name);
        delete.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
