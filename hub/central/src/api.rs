//! What everyone may read: configurations, the anchor, the transparency log, health.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use hub_core::configuration::ConfigurationInForce;
use hub_messagelog::MessageLog;
use schemas::clock::Clock;
use schemas::configuration::Anchor;
use schemas::limits::WITNESS_REQUEST_MAX_BYTES;
use schemas::tlog::tile::Tile;
use schemas::tlog::witness::{ADD_CHECKPOINT, OWN_COSIGNATURES, OWN_PREFIX, OWN_REQUEST};
use serde_json::json;
use tokio::sync::watch;

use crate::chain::Versions;
use crate::publisher::Served;
use crate::witness::{self, Witnessing};

/// What the public routes read.
#[derive(Clone)]
pub(crate) struct Public {
    pub(crate) served: Served,
    pub(crate) versions: Versions,
    pub(crate) anchor: Arc<Anchor>,
    pub(crate) log: MessageLog,
    /// Tiles and entry bundles of the log.
    pub(crate) tiles: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) witnessing: Arc<Witnessing>,
    /// Why the last run of the publisher failed.
    pub(crate) fault: watch::Receiver<Option<String>>,
}

/// A signed note and the tiles never change under their name.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The routes of the public listener.
pub(crate) fn router(public: Public) -> Router {
    let witness = Router::new()
        .route(&format!("{OWN_PREFIX}{ADD_CHECKPOINT}"), post(witness::add_checkpoint))
        .route(OWN_COSIGNATURES, post(witness::cosignatures))
        .route(OWN_REQUEST, get(witness::request))
        .layer(DefaultBodyLimit::max(WITNESS_REQUEST_MAX_BYTES));
    Router::new()
        .route("/v1/configuration", get(newest))
        .route("/v1/configuration/{version}", get(version))
        .route("/v1/anchor", get(anchor))
        .route("/log/{*path}", get(log_file))
        .route("/health", get(health))
        .merge(witness)
        .with_state(public)
}

async fn newest(State(public): State<Public>, headers: HeaderMap) -> Response {
    let served = public.served.load();
    let Some(in_force) = served.as_ref() else {
        let text = "central server: nothing is published yet; ask again in a second\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let tag = format!("\"{}\"", in_force.hash());
    // Safe because: quotes and hexadecimal digits are header characters.
    let tag_value = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    let head = [(ETAG, tag_value), (CACHE_CONTROL, ASK_AGAIN), (CONTENT_TYPE, TEXT)];
    if holds(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, in_force.note().to_owned()).into_response()
}

/// RFC 9110 §13.1.2, weak comparison.
fn holds(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}

async fn version(State(public): State<Public>, Path(version): Path<u64>) -> Response {
    let newest = public.served.load().as_ref().map_or(0, |served| served.version());
    let missing = || {
        let text = format!("central server: no version {version}; the newest is {newest}\n");
        (StatusCode::NOT_FOUND, text).into_response()
    };
    // A version that is stored but not yet in the log is not shown.
    if version == 0 || version > newest {
        return missing();
    }
    let versions = public.versions.clone();
    match tokio::task::spawn_blocking(move || versions.read(version)).await {
        Ok(Ok(Some(note))) => {
            ([(CACHE_CONTROL, FOREVER), (CONTENT_TYPE, TEXT)], note).into_response()
        }
        Ok(Ok(None)) => missing(),
        Ok(Err(failed)) => {
            tracing::error!(%failed, "a stored version cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn anchor(State(public): State<Public>) -> Json<Anchor> {
    Json(Anchor::clone(&public.anchor))
}

/// C2SP tlog-tiles: `checkpoint`, beside it `checkpoint.cosigned`, `tile/…` with its levels and `tile/entries/…`. The path is parsed
/// and written anew, so it names nothing else.
async fn log_file(State(public): State<Public>, Path(path): Path<String>) -> Response {
    let missing = || {
        let text = "central server: the log has no such file; read /log/checkpoint for its size\n";
        (StatusCode::NOT_FOUND, text).into_response()
    };
    if path == "checkpoint" {
        let head = [(CACHE_CONTROL, ASK_AGAIN), (CONTENT_TYPE, TEXT)];
        return (head, public.log.latest_checkpoint()).into_response();
    }
    if path == "checkpoint.cosigned" {
        let cosigned = public.witnessing.gatherer.cosigned().map(|note| note.to_string());
        let head = [(CACHE_CONTROL, ASK_AGAIN), (CONTENT_TYPE, TEXT)];
        return cosigned.map_or_else(missing, |note| (head, note).into_response());
    }
    let Ok(tile) = path.parse::<Tile>() else { return missing() };
    match tokio::fs::read(public.tiles.join(tile.to_string())).await {
        Ok(bytes) => ([(CACHE_CONTROL, FOREVER), (CONTENT_TYPE, BYTES)], bytes).into_response(),
        Err(_) => missing(),
    }
}

async fn health(State(public): State<Public>) -> Response {
    let served = public.served.load();
    let fault = public.fault.borrow().clone();
    let valid = |in_force: &ConfigurationInForce| !in_force.expired_at(public.clock.now());
    let ready = served.as_ref().is_some_and(|in_force| valid(in_force));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let certificates = served.as_ref().map_or(&[][..], |in_force| in_force.warnings()).iter();
    let cosigned = public.witnessing.gatherer.warnings();
    let alarms = public.witnessing.alarms.warning();
    let warnings: Vec<String> = certificates.cloned().chain(alarms).chain(cosigned).collect();
    let report = json!({
        "live": true,
        "ready": ready,
        "version": served.as_ref().map(|in_force| in_force.version()),
        "expires": served.as_ref().map(|in_force| in_force.document().expires.to_rfc3339()),
        "log_entries": public.log.size(),
        "log_cosigned": public.witnessing.gatherer.cosigned_size(),
        "warnings": warnings,
        "fault": fault,
    });
    (status, Json(report)).into_response()
}
