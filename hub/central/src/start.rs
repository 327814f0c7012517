//! Starting and stopping the central server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_messagelog::{IndexKeys, LogLimits, LogOptions, MessageLog};
use pki::signer::NoteKey;
use schemas::clock::Clock;
use schemas::configuration::{Anchor, ConfigurationKeys};
use schemas::tlog::NoteSigner;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::admin::{Admin, Publication, WAITING_COUNT};
use crate::api::Public;
use crate::chain::{Versions, first_trust};
use crate::content_file::ContentFile;
use crate::publisher::{Parts, Publisher, check_log};
use crate::witness::Witnessing;
use crate::{CentralConfig, CentralError, KeyFile, admin, api, http};

/// A running central server.
#[derive(Debug)]
pub struct RunningCentral {
    /// Where hubs fetch configurations.
    pub address: SocketAddr,
    /// Where the administrator publishes.
    pub admin_address: SocketAddr,
    /// What newcomers need to trust this instance.
    pub anchor: Anchor,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    log: MessageLog,
}

impl RunningCentral {
    /// Waits until a task ends, which it does only by a panic or after [`RunningCentral::stop`];
    /// the process that owns the central server ends then.
    pub async fn ended(&mut self) {
        if let Some(ended) = self.tasks.join_next().await {
            pass_on_panic(ended);
        }
    }

    /// Stops in order: no new publications and connections, running requests end, then the log
    /// closes.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            pass_on_panic(ended);
        }
        self.log.close().await;
    }
}

/// A task's panic is its owner's panic.
pub(crate) fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(failed) = ended
        && let Ok(panic) = failed.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Starts the central server: continues the chain on disk, publishes what is due, then listens.
///
/// # Errors
/// [`CentralError`] for a refused configuration, key files, damaged or contradicting stores, and
/// addresses in use. A refused content file does not keep a server with an earlier version from
/// starting.
pub async fn start(config: CentralConfig, clock: Clock) -> Result<RunningCentral, CentralError> {
    config.check()?;
    let public_listener = bind(config.listen).await?;
    let admin_listener = bind(config.admin_listen).await?;
    let address = local(&public_listener, config.listen)?;
    let admin_address = local(&admin_listener, config.admin_listen)?;
    let (keys, signers) = load_keys(&config)?;
    let anchor = anchor(&config, keys.clone(), address);
    let mut opened = open(&config, &clock, &anchor, Keys { keys, signers })?;

    let (fault, fault_seen) = watch::channel(None);
    let first = opened.publisher.run().await;
    let served = opened.publisher.served();
    match first {
        Err(failed) if served.load().is_none() => {
            opened.log.close().await;
            return Err(failed);
        }
        outcome => report(&fault, outcome.err()),
    }

    let witnessing = Arc::new(Witnessing::open(&config, &opened.log, &clock)?);
    let public = Public {
        served: served.clone(),
        versions: opened.versions,
        anchor: Arc::new(anchor.clone()),
        log: opened.log.clone(),
        tiles: opened.log.published_dir().to_owned(),
        clock,
        witnessing: witnessing.clone(),
        fault: fault_seen,
    };
    let (publications, waiting) = mpsc::channel(WAITING_COUNT);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let poll = Duration::from_millis(config.content_poll_ms);
    let run = Run { publisher: opened.publisher, waiting, fault, poll };
    tasks.spawn(run.until(stopping.clone()));
    tasks.spawn(http::serve(public_listener, api::router(public), stopping.clone()));
    let admin = admin::router(Admin { publications, served, witnessing });
    tasks.spawn(http::serve(admin_listener, admin, stopping));
    Ok(RunningCentral { address, admin_address, anchor, stop, tasks, log: opened.log })
}

/// The publisher's task.
struct Run {
    publisher: Publisher,
    waiting: mpsc::Receiver<Publication>,
    fault: watch::Sender<Option<String>>,
    poll: Duration,
}

impl Run {
    async fn until(mut self, mut stopping: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = http::stopped(&mut stopping) => return,
                _ = ticks.tick() => {
                    let outcome = self.publisher.run().await;
                    report(&self.fault, outcome.err());
                }
                Some(publication) = self.waiting.recv() => {
                    let outcome = self.publisher.replace_content(&publication.content).await;
                    // The administrator may have gone; what was published stays.
                    let _ = publication.outcome.send(outcome);
                }
            }
        }
    }
}

/// Logs a fault when it is a new one, and keeps it for `/health`.
fn report(fault: &watch::Sender<Option<String>>, failed: Option<CentralError>) {
    let text = failed.map(|failed| failed.to_string());
    if text.is_some() && *fault.borrow() != text {
        tracing::error!(fault = text.as_deref(), "publishing failed");
    }
    fault.send_if_modified(|held| {
        let changed = *held != text;
        *held = text;
        changed
    });
}

struct Opened {
    versions: Versions,
    log: MessageLog,
    publisher: Publisher,
}

struct Keys {
    keys: ConfigurationKeys,
    signers: Vec<Arc<dyn NoteSigner>>,
}

/// Opens versions and log and checks that they belong together. Blocking, before anything listens.
fn open(
    config: &CentralConfig,
    clock: &Clock,
    anchor: &Anchor,
    Keys { keys, signers }: Keys,
) -> Result<Opened, CentralError> {
    let first = first_trust(anchor)?;
    let versions = Versions::open(config.data_dir.join("versions"))?;
    let loaded = versions.load(&config.instance, clock.now())?;
    let log = open_log(config, clock)?;
    check_log(&log, &versions, loaded.as_ref().map(|accepted| &accepted.in_force))?;
    let content_file = ContentFile::new(config.content_file.clone(), config.instance.clone());
    let parts = Parts {
        clock: clock.clone(),
        versions: versions.clone(),
        log: log.clone(),
        content_file,
        signers,
        keys,
        instance: config.instance.clone(),
        validity: config.validity(),
    };
    Ok(Opened { versions, log, publisher: Publisher::new(parts, first, loaded) })
}

fn open_log(config: &CentralConfig, clock: &Clock) -> Result<MessageLog, CentralError> {
    let origin = config.origin();
    let key = NoteKey::load(&origin, &config.log_key_file)?;
    let options = LogOptions {
        dir: config.data_dir.join("log"),
        origin,
        key: Arc::new(key),
        clock: clock.clone(),
        index_keys: |_| IndexKeys::default(),
        limits: LogLimits::default(),
    };
    Ok(MessageLog::open(options)?)
}

fn load_keys(
    config: &CentralConfig,
) -> Result<(ConfigurationKeys, Vec<Arc<dyn NoteSigner>>), CentralError> {
    let load = |key: &KeyFile| NoteKey::load(&key.name, Path::new(&key.file));
    let signing: Vec<NoteKey> = config.keys.signing.iter().map(load).collect::<Result<_, _>>()?;
    let retiring: Vec<NoteKey> = config.keys.retiring.iter().map(load).collect::<Result<_, _>>()?;
    let verifiers = signing.iter().map(|key| key.verifier().to_string()).collect();
    let keys = ConfigurationKeys { threshold: config.keys.threshold, verifiers };
    let all = signing.into_iter().chain(retiring);
    Ok((keys, all.map(|key| -> Arc<dyn NoteSigner> { Arc::new(key) }).collect()))
}

fn anchor(config: &CentralConfig, keys: ConfigurationKeys, address: SocketAddr) -> Anchor {
    let central = match config.addresses.as_slice() {
        [] => vec![format!("http://{address}")],
        named => named.to_vec(),
    };
    Anchor { instance: config.instance.clone(), keys, central }
}

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, CentralError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|cause| address_failed("listening on", address, cause))
}

pub(crate) fn local(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, CentralError> {
    listener.local_addr().map_err(|cause| address_failed("reading the address of", asked, cause))
}

fn address_failed(
    action: &'static str,
    address: SocketAddr,
    cause: std::io::Error,
) -> CentralError {
    CentralError::Io { action, place: address.to_string(), cause }
}
