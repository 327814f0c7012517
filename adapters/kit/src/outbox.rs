//! Tells life events of the source to a service, through the agency's own hub, at least once and in
//! order.
//!
//! ```toml
//! [outbox]                                          # of the adapter's configuration file
//! hub_url = "http://127.0.0.1:7100"                 # the hub's plain edge, loopback only
//! client = "UZ/GOV/JUSTICE/civil-registry"
//! service = "UZ/GOV/NASP/register/life-events"
//! position_file = "outbox.position"
//! # rows = "SELECT n, id, pinfl, sequence, kind, at, payload FROM events WHERE n > :after ORDER BY n LIMIT 100"
//! ```
//!
//! `rows` is left out where the definition has `[life_events]`: then the outbox makes table and triggers.
//! `n` rises with each row; `sequence` counts the events of each person from 1; `payload` is the JSON
//! object of what the kind needs besides (`{"child": …}`), or NULL. Rows go out one after the other,
//! so those of a person stay in order; one that is not taken holds up all that follow, is told in the
//! log and tried again with growing pauses. Nothing is skipped.
//!
//! | crash | what is left | what repairs it |
//! |---|---|---|
//! | before the answer | the old position | the row is sent again |
//! | after the answer, before the position is durable | the old position | the row is sent again; the service knows it |

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use schemas::identifier::{ClientId, ServiceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::definition::Definition;
use crate::life_events::{self, LifeEvents};
use crate::limits::{
    ANSWER_TIMEOUT, OUTBOX_PAUSE_LEAST, OUTBOX_PAUSE_MOST, OUTBOX_ROWS_MAX_COUNT, REQUEST_MAX_BYTES,
};
use crate::prepare::PrepareError;
use crate::refusal::Refusal;
use crate::source::SqlSource;
use crate::statement::Statement;

/// Where events are, and to whom they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxConfig {
    /// The query for the rows behind `:after`; left out where the definition has `[life_events]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// The hub's plain edge.
    pub hub_url: String,
    /// The agency's subsystem.
    pub client: ClientId,
    /// The service that takes events at `POST /events`.
    pub service: ServiceId,
    /// Where the `n` of the last event taken is kept.
    pub position_file: PathBuf,
}

/// Why an outbox does not start, or an event was not taken. Never holds a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A value of the configuration.
    #[error("adapter outbox: `{key}` is refused: {repair}")]
    Config {
        /// The key.
        key: &'static str,
        /// What to do.
        repair: &'static str,
    },
    /// The position cannot be read or kept.
    #[error("adapter outbox: the position file {path} fails: {cause}; check it and the disk")]
    Position {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The source does not answer.
    #[error("adapter outbox: the source gives no events: {0}; check the source and `rows`")]
    Source(String),
    /// Table or triggers cannot be made.
    #[error("adapter outbox: no event is told yet: {0}")]
    Prepare(#[from] PrepareError),
    /// A row is not an event.
    #[error("adapter outbox: event n={n} has no usable `{column}`; correct the row or `rows`")]
    Row {
        /// Its `n`, or that of the row before.
        n: i64,
        /// The column.
        column: &'static str,
    },
    /// The service has not taken the event.
    #[error("adapter outbox: event n={n} was not taken: {reason}; it is sent again")]
    NotTaken {
        /// Its `n`.
        n: i64,
        /// What hub or service said.
        reason: String,
    },
}

/// Tells events, one after the other.
pub struct Outbox {
    source: SqlSource,
    /// Table and triggers that are still to be made.
    to_prepare: Option<LifeEvents>,
    rows: Statement,
    http: Client<HttpConnector, Full<Bytes>>,
    url: String,
    client: ClientId,
    position_file: PathBuf,
    position: i64,
}

/// An outbox that runs; dropping it ends it at once, and what was under way is sent again.
#[derive(Debug)]
pub struct RunningOutbox {
    _task: JoinSet<()>,
}

impl Outbox {
    /// Opens the outbox of a definition's source at the position that was kept.
    ///
    /// # Errors
    /// [`OutboxError::Config`], [`OutboxError::Position`].
    pub fn open(definition: &Definition, config: &OutboxConfig) -> Result<Self, OutboxError> {
        let refused = |key, repair| OutboxError::Config { key, repair };
        let one = "write one SQL statement with the parameter :after and no other";
        let (own, to_prepare) = match &config.rows {
            Some(rows) => (Some(rows.as_str()), None),
            None => (None, LifeEvents::of(definition)),
        };
        let given = own.or(to_prepare.as_ref().map(|_| life_events::ROWS));
        let given = given.ok_or_else(|| {
            refused("outbox.rows", "give it: the definition has no [life_events]")
        })?;
        let rows = Statement::parse(given).map_err(|_| refused("outbox.rows", one))?;
        if rows.parameters() != ["after"] {
            return Err(refused("outbox.rows", one));
        }
        let hub: Option<Uri> = config.hub_url.parse().ok();
        let loopback = |uri: &Uri| {
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        };
        let plain = hub.is_some_and(|uri| uri.scheme_str() == Some("http") && loopback(&uri));
        if !plain {
            return Err(refused("outbox.hub_url", "write http://127.0.0.1:port of the own hub"));
        }
        let sql = "events come from a database: give the definition an SQL source";
        let source = SqlSource::open(&definition.source, &definition.health);
        let base = config.hub_url.trim_end_matches('/');
        Ok(Self {
            source: source.ok_or_else(|| refused("outbox", sql))?,
            to_prepare,
            rows,
            http: Client::builder(TokioExecutor::new()).build_http(),
            url: format!("{base}/r1/{}/events", config.service),
            client: config.client.clone(),
            position: read_position(&config.position_file)?,
            position_file: config.position_file.clone(),
        })
    }

    /// Tells events for as long as it is kept.
    #[must_use]
    pub fn run(mut self) -> RunningOutbox {
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut pause = OUTBOX_PAUSE_LEAST;
            loop {
                match self.deliver().await {
                    // There may be more.
                    Ok(1..) => pause = Duration::ZERO,
                    Ok(0) => pause = OUTBOX_PAUSE_LEAST,
                    Err(failed) => {
                        tracing::error!(error = %failed, "life events wait");
                        pause = (pause * 2).clamp(OUTBOX_PAUSE_LEAST, OUTBOX_PAUSE_MOST);
                    }
                }
                tokio::time::sleep(pause).await;
            }
        });
        RunningOutbox { _task: task }
    }

    /// Tells the events that the source has behind the position; gives how many were taken.
    ///
    /// # Errors
    /// At the first event that is not taken; those before it are.
    pub async fn deliver(&mut self) -> Result<usize, OutboxError> {
        if let Some(life_events) = &self.to_prepare {
            life_events.prepare().await?;
            self.to_prepare = None;
        }
        let rows = self.source.after(&self.rows, self.position, OUTBOX_ROWS_MAX_COUNT).await;
        let rows = rows.map_err(|refusal| match refusal {
            Refusal::Definition { reason } | Refusal::SourceDown { reason } => {
                OutboxError::Source(reason)
            }
            _ => OutboxError::Source("it does not answer in time".to_owned()),
        })?;
        let mut taken = 0;
        for row in rows {
            let (n, event) = event(&row, self.position)?;
            self.send(n, &event).await?;
            keep_position(&self.position_file, n)?;
            self.position = n;
            taken += 1;
        }
        Ok(taken)
    }

    async fn send(&self, n: i64, event: &Value) -> Result<(), OutboxError> {
        let failed = |reason: &str| OutboxError::NotTaken { n, reason: reason.to_owned() };
        let request = Request::post(&self.url)
            .header("X-Road-Client", self.client.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(event.to_string()))
            .map_err(|_| failed("the address does not make a URL"))?;
        let asked = async {
            let answer = self.http.request(request).await.map_err(|_| failed("no connection"))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), REQUEST_MAX_BYTES).collect().await;
            Ok::<_, OutboxError>((status, body.map_err(|_| failed("broken answer"))?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(ANSWER_TIMEOUT, asked)
            .await
            .map_err(|_| failed("no answer"))??;
        if status == StatusCode::OK {
            return Ok(());
        }
        let kind = serde_json::from_slice::<Value>(&body).ok();
        let kind = kind.as_ref().and_then(|body| body.get("type")).and_then(Value::as_str);
        Err(failed(&format!("HTTP {}, {}", status.as_u16(), kind.unwrap_or("without a type"))))
    }
}

/// The event of a row; `before` is the `n` of the row before.
fn event(row: &[(String, Value)], before: i64) -> Result<(i64, Value), OutboxError> {
    let bad = |column| OutboxError::Row { n: before, column };
    let get = |column: &'static str| {
        let found = row.iter().find(|(name, _)| name == column).map(|(_, value)| value);
        found.ok_or_else(|| bad(column))
    };
    let text = |column| get(column)?.as_str().ok_or_else(|| bad(column));
    let n = get("n")?.as_i64().filter(|n| *n > before).ok_or_else(|| bad("n"))?;
    let sequence = get("sequence")?.as_i64().ok_or_else(|| bad("sequence"))?;
    let mut what = match get("payload")? {
        Value::Null => json!({}),
        Value::String(payload) => serde_json::from_str(payload).map_err(|_| bad("payload"))?,
        _ => return Err(bad("payload")),
    };
    what.as_object_mut().ok_or_else(|| bad("payload"))?.insert("kind".into(), text("kind")?.into());
    let (id, person, on) = (text("id")?, text("pinfl")?, text("at")?);
    Ok((n, json!({"id": id, "person": person, "sequence": sequence, "on": on, "what": what})))
}

fn read_position(path: &Path) -> Result<i64, OutboxError> {
    let failed = |cause| OutboxError::Position { path: path.to_owned(), cause };
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            failed(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not a number"))
        }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(cause) => Err(failed(cause)),
    }
}

/// Replaces the position durably: a name is never seen with half a number.
fn keep_position(path: &Path, n: i64) -> Result<(), OutboxError> {
    let failed = |cause| OutboxError::Position { path: path.to_owned(), cause };
    let new = path.with_extension("new");
    let write = || {
        let mut file = std::fs::File::create(&new)?;
        file.write_all(n.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(failed)
}
