//! Timestamps on checkpoints, in the background: proof by a third party of when the log said what.
//!
//! Nothing here is on the path of a message (promise P7): when every authority is away, checkpoints
//! go unstamped, a warning and a metric say so, and the first that answers stamps the latest
//! checkpoint, which covers all before it. The format stands in `hub/docs/timestamps.md`.

mod rest;
mod store;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hub_core::configuration::ConfigurationInForce;
use pki::timestamp::{TimestampQuery, VerifiedTimestamp, read_reply, reply_with, verify};
use schemas::clock::UnixMillis;
use schemas::configuration::TimestampAuthority;
use schemas::digest::Sha256;
use schemas::limits::{TIMESTAMP_REPLY_MAX_BYTES, TIMESTAMP_TIMEOUT};
use schemas::tlog::Checkpoint;
use tokio::sync::watch;

use self::rest::Rests;
pub(crate) use self::store::{Checkpoints, Stamped, Store};
use crate::state::Hub;

/// The timestamps of a hub's log.
#[derive(Debug)]
pub(crate) struct Timestamps {
    pub(crate) store: Arc<Store>,
    /// Seconds between two looks at the latest checkpoint.
    seconds: u64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The last timestamp since the start.
    last: Option<UnixMillis>,
    /// Since when a checkpoint waits that no authority stamps.
    failing_since: Option<UnixMillis>,
}

impl Timestamps {
    pub(crate) fn new(store: Store, seconds: u64) -> Self {
        Self { store: Arc::new(store), seconds, state: Mutex::default() }
    }

    /// The time of the last timestamp since the start of the hub.
    pub(crate) fn last(&self) -> Option<UnixMillis> {
        self.state().last
    }

    /// What the operator should look at; traffic is not touched by it.
    pub(crate) fn warning(&self) -> Option<String> {
        let since = self.state().failing_since?;
        Some(format!(
            "no timestamp authority has stamped a checkpoint since {since}; the program log names \
             each with its reason"
        ))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

/// Stamps the newest settled checkpoint at each interval until told to stop.
pub(crate) async fn run(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    let mut rests = Rests::new(hub.timestamps.seconds);
    let stamping = async {
        loop {
            round(&hub, &mut rests).await;
            tokio::time::sleep(Duration::from_secs(hub.timestamps.seconds)).await;
        }
    };
    tokio::select! {
        () = stamping => {}
        // What is cut off here is a question or a file that is not yet renamed: nothing is torn.
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Stamps a checkpoint if it is newer than the last stamped one. One that the witnesses have cosigned is
/// preferred, so that evidence has both.
async fn round(hub: &Hub, rests: &mut Rests) {
    let Some(configuration) = hub.in_force.load_full() else { return };
    if configuration.document().content.timestamp_authorities.is_empty() {
        hub.timestamps.state().failing_since = None;
        return;
    }
    let Some(note) = hub.witnessing.gatherer.settled(&configuration) else { return };
    let Ok(checkpoint) = note.text().parse::<Checkpoint>() else { return };
    if checkpoint.size <= hub.timestamps.store.last() {
        return;
    }
    let now = hub.clock.now();
    let size = checkpoint.size;
    let signed = note.signed_by(hub.journal.log.verifier()).to_string();
    let stamped = match from_any(hub, &configuration, &signed, rests).await {
        Some((verified, reply)) => {
            let checkpoints = Checkpoints { signed, cosigned: note.to_string() };
            keep(hub, size, checkpoints, reply).await.then_some(verified)
        }
        None => None,
    };
    let mut state = hub.timestamps.state();
    match stamped {
        None => {
            state.failing_since.get_or_insert(now);
        }
        Some(verified) => {
            *state = State { last: Some(verified.time), failing_since: None };
            let authority = verified.authority;
            tracing::debug!(size, authority, time = %verified.time, "checkpoint stamped");
        }
    }
}

/// Stores a token; whether it is durable.
async fn keep(hub: &Hub, size: u64, checkpoints: Checkpoints, reply: Vec<u8>) -> bool {
    let store = hub.timestamps.store.clone();
    let kept = tokio::task::spawn_blocking(move || store.keep(size, &checkpoints, &reply)).await;
    let Err(error) = kept.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) else {
        return true;
    };
    let dir = hub.timestamps.store.dir().display();
    tracing::error!(%error, %dir, "a timestamp cannot be stored; check disk and owner");
    false
}

/// The first verified token, in the order of the configuration.
async fn from_any(
    hub: &Hub,
    configuration: &ConfigurationInForce,
    note: &str,
    rests: &mut Rests,
) -> Option<(VerifiedTimestamp, Vec<u8>)> {
    for authority in &configuration.document().content.timestamp_authorities {
        if rests.resting(&authority.name) {
            continue;
        }
        match ask(hub, configuration, authority, note).await {
            Ok(stamped) => {
                rests.answered(&authority.name);
                return Some(stamped);
            }
            Err(reason) => {
                let rest_seconds = rests.failed(&authority.name, &hub.clock).as_secs();
                let (name, url) = (&authority.name, &authority.url);
                tracing::warn!(
                    name,
                    url,
                    reason,
                    rest_seconds,
                    "timestamp authority gives no token"
                );
            }
        }
    }
    None
}

async fn ask(
    hub: &Hub,
    configuration: &ConfigurationInForce,
    authority: &TimestampAuthority,
    note: &str,
) -> Result<(VerifiedTimestamp, Vec<u8>), String> {
    let query = TimestampQuery::new(Sha256::of(note.as_bytes())).map_err(|e| e.to_string())?;
    let body = query.to_der().map_err(|error| error.to_string())?;
    let reply = tokio::time::timeout(TIMESTAMP_TIMEOUT, exchange(hub, &authority.url, body));
    let reply = reply.await.map_err(|_| "it did not answer in time".to_owned())??;
    let token = read_reply(&reply).map_err(|error| error.to_string())?;
    let verified = verify(&token, query.asked(), configuration.timestamp_authorities());
    let verified = verified.map_err(|error| error.to_string())?;
    // The authority's own words around the token are signed by nobody and are not kept.
    let reply = reply_with(&token).map_err(|error| error.to_string())?;
    Ok((verified, reply))
}

/// One question over HTTP (RFC 3161 §3.4).
async fn exchange(hub: &Hub, url: &str, query: Vec<u8>) -> Result<Bytes, String> {
    let request = Request::post(url)
        .header(http::header::CONTENT_TYPE, "application/timestamp-query")
        .body(Full::from(query))
        .map_err(|error| error.to_string())?;
    let answer = hub.central.request(request).await.map_err(|error| error.to_string())?;
    if answer.status() != http::StatusCode::OK {
        return Err(format!("it answers {}", answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), TIMESTAMP_REPLY_MAX_BYTES).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes())
}
