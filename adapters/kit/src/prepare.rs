//! Makes the tables of a source and loads rows: the only code of the kit that writes to a source.

use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection};

use crate::bundle::read_text;
use crate::definition::{Definition, SourceAddress};
use crate::limits::ANSWER_TIMEOUT;
use crate::source::{cause, options};

/// Why tables or rows could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The SQL file cannot be read.
    #[error("{path}: {source}; give an existing SQL file", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The source cannot be reached, or refuses the SQL.
    #[error(
        "definition {definition}: {step}: {reason}; check the source and its address",
        definition = .definition.display()
    )]
    Source {
        /// The definition.
        definition: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the source says, without values.
        reason: String,
    },
    /// The source is an HTTP API: it has no tables.
    #[error(
        "definition {path}: the source is HTTP and has no tables; prepare it where it lives",
        path = .path.display()
    )]
    NoTables {
        /// The definition.
        path: PathBuf,
    },
}

/// Makes the tables of the definition's `schema` where they are missing; creates a SQLite file.
/// Without `schema` it only checks that the source can be reached.
///
/// # Errors
/// [`PrepareError`].
pub async fn prepare(definition: &Definition) -> Result<(), PrepareError> {
    let at = At::of(definition);
    let mut connection = at.connect().await?;
    if matches!(definition.source, SourceAddress::Sqlite(_)) {
        // Readers do not wait for a writer; stays set in the file.
        at.run(&mut connection, "setting WAL", "PRAGMA journal_mode = WAL").await?;
    }
    if let Some(path) = &definition.schema {
        at.run_file(&mut connection, "making tables", path).await?;
    }
    close(connection).await;
    Ok(())
}

/// Runs a file of INSERT statements in one transaction, for example [`Definition::seed`].
///
/// # Errors
/// [`PrepareError`].
pub async fn load_seed(definition: &Definition, seed: &Path) -> Result<(), PrepareError> {
    let at = At::of(definition);
    let mut connection = at.connect().await?;
    at.run(&mut connection, "beginning", "BEGIN").await?;
    at.run_file(&mut connection, "loading rows", seed).await?;
    at.run(&mut connection, "committing", "COMMIT").await?;
    close(connection).await;
    Ok(())
}

/// Runs a text, then a file, in one transaction on the source of the definition at `definition`.
pub(crate) async fn run_files(
    definition: &Path,
    source: &SourceAddress,
    text: &str,
    file: &Path,
) -> Result<(), PrepareError> {
    let at = At { definition, source };
    let mut connection = at.connect().await?;
    at.run(&mut connection, "beginning", "BEGIN").await?;
    at.run(&mut connection, "making the table of life events", text).await?;
    at.run_file(&mut connection, "making triggers", file).await?;
    at.run(&mut connection, "committing", "COMMIT").await?;
    close(connection).await;
    Ok(())
}

/// A source and the definition that it is of.
#[derive(Clone, Copy)]
struct At<'a> {
    definition: &'a Path,
    source: &'a SourceAddress,
}

impl<'a> At<'a> {
    fn of(definition: &'a Definition) -> Self {
        Self { definition: &definition.path, source: &definition.source }
    }

    /// A connection that may write and may create a SQLite file.
    async fn connect(self) -> Result<AnyConnection, PrepareError> {
        let url = match self.source {
            SourceAddress::Sqlite(url) if url.contains('?') => url.clone(),
            SourceAddress::Sqlite(url) => format!("{url}?mode=rwc"),
            SourceAddress::Postgres(url) => url.clone(),
            SourceAddress::Http(_) => {
                return Err(PrepareError::NoTables { path: self.definition.to_owned() });
            }
        };
        let fail = |reason| PrepareError::Source {
            definition: self.definition.to_owned(),
            step: "connecting",
            reason,
        };
        let options = options(&url).ok_or_else(|| fail("the address is not a URL".to_owned()))?;
        let connecting = tokio::time::timeout(ANSWER_TIMEOUT, options.connect()).await;
        let connected = connecting.map_err(|_| fail("no answer in time".to_owned()))?;
        connected.map_err(|error| fail(cause(&error)))
    }

    async fn run_file(
        self,
        connection: &mut AnyConnection,
        step: &'static str,
        path: &Path,
    ) -> Result<(), PrepareError> {
        let sql = read_text(path)
            .map_err(|source| PrepareError::Read { path: path.to_owned(), source })?;
        self.run(connection, step, &sql).await
    }

    async fn run(
        self,
        connection: &mut AnyConnection,
        step: &'static str,
        sql: &str,
    ) -> Result<(), PrepareError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
        done.map(drop).map_err(|error| PrepareError::Source {
            definition: self.definition.to_owned(),
            step,
            reason: cause(&error),
        })
    }
}

async fn close(connection: AnyConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(cause = cause(&error), "connection did not close cleanly");
    }
}
