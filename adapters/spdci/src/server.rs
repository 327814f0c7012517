//! Starts and stops the interface on its own address.
//!
//! Shutdown order: stop accepting, let answers under way end, let callbacks under way end.

use std::net::SocketAddr;
use std::sync::Arc;

use register_store::Store;
use schemas::clock::Clock;
use schemas::limits::DRAIN_TIMEOUT;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::registry::Registry;
use crate::service::{Service, SpdciConfig, SpdciFault};
use crate::state::State;

/// The interface of a registry, running. Dropping it ends it at once, [`RunningSpdci::stop`] in order.
pub struct RunningSpdci<R> {
    /// Where it listens.
    pub address: SocketAddr,
    /// The service, to wake it when the registry has new events.
    pub service: Arc<Service<R>>,
    stop: watch::Sender<()>,
    /// Server and courier; their owner is this value.
    tasks: JoinSet<()>,
}

/// Opens the store that the configuration names, binds and serves.
///
/// # Errors
/// [`SpdciFault`] says what to change.
pub async fn start<R: Registry>(
    config: SpdciConfig,
    clock: Clock,
    registry: R,
) -> Result<RunningSpdci<R>, SpdciFault> {
    let store = Store::open(config.store.as_ref().ok_or(SpdciFault::NoStore)?).await?;
    start_on(store, config, clock, registry).await
}

/// Binds and serves on an open store, in which the registry may lie too.
///
/// # Errors
/// [`SpdciFault`] says what to change.
pub async fn start_on<R: Registry>(
    store: Store,
    config: SpdciConfig,
    clock: Clock,
    registry: R,
) -> Result<RunningSpdci<R>, SpdciFault> {
    let listen = config.listen;
    let service = Service::new(config, registry, State::new(store), clock)?;
    let refused = |cause| SpdciFault::Listen { address: listen, cause };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (stop, stopped) = watch::channel(());
    let mut tasks = JoinSet::new();
    let router = crate::api::routes(Arc::clone(&service));
    tasks.spawn(crate::courier::run(Arc::clone(&service), asked(stopped.clone())));
    tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(asked(stopped)).await;
        if let Err(error) = served {
            tracing::error!(%error, "the SPDCI interface ended by a fault");
        }
    });
    tracing::info!(%address, "spdci listens");
    Ok(RunningSpdci { address, service, stop, tasks })
}

/// Ends when stopping is asked for, or when nobody can ask any more.
async fn asked(mut stopped: watch::Receiver<()>) {
    // A dropped sender stops too.
    let _ = stopped.changed().await;
}

impl<R> std::fmt::Debug for RunningSpdci<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunningSpdci({})", self.address)
    }
}

impl<R> RunningSpdci<R> {
    /// Stops in order, in at most 10 s.
    pub async fn stop(mut self) {
        self.stop.send_replace(());
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, ended).await.is_err() {
            tracing::warn!("spdci stopped with answers or callbacks under way");
        }
        self.tasks.shutdown().await;
    }
}
