//! The door for the operator, on loopback: health, metrics, records, explanations, proofs and evidence files.
//!
//! `/health` and `/metrics` are open; everything else needs the token of `admin.token` in the data
//! directory. Taking evidence out is an act, and acts are records (promise P3).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Path as UrlPath, Query as UrlQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hub_messagelog::{IndexKind, LogError};
use hub_witness::Alarm;
use ring::rand::SecureRandom as _;
use schemas::clock::UnixMillis;
use schemas::encoding::hex;
use schemas::problem::ProblemCode;
use schemas::tlog::checkpoint::Checkpoint;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::evidence;
use crate::journal;
use crate::refresh::write_durably;
use crate::search::{self, Found, RECORDS_MAX_COUNT, Search, Wanted, read};
use crate::state::Hub;
use crate::witness::Witnessing;

/// Nothing stands under an id.
pub(crate) const NO_EXCHANGE: &str = "own hub: its log has no exchange of this id; take the id of the error's detail, of the \
     receipt, or the caller's X-Road-Id, and ask the hub that wrote it";

type AdminResult = Result<Json<Value>, Fault>;

/// An error of the admin API.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

pub(crate) fn not_found(text: &str) -> Fault {
    Fault(StatusCode::NOT_FOUND, text.to_owned())
}

/// Reads the token, or makes one (0600) at the first start.
pub(crate) fn token(path: &Path) -> std::io::Result<String> {
    if let Ok(token) = std::fs::read_to_string(path) {
        let token = token.trim();
        if token.is_empty() {
            let text = "it is empty; remove it, and a token is made at the next start";
            return Err(std::io::Error::other(text));
        }
        return Ok(token.to_owned());
    }
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the system gives no randomness"))?;
    let token = hex(&bytes);
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("admin.token");
    // As a whole: a token cut short by a crash would be an empty one.
    write_durably(dir, name, token.as_bytes())?;
    Ok(token)
}

/// Serves until told to stop.
pub(crate) async fn serve(hub: Arc<Hub>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let guarded = Router::new()
        .route("/v1/records", get(records))
        .route("/v1/records/{index}", get(record))
        .route("/v1/explain/{id}", get(explain))
        .route("/v1/evidence/{exchange}", get(evidence::file))
        .route("/v1/alarms", get(alarms))
        .route("/v1/checkpoint", get(checkpoint))
        .route("/v1/proof/inclusion", get(inclusion))
        .route("/v1/proof/consistency", get(consistency))
        .route("/v1/erase", post(crate::retention::erase_by_operator))
        .route("/v1/reconcile", get(crate::reconcile::stream))
        .layer(middleware::from_fn_with_state(hub.clone(), require_token));
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .merge(guarded)
        .with_state(hub);
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the admin listener failed");
    }
}

async fn require_token(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let expected = format!("Bearer {}", hub.admin_token);
    // Compared as digests, so that the time taken says nothing about the token.
    let digest = |text: &str| schemas::digest::Sha256::of(text.as_bytes());
    if given.map(digest) == Some(digest(&expected)) {
        return next.run(request).await;
    }
    let text = "send Authorization: Bearer with the token of admin.token in the data directory";
    Fault(StatusCode::UNAUTHORIZED, text.to_owned()).into_response()
}

/// Live when it answers; ready when exchanges can be carried, otherwise with the reasons.
async fn health(State(hub): State<Arc<Hub>>) -> Response {
    let mut reasons = Vec::new();
    let mut expires = None;
    match hub.in_force.load().as_ref() {
        None => {
            let text = "no global configuration yet: the central server has not been reached";
            reasons.push(text.to_owned());
        }
        Some(configuration) => {
            expires = Some(configuration.document().expires.to_rfc3339());
            if configuration.expired_at(hub.clock.now()) {
                reasons.push("the global configuration has expired".to_owned());
            }
            if configuration.server(&hub.server).is_none() {
                let text = "this security server is not registered in the global configuration";
                reasons.push(text.to_owned());
            }
        }
    }
    // Without the log nothing is carried (promises P1 and P2); how it comes back is in the text.
    reasons.extend(hub.journal.log.failure().map(|failure| failure.to_string()));
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let version = hub.in_force.load().as_ref().map(|c| c.version());
    let mut warnings = hub.witnessing.warnings();
    warnings.extend(hub.timestamps.warning());
    let body = json!({"live": true, "ready": ready, "reasons": reasons, "warnings": warnings,
        "server": hub.server, "configuration_version": version, "configuration_expires": expires,
        "log_records": hub.journal.log.size()});
    (status, Json(body)).into_response()
}

async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let configuration = hub.in_force.load();
    let expires = configuration.as_ref().map_or(0, |c| c.document().expires.seconds());
    let version = configuration.as_ref().map_or(0, |c| c.version());
    let Witnessing { gatherer, alarms, .. } = &hub.witnessing;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (missing, alarms) = (count(gatherer.missing_count()), count(alarms.count()));
    let cosigned = gatherer.cosigned_size();
    let stores = u64::from(hub.journal.log.failure().is_none());
    let mut gauges = vec![
        ("koprik_log_records", "records in the message log", hub.journal.log.size()),
        ("koprik_log_stores", "1 while the message log stores records, else 0", stores),
        ("koprik_configuration_version", "global configuration in force", version),
        ("koprik_configuration_expires_seconds", "end of its validity, Unix seconds", expires),
        ("koprik_timestamp_tree_size", "records under a timestamp", hub.timestamps.store.last()),
        ("koprik_cosigned_records", "records that a quorum of witnesses has seen", cosigned),
        ("koprik_witnesses_missing", "witnesses that do not cosign now", missing),
        ("koprik_alarms", "split views that were seen; each is to be looked into", alarms),
    ];
    if let Some(last) = hub.timestamps.last() {
        let age = hub.clock.now().since(last).as_secs();
        gauges.push(("koprik_timestamp_age_seconds", "age of the last timestamp", age));
    }
    let text = hub.metrics.render(&gauges);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordsQuery {
    exchange: Option<String>,
    message: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    service: Option<String>,
    purpose: Option<String>,
    outcome: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

async fn records(
    State(hub): State<Arc<Hub>>,
    UrlQuery(asked): UrlQuery<RecordsQuery>,
) -> AdminResult {
    let moment = |text: Option<String>, otherwise| match text {
        None => Ok(otherwise),
        Some(text) => UnixMillis::from_rfc3339(&text)
            .ok_or_else(|| Fault(StatusCode::BAD_REQUEST, "from and to are RFC 3339".into())),
    };
    let value = |kind, value: Option<String>| value.map(|value| Wanted::value(kind, value));
    // The rarest first: the index is asked for that.
    let wanted = [
        value(IndexKind::Exchange, asked.exchange),
        asked.message.map(|id| Wanted::message(&hub, &id)).transpose()?,
        asked.subject.map(|person| Wanted::subject(&hub, &person)).transpose()?,
        value(IndexKind::Client, asked.client),
        value(IndexKind::Service, asked.service),
        value(IndexKind::Purpose, asked.purpose),
        value(IndexKind::Outcome, asked.outcome),
    ];
    let search = Search {
        wanted: wanted.into_iter().flatten().collect(),
        from: moment(asked.from, UnixMillis(0))?,
        to: moment(asked.to, UnixMillis(u64::MAX))?,
        before: asked.before.unwrap_or(u64::MAX),
        limit: asked.limit.unwrap_or(100).min(RECORDS_MAX_COUNT),
    };
    let found = search.run(&hub).await?;
    let records: Vec<Value> = found.records.iter().map(Found::json).collect();
    let log = hub.journal.log.origin();
    Ok(Json(json!({ "log": log, "records": records, "next": found.next })))
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| Fault(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
}

async fn record(State(hub): State<Arc<Hub>>, UrlPath(index): UrlPath<u64>) -> AdminResult {
    let log = hub.journal.log.clone();
    let found = blocking(move || Ok(read(&log, index)?)).await?;
    Ok(Json(found.json()))
}

/// Everything about one id: an exchange (the `detail` of an error), or the caller's own `X-Road-Id`.
async fn explain(State(hub): State<Arc<Hub>>, UrlPath(id): UrlPath<String>) -> AdminResult {
    // Both, whatever is found first: anyone may claim another's X-Road-Id as the id of an exchange.
    let exchange = search::under_id(&hub, journal::made_from(&id).unwrap_or(&id)).await?;
    let message = Search::of(Wanted::message(&hub, &id)?).run(&hub).await?.records;
    let both = exchange.into_iter().chain(message).map(|found| (found.index, found));
    let found: Vec<Found> = both.collect::<BTreeMap<_, _>>().into_values().collect();
    if found.is_empty() {
        return Err(not_found(NO_EXCHANGE));
    }
    let steps: Vec<Value> = found
        .iter()
        .map(|found| {
            let code = found.record.outcome.parse::<ProblemCode>().ok();
            let mut step = found.json();
            if let (Some(code), Some(step)) = (code, step.as_object_mut()) {
                step.insert("failed_side".into(), json!(format!("{:?}", code.side())));
                step.insert("retry".into(), json!(format!("{:?}", code.retry())));
                step.insert("action".into(), json!(code.action()));
            }
            step
        })
        .collect();
    Ok(Json(json!({ "id": id, "server": hub.server, "steps": steps })))
}

/// Split views with both checkpoints as signed, so that anyone can verify them offline.
async fn alarms(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let list: Vec<Value> = hub.witnessing.alarms.all().iter().map(Alarm::to_json).collect();
    Json(json!({ "server": hub.server, "alarms": list }))
}

async fn checkpoint(State(hub): State<Arc<Hub>>) -> Result<String, Fault> {
    let last = hub.journal.log.size().checked_sub(1);
    let last = last.ok_or_else(|| not_found("the log is empty"))?;
    Ok(hub.journal.log.checkpoint_covering(last).await?)
}

#[derive(Deserialize)]
struct InclusionQuery {
    index: u64,
}

async fn inclusion(
    State(hub): State<Arc<Hub>>,
    UrlQuery(asked): UrlQuery<InclusionQuery>,
) -> AdminResult {
    let note = hub.journal.log.checkpoint_covering(asked.index).await?;
    let checkpoint = read_checkpoint(&note)?;
    let log = hub.journal.log.clone();
    let (found, proof) = blocking(move || {
        Ok((read(&log, asked.index)?, log.inclusion_proof(asked.index, checkpoint.size)?))
    })
    .await?;
    let leaf = found.leaf;
    Ok(Json(json!({ "index": asked.index, "leaf": leaf, "checkpoint": note, "proof": proof })))
}

#[derive(Deserialize)]
struct ConsistencyQuery {
    old: u64,
    new: u64,
}

async fn consistency(
    State(hub): State<Arc<Hub>>,
    UrlQuery(asked): UrlQuery<ConsistencyQuery>,
) -> AdminResult {
    let log = hub.journal.log.clone();
    let proof = blocking(move || Ok(log.consistency_proof(asked.old, asked.new)?)).await?;
    Ok(Json(json!({ "old": asked.old, "new": asked.new, "proof": proof })))
}

pub(crate) fn read_checkpoint(note: &str) -> Result<Checkpoint, Fault> {
    let fail = |text: String| Fault(StatusCode::INTERNAL_SERVER_ERROR, text);
    let note = schemas::tlog::note::Note::parse(note).map_err(|error| fail(error.to_string()))?;
    note.text()
        .parse()
        .map_err(|error: schemas::tlog::checkpoint::CheckpointError| fail(error.to_string()))
}
