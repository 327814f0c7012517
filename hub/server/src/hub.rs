//! A security server: what its parts share, how it starts, and how it stops.
//!
//! Shutdown order: listeners stop accepting and drain; the refresher, the gathering of cosignatures and the
//! stamper end; then the message log writes its last checkpoint and closes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use hub_core::batch::VerifiedRoots;
use hub_core::replay::ReplayWindow;
use hub_messagelog::vault::Vault;
use hub_messagelog::{LogLimits, LogOptions, MessageLog};
use pki::signer::{NoteKey, SigningKey};
use pki::tls::{self, Identity, PeerTls};
use rustls::ServerConfig;
use schemas::clock::{Clock, UnixMillis};
use schemas::configuration::Anchor;
use schemas::identifier::ServerId;
use schemas::limits::{EXCHANGES_MAX_COUNT, REPLAY_WINDOW_MAX_COUNT};
use schemas::record::{Record, Side};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::admin;
use crate::clients::{self, InForce, Registered};
use crate::config::{ConfigError, HubConfig};
use crate::edge;
use crate::journal::{self, Journal};
use crate::listener::Bound;
use crate::local::{Local, certificate};
use crate::metrics::Metrics;
use crate::refresh;
use crate::retention::{self, Retention};
use crate::state::Hub;
use crate::timestamps::{self, Timestamps};
use crate::witness::{self, Witnessing};

/// Why a hub does not start. Each text names the repair.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key, certificate or the anchor.
    #[error("{what}: {reason}")]
    Trust {
        /// Which file or setting.
        what: String,
        /// Why it is refused, and the repair.
        reason: String,
    },
    /// The message log.
    #[error("message log: {0}")]
    Log(#[from] hub_messagelog::LogError),
    /// The data directory.
    #[error("data directory {path}: {reason}; check that it is writable")]
    Data {
        /// The directory or file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A listener.
    #[error("cannot listen on {address}: {reason}; choose a free address")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's reason.
        reason: String,
    },
}

pub(crate) fn trust(what: &str, reason: impl std::fmt::Display) -> StartError {
    StartError::Trust { what: what.to_owned(), reason: reason.to_string() }
}

/// The addresses that a hub listens on.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Edge over TLS.
    pub edge: std::net::SocketAddr,
    /// Edge without TLS, if configured.
    pub edge_plain: Option<std::net::SocketAddr>,
    /// Other security servers.
    pub peer: std::net::SocketAddr,
    /// The operator.
    pub admin: std::net::SocketAddr,
}

/// A security server that runs.
pub struct RunningHub {
    hub: Arc<Hub>,
    addresses: Addresses,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for RunningHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningHub").field("server", &self.hub.server).finish_non_exhaustive()
    }
}

impl RunningHub {
    /// Where the hub listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The token for the admin listener.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.hub.admin_token
    }

    /// The message log.
    #[must_use]
    pub fn log(&self) -> &MessageLog {
        &self.hub.journal.log
    }

    /// The version of the global configuration in force.
    #[must_use]
    pub fn configuration_version(&self) -> Option<u64> {
        self.hub.in_force.load().as_ref().map(|configuration| configuration.version())
    }

    /// Looks at the central server and the configuration file now instead of at the next interval.
    ///
    /// # Errors
    /// The reason in words when the configuration in force stays because the new one is refused.
    pub async fn refresh(&self) -> Result<(), String> {
        refresh::once(&self.hub).await
    }

    /// Stops: drains running exchanges, then closes the log.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the hub ended by a panic");
            }
        }
        self.hub.journal.log.close().await;
    }

    /// Waits until a task of the hub ends, which happens only when one fails.
    pub async fn failed(&mut self) {
        let _ = self.tasks.join_next().await;
    }
}

/// Starts a security server. `file` is where `config` came from; it is watched for changes of clients, services
/// and grants.
///
/// # Errors
/// [`StartError`] with the repair; nothing runs then.
pub async fn start(
    config: HubConfig,
    file: Option<PathBuf>,
    clock: Clock,
) -> Result<RunningHub, StartError> {
    let watch_start = clock.stopwatch();
    let hub = Arc::new(build(&config, file, &clock)?);
    let edge_identity = identity(&config.edge.certificate, &config.edge.key)?;
    let edge_tls = tls::edge_server(&edge_identity, &clock, &[b"h2", b"http/1.1"])
        .map_err(|error| trust("edge", error))?;
    let bind = async |address| {
        Bound::bind(address)
            .await
            .map_err(|error| StartError::Listen { address, reason: error.to_string() })
    };
    let edge_bound = bind(config.edge.listen).await?;
    let plain_bound = match config.edge.plain_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let peer_bound = bind(config.peer.listen).await?;
    let admin_bound = tokio::net::TcpListener::bind(config.admin.listen).await;
    let admin_bound = admin_bound.map_err(|error| StartError::Listen {
        address: config.admin.listen,
        reason: error.to_string(),
    })?;
    let addresses = Addresses {
        edge: edge_bound.address,
        edge_plain: plain_bound.as_ref().map(|bound| bound.address),
        peer: peer_bound.address,
        admin: admin_bound.local_addr().unwrap_or(config.admin.listen),
    };
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let edge_service = {
        let hub = hub.clone();
        // On the heap at once: an exchange is some kilobytes, and what serves it moves it several times.
        move |caller, request| Box::pin(edge::serve(hub.clone(), caller, request))
    };
    let source: crate::listener::TlsSource =
        Arc::new(move || -> Arc<ServerConfig> { edge_tls.clone() });
    tasks.spawn(edge_bound.serve(Some(source), stopped.clone(), edge_service.clone()));
    if let Some(bound) = plain_bound {
        tasks.spawn(bound.serve(None, stopped.clone(), edge_service));
    }
    let peer_service = {
        let hub = hub.clone();
        move |caller, request| Box::pin(edge::serve_peer(hub.clone(), caller, request))
    };
    let peer_tls = hub.peer_tls.server();
    let source: crate::listener::TlsSource =
        Arc::new(move || -> Arc<ServerConfig> { peer_tls.clone() });
    tasks.spawn(peer_bound.adding_nothing().serve(Some(source), stopped.clone(), peer_service));
    tasks.spawn(admin::serve(hub.clone(), admin_bound, stopped.clone()));
    tasks.spawn(refresh::run(hub.clone(), stopped.clone()));
    tasks.spawn(witness::run(hub.clone(), stopped.clone()));
    tasks.spawn(retention::run(hub.clone(), stopped.clone()));
    tasks.spawn(timestamps::run(hub.clone(), stopped));
    hub.journal.act("start").await?;
    tracing::info!(server = %hub.server, took_ms = watch_start.elapsed_us() / 1000, "hub started");
    Ok(RunningHub { hub, addresses, stop, tasks })
}

fn identity(
    certificate_path: &std::path::Path,
    key: &std::path::Path,
) -> Result<Identity, StartError> {
    let certificate = certificate(certificate_path)?;
    let fail = |error: &dyn std::fmt::Display| trust(&key.display().to_string(), error);
    let key = SigningKey::load(key).map_err(|error| fail(&error))?;
    Identity::new(certificate, Arc::new(key)).map_err(|error| fail(&error))
}

fn build(config: &HubConfig, file: Option<PathBuf>, clock: &Clock) -> Result<Hub, StartError> {
    let data = |path: &std::path::Path, error: std::io::Error| StartError::Data {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let spool_dir = config.data_dir.join("spool");
    let versions = config.data_dir.join("configurations");
    for dir in [&config.data_dir, &spool_dir, &versions] {
        refresh::make_dir(dir).map_err(|error| data(dir, error))?;
    }
    let anchor_text = crate::config::read_text(&config.configuration.anchor)?;
    let anchor_name = config.configuration.anchor.display().to_string();
    let anchor: Anchor = serde_json::from_str(&anchor_text).map_err(|e| trust(&anchor_name, e))?;
    let (trusted, in_force) = refresh::restore(&config.data_dir, &anchor, clock.now())
        .map_err(|reason| trust(&anchor_name, reason))?;
    let in_force: InForce = Arc::new(ArcSwapOption::from(in_force.map(Arc::new)));
    let local = Local::load(config)?;
    let journal = open_journal(config, clock)?;
    let witnessing = Witnessing::open(config, &journal.log, clock)?;
    let stamped = config.data_dir.join("log").join("timestamps");
    let store = timestamps::Store::open(stamped.clone()).map_err(|error| data(&stamped, error))?;
    let replay = remembered(newest_records(&journal.log), clock.now());
    if store.last() > journal.log.size() {
        let (stamped, records) = (store.last(), journal.log.size());
        tracing::error!(
            stamped,
            records,
            "the log is shorter than a stamped checkpoint; restore it"
        );
    }
    let identity = identity(&config.peer.certificate, &config.peer.key)?;
    let registered = Arc::new(Registered(in_force.clone()));
    let peer_tls = PeerTls::new(&identity, registered, clock, &[b"h2"])
        .map_err(|error| trust("peer", error))?;
    let peers = clients::peer_client(peer_tls.clone(), in_force.clone());
    let token_path = config.data_dir.join("admin.token");
    let admin_token = admin::token(&token_path).map_err(|error| data(&token_path, error))?;
    Ok(Hub {
        server: config.server.clone(),
        clock: clock.clone(),
        data_dir: config.data_dir.clone(),
        spool_dir,
        anchor,
        in_force,
        trusted: Mutex::new(trusted),
        local: ArcSwap::from_pointee(local),
        journal,
        replay: Mutex::new(replay),
        roots: VerifiedRoots::default(),
        peers: ArcSwap::from_pointee(peers),
        peer_tls,
        authentication_certificate: identity.certificate().fingerprint(),
        sources: clients::source_client(),
        central: clients::central_client(),
        witnessing,
        timestamps: Timestamps::new(store, config.log.timestamp_seconds),
        consumer_places: Semaphore::new(EXCHANGES_MAX_COUNT),
        provider_places: Semaphore::new(EXCHANGES_MAX_COUNT),
        export_places: Arc::new(Semaphore::new(1)),
        metrics: Metrics::default(),
        admin_token,
        refresh_seconds: config.configuration.refresh_seconds,
        file_seen: Mutex::new(None),
        file,
    })
}

/// The origin of a security server's message log; a schema-less URL as C2SP recommends.
#[must_use]
pub fn log_origin(server: &ServerId) -> String {
    format!("koprik/{server}")
}

fn open_journal(config: &HubConfig, clock: &Clock) -> Result<Journal, StartError> {
    let origin = log_origin(&config.server);
    let key_name = config.log.key.display().to_string();
    let key = NoteKey::load(&origin, &config.log.key).map_err(|error| trust(&key_name, error))?;
    let log = MessageLog::open(LogOptions {
        dir: config.data_dir.join("log"),
        origin,
        key: Arc::new(key),
        clock: clock.clone(),
        index_keys: journal::index_keys,
        limits: LogLimits::default(),
    })?;
    let vault =
        Vault::open(&config.data_dir.join("keys")).map_err(|error| trust("vault", error))?;
    let retention = Retention::new(&config.log).map_err(|error| trust("log", error))?;
    let (clock, keep_bodies_bytes) = (clock.clone(), config.log.keep_bodies_bytes);
    Ok(Journal::new(log, vault, retention, clock, keep_bodies_bytes))
}

/// The records at the end of the log itself, newest first: the index may be behind after a crash.
fn newest_records(log: &MessageLog) -> impl Iterator<Item = Record> {
    let newest_first = (0..log.size()).rev().take(4 * REPLAY_WINDOW_MAX_COUNT);
    let stored = newest_first.map_while(|index| log.read(index).ok());
    stored.filter_map(|stored| Record::from_leaf(&stored.leaf).ok())
}

/// The replay window as it stood before a restart. Nothing else is kept: an answered request is in the log,
/// durably, before its source was asked, so a crash forgets only ids of requests that were never acted on.
fn remembered(newest_first: impl Iterator<Item = Record>, now: UnixMillis) -> ReplayWindow {
    let from = now.minus(ReplayWindow::length());
    let made = |record: &Record| {
        // A request's record has the time of its head, and is made when its body is there: that may be much later.
        record.time.plus(Duration::from_micros(record.duration_us.unwrap_or_default()))
    };
    let mut seen: Vec<(UnixMillis, Uuid)> = newest_first
        // Records are a little out of order where exchanges overlap: one length more is read.
        .take_while(|record| made(record) >= from.minus(ReplayWindow::length()))
        // A client stands only in records of verified heads: a forgery does not use up another's id.
        .filter(|record| record.side == Side::Provider && record.client.is_some())
        .filter(|record| record.time >= from)
        .filter_map(|record| Some((record.time, Uuid::try_parse(&record.exchange?).ok()?)))
        .collect();
    seen.sort_unstable();
    let mut window = ReplayWindow::default();
    for (time, id) in seen {
        // Request and answer have one id: the second is seen already.
        let _ = window.admit(id, time);
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_core::replay::ReplayRefusal;
    use schemas::record::Kind;

    #[test]
    fn a_request_whose_body_came_slowly_makes_nothing_forgotten_that_was_logged_before_it() {
        let now = UnixMillis(1_780_272_000_000);
        let ago = |seconds| now.minus(Duration::from_secs(seconds));
        let request = |id: Uuid, head, took: u64| {
            let mut record = Record::new(Kind::Request, Side::Provider, ago(head), "ok");
            record.client = Some("UZ/GOV/NASP/register".into());
            record.exchange = Some(id.to_string());
            record.duration_us = Some(took * 1_000_000);
            record
        };
        let [slow, fresh, old, behind] = [1, 2, 3, 4].map(Uuid::from_u128);
        // In the log: one behind all that is read, two quick ones, and a head of ten minutes ago.
        let newest_first = [
            request(slow, 600, 595),
            request(fresh, 20, 0),
            request(old, 100, 0),
            request(Uuid::from_u128(5), 150, 0),
            request(behind, 1, 0),
        ];
        let mut window = remembered(newest_first.into_iter(), now);
        assert_eq!(window.admit(fresh, now), Err(ReplayRefusal::Seen));
        for forgotten in [slow, old, behind] {
            assert_eq!(window.admit(forgotten, now), Ok(()));
        }
    }
}
