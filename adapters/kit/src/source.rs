//! The SQL source: a small read-only pool over SQLite or PostgreSQL.
//!
//! Connections of a running adapter cannot write: SQLite has `query_only`, PostgreSQL a read-only
//! session with a statement timeout. Only [`crate::prepare`] and
//! [`crate::load_seed`], which an administrator calls, write. Column types that pass: text, integers,
//! floats, booleans; cast others in SQL.

use std::str::FromStr;
use std::sync::Arc;

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow, AnyTypeInfoKind};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Column, ConnectOptions, Row, ValueRef};

use crate::definition::{Queries, SourceAddress};
use crate::limits::{SOURCE_ACQUIRE_TIMEOUT, SOURCE_CONNECTIONS_MAX_COUNT};
use crate::parameters::{Binding, Parameters};
use crate::refusal::Refusal;
use crate::shape::{Columns, Shape};
use crate::statement::Statement;

/// Run on each new connection to SQLite: no writes, wait for a writer, read through the page cache.
const SQLITE_SESSION: &str =
    "PRAGMA query_only = ON; PRAGMA busy_timeout = 2000; PRAGMA mmap_size = 268435456;";
/// Run on each new connection to PostgreSQL: no writes, no endless query.
const POSTGRES_SESSION: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; \
     SET statement_timeout = '5s';";

/// A pool of read-only connections. Connects when first asked.
pub(crate) struct SqlSource {
    pool: AnyPool,
    health: AssertSqlSafe<Arc<str>>,
}

impl SqlSource {
    /// Makes the pool; `None` when the URL is no URL.
    pub(crate) fn open(address: &SourceAddress, health: &str) -> Option<Self> {
        let (options, session) = match address {
            SourceAddress::Sqlite(url) => (options(url)?, SQLITE_SESSION),
            SourceAddress::Postgres(url) => (options(url)?, POSTGRES_SESSION),
            SourceAddress::Http(_) => return None,
        };
        let pool = AnyPoolOptions::new()
            .max_connections(SOURCE_CONNECTIONS_MAX_COUNT)
            .acquire_timeout(SOURCE_ACQUIRE_TIMEOUT)
            // A file needs no ping before each use; a server may have been started anew.
            .test_before_acquire(matches!(address, SourceAddress::Postgres(_)))
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(session).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(options);
        Some(Self { pool, health: AssertSqlSafe(health.into()) })
    }

    /// Whether the source answers a real query.
    pub(crate) async fn health(&self) -> Result<(), Refusal> {
        let mut connection = self.pool.acquire().await.map_err(|error| unreachable(&error))?;
        let health = AssertSqlSafe(Arc::clone(&self.health.0));
        let row = sqlx::query(health).fetch_optional(&mut *connection).await;
        row.map(drop).map_err(|error| failed(&error, "health"))
    }

    /// Builds the answer of an operation, not yet checked.
    ///
    /// # Errors
    /// [`Refusal::NoRecord`] when the root query has no row, [`Refusal::SourceDown`],
    /// [`Refusal::Definition`].
    pub(crate) async fn answer(
        &self,
        queries: &Queries,
        parameters: &Parameters,
    ) -> Result<Value, Refusal> {
        let mut connection = self.pool.acquire().await.map_err(|error| unreachable(&error))?;
        let root = rows(&mut connection, &queries.root, parameters, 1).await;
        let root = root.map_err(|error| failed(&error, "root"))?;
        let root = root.into_iter().next().ok_or(Refusal::NoRecord)?;
        let mut answer = queries.shape.fill(root);
        for (name, statement) in &queries.lists {
            let Some(Shape::List { item, max_count }) = queries.shape.field(name) else { continue };
            // One row too many is enough for the check of the answer to refuse it.
            let list = rows(&mut connection, statement, parameters, max_count + 1).await;
            let list = list.map_err(|error| failed(&error, name))?;
            let list = list.into_iter().map(|columns| item.fill(columns)).collect();
            if let Value::Object(answer) = &mut answer {
                answer.insert(name.clone(), Value::Array(list));
            }
        }
        Ok(answer)
    }

    /// At most `max_count` rows of a statement behind `after`.
    ///
    /// # Errors
    /// [`Refusal::SourceDown`], [`Refusal::Definition`].
    pub(crate) async fn after(
        &self,
        statement: &Statement,
        after: i64,
        max_count: usize,
    ) -> Result<Vec<Columns>, Refusal> {
        let mut connection = self.pool.acquire().await.map_err(|error| unreachable(&error))?;
        let parameters = Parameters::from([("after".to_owned(), Binding::Integer(after))]);
        let rows = rows(&mut connection, statement, &parameters, max_count).await;
        rows.map_err(|error| failed(&error, "outbox.rows"))
    }

    /// At most `max_count` rows of SQL that was put together from the definition's own text, with
    /// `$1`, `$2`, … bound.
    ///
    /// # Errors
    /// [`Refusal::SourceDown`], [`Refusal::Definition`].
    pub(crate) async fn ask(
        &self,
        sql: String,
        bindings: &[Binding],
        max_count: usize,
    ) -> Result<Vec<Columns>, Refusal> {
        let mut connection = self.pool.acquire().await.map_err(|error| unreachable(&error))?;
        let mut query = sqlx::query(AssertSqlSafe(Arc::<str>::from(sql)));
        for binding in bindings {
            query = match binding {
                Binding::Text(text) => query.bind(text.clone()),
                Binding::Integer(number) => query.bind(*number),
            };
        }
        let mut stream = query.fetch(&mut *connection);
        let mut rows = Vec::new();
        while rows.len() < max_count
            && let Some(row) = stream.try_next().await.map_err(|error| failed(&error, "spdci"))?
        {
            rows.push(columns(&row).map_err(|error| failed(&error, "spdci"))?);
        }
        Ok(rows)
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

pub(crate) fn options(url: &str) -> Option<AnyConnectOptions> {
    sqlx::any::install_default_drivers();
    AnyConnectOptions::from_str(url).ok().map(ConnectOptions::disable_statement_logging)
}

/// At most `max_count` rows of a statement.
async fn rows(
    connection: &mut AnyConnection,
    statement: &Statement,
    parameters: &Parameters,
    max_count: usize,
) -> Result<Vec<Columns>, sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(statement.text()));
    for name in statement.parameters() {
        query = match parameters.get(name) {
            Some(Binding::Text(text)) => query.bind(text.clone()),
            Some(Binding::Integer(number)) => query.bind(*number),
            // Cannot happen: the definition was checked to use required parameters only.
            None => return Err(sqlx::Error::ColumnNotFound(name.clone())),
        };
    }
    let mut stream = query.fetch(connection);
    let mut rows = Vec::new();
    while rows.len() < max_count
        && let Some(row) = stream.try_next().await?
    {
        rows.push(columns(&row)?);
    }
    Ok(rows)
}

fn columns(row: &AnyRow) -> Result<Columns, sqlx::Error> {
    let named = row.columns().iter();
    named.map(|column| Ok((column.name().to_owned(), value(row, column.ordinal())?))).collect()
}

fn value(row: &AnyRow, index: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().kind();
    Ok(match kind {
        AnyTypeInfoKind::Null => Value::Null,
        AnyTypeInfoKind::Bool => Value::from(row.try_get::<bool, _>(index)?),
        AnyTypeInfoKind::SmallInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::BigInt => {
            Value::from(row.try_get::<i64, _>(index)?)
        }
        AnyTypeInfoKind::Real | AnyTypeInfoKind::Double => {
            Value::from(row.try_get::<f64, _>(index)?)
        }
        AnyTypeInfoKind::Text => Value::from(row.try_get::<String, _>(index)?),
        AnyTypeInfoKind::Blob => {
            let reason = "a column holds bytes: cast it to text in SQL";
            return Err(sqlx::Error::Decode(reason.into()));
        }
    })
}

/// A connection could not be had.
fn unreachable(error: &sqlx::Error) -> Refusal {
    let reason = match error {
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        error => format!("no connection ({})", cause(error)),
    };
    Refusal::SourceDown { reason }
}

/// A query failed: the connection broke, or the SQL does not fit the tables.
fn failed(error: &sqlx::Error, query: &str) -> Refusal {
    let reason = format!("query `{query}` failed ({})", cause(error));
    match error {
        sqlx::Error::Database(database) if !is_outage(database.code().as_deref()) => {
            Refusal::Definition { reason }
        }
        sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::AnyDriverError(_) => Refusal::Definition { reason },
        _ => Refusal::SourceDown { reason },
    }
}

/// Whether a database code says that the database, not the SQL, is at fault. SQLite: busy, locked,
/// I/O, corrupt, full, cannot open, not a database (sqlite.org/rescode.html). PostgreSQL: classes
/// 08, 53, 57, 58 (PostgreSQL manual, appendix A).
fn is_outage(code: Option<&str>) -> bool {
    let code = code.unwrap_or_default();
    match code.parse::<u32>() {
        Ok(sqlite) if code.len() < 5 => matches!(sqlite & 0xff, 5 | 6 | 10 | 11 | 13 | 14 | 26),
        _ => ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)),
    }
}

/// What went wrong, without values: messages of a database may quote a row, its codes do not. Only
/// errors about names and syntax (PostgreSQL class 42, SQLite code 1) are quoted.
pub(crate) fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if code == "1" || code.starts_with("42") {
                format!("code {code}: {}", database.message())
            } else {
                format!("code {code}")
            }
        }
        sqlx::Error::Io(error) => error.kind().to_string(),
        sqlx::Error::Configuration(_) => "the address is not understood".to_owned(),
        sqlx::Error::PoolClosed => "the adapter is stopping".to_owned(),
        sqlx::Error::AnyDriverError(_) | sqlx::Error::ColumnDecode { .. } => {
            "a column has a type that is not supported: cast it in SQL".to_owned()
        }
        sqlx::Error::Decode(_) => "a column cannot be read: cast it in SQL".to_owned(),
        _ => "connection broken".to_owned(),
    }
}
