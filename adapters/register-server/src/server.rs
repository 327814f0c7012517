//! Starts and stops a register.

use std::net::SocketAddr;
use std::sync::Arc;

use pki::signer::KeyError;
use register::payment::office::Office;
use register::rules::{RuleError, Rulebook};
use register_store::{Store, StoreError};
use schemas::clock::Clock;
use schemas::limits::DRAIN_TIMEOUT;
use spdci::{RunningSpdci, SpdciFault};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::api::{Register, routes};
use crate::applications::{Applications, monitoring};
use crate::collect::WatchedSource;
use crate::config::{ConfigError, RegisterConfig};
use crate::desk::{self, Desk, PaymentStops};
use crate::hub_client::HubClient;
use crate::hub_connection::TlsFault;
use crate::life_event;
use crate::pages::{self, Connected, FaultyWords, Sections, Unconnected};
use crate::payments::{self, RegisterCourier};
use crate::spdci::Social;

/// The register's side of the payments.
type PayDesk = ::payments::Desk<Office>;

/// Why a register does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The files for https cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The payments' books cannot be read.
    #[error(transparent)]
    Payments(#[from] ::payments::BooksError),
    /// The rules of this build are faulty.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of the cards cannot be read.
    #[error("register: the key of the Social Cards (`card.key_file`) cannot be used: {0}")]
    CardKeyFile(#[from] KeyError),
    /// The key of the cards is of another kind.
    #[error("register: the key in `card.key_file` is not Ed25519; make one with openssl genpkey")]
    CardKey,
    /// The SPDCI interface cannot start.
    #[error(transparent)]
    Spdci(#[from] SpdciFault),
    /// The words of this build's pages are faulty.
    #[error(transparent)]
    Words(#[from] FaultyWords),
    /// The address cannot be listened on.
    #[error("register: cannot listen on {address}; choose a free address in `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
}

/// A register that runs; dropping it ends it at once, [`RunningRegister::stop`] gracefully.
#[derive(Debug)]
pub struct RunningRegister {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The SPDCI interface, where there is one.
    pub spdci: Option<RunningSpdci<Social>>,
    /// The payments, when the register makes any.
    pub payments: Option<Arc<PayDesk>>,
    ask_to_stop: oneshot::Sender<()>,
    /// The server's task; its owner is this value.
    tasks: JoinSet<std::io::Result<()>>,
    /// Sends the payments' messages; its owner is this value.
    work: JoinSet<()>,
}

/// Starts a register: checks the configuration, binds, serves.
///
/// # Errors
/// [`StartError`] says what to change.
pub async fn start(config: RegisterConfig, clock: Clock) -> Result<RunningRegister, StartError> {
    start_with(config, clock, None).await
}

/// As [`start`], with what stops the payments to people who have died. Without it the register's own
/// payments do, and where it makes none such stops are kept as pending.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    mut config: RegisterConfig,
    clock: Clock,
    stops: Option<Arc<dyn PaymentStops>>,
) -> Result<RunningRegister, StartError> {
    config.check()?;
    let unchecked =
        || ConfigError::Value { key: "hub_url".into(), repair: "write a printable URL" };
    let hub = HubClient::new(&config, &clock)?.ok_or_else(unchecked)?;
    let rules = Rulebook::built_in()?;
    let address = config.listen;
    let failed = |cause| StartError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let applications = match &config.store {
        Some(store) => Some(Applications::open(store).await?),
        None => None,
    };
    let places = Semaphore::new(config.concurrent_profiles_count.min(Semaphore::MAX_PERMITS));
    let kept = applications.as_ref().map(|applications| applications.store.clone());
    // Safe because: the check of the configuration wants a store for SPDCI.
    let spdci = match config.spdci.take().zip(kept) {
        Some((config, store)) => {
            let social = Social::new(store.clone(), clock.clone());
            Some(spdci::start_on(store, config, clock.clone(), social).await?)
        }
        None => None,
    };
    let social = spdci.as_ref().map(|running| running.service.registry.clone());
    let sources = WatchedSource::all(&config, &clock);
    let mut work = JoinSet::new();
    let store = applications.as_ref().map(|applications| &applications.store);
    let payments = open_payments(&config, store, (&hub, &clock), &mut work).await?;
    let pages = config.pages.clone();
    let register = Register { config, sources, hub, clock, rules, places, applications, social };
    let register = Arc::new(register);
    let mut router = routes(register.clone());
    let mut stopping = None;
    let mut sections: Box<dyn Sections> = Box::new(Unconnected);
    if let Some(applications) = &register.applications {
        let store = applications.store.clone();
        let own = payments.clone().map(|desk| -> Arc<dyn PaymentStops> { desk });
        let desk = Desk::open(register.clone(), store, stops.or(own)).await?;
        router = router.merge(desk::routes(desk.clone()));
        sections = Box::new(Connected::new(desk.clone(), payments.clone()));
        stopping = Some(desk);
    }
    if let Some(config) = pages {
        router = router.merge(pages::routes(register.clone(), &config, address, sections)?);
    }
    if let Some(desk) = &payments {
        router = router.merge(payments::routes(register.clone(), desk.clone()));
    }
    let (ask_to_stop, asked) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // A dropped sender stops the server too.
        let stop = async move { asked.await.unwrap_or(()) };
        axum::serve(listener, router).with_graceful_shutdown(stop).await
    });
    if register.applications.is_some() {
        tasks.spawn(async move {
            monitoring::run(&register).await;
            Ok(())
        });
    }
    if let Some(desk) = stopping {
        tasks.spawn(async move { life_event::stop_pending(&desk).await });
    }
    tracing::info!(%address, "register listens");
    Ok(RunningRegister { address, spdci, payments, ask_to_stop, tasks, work })
}

/// Opens the payments, if there are any, and begins to send what was left.
async fn open_payments(
    config: &RegisterConfig,
    store: Option<&Store>,
    (hub, clock): (&HubClient, &Clock),
    work: &mut JoinSet<()>,
) -> Result<Option<Arc<PayDesk>>, StartError> {
    let (Some(section), Some(store)) = (&config.payments, store) else { return Ok(None) };
    let unchecked = || ConfigError::Value {
        key: "payments.purpose".into(),
        repair: "write a code of the purpose catalogue",
    };
    let courier = RegisterCourier::new(hub, section).ok_or_else(unchecked)?;
    let desk = payments::open(store).await?;
    let (sent, pauses) = (desk.clone(), section.pauses);
    work.spawn(::payments::sender::run(sent, Arc::new(courier), pauses, clock.clone()));
    Ok(Some(desk))
}

impl RunningRegister {
    /// Stops accepting, lets running requests end for up to 10 s, then ends them.
    pub async fn stop(mut self) {
        // The server may be gone already; then there is nobody to tell.
        let _ = self.ask_to_stop.send(());
        // Monitoring goes on at the next start; the server's task ends first.
        if tokio::time::timeout(DRAIN_TIMEOUT, self.tasks.join_next()).await.is_err() {
            tracing::warn!("register stopped with requests under way");
        }
        self.tasks.shutdown().await;
        if let Some(spdci) = self.spdci.take() {
            spdci.stop().await;
        }
        self.work.shutdown().await;
    }
}
