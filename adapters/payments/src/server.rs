//! Runs a treasury or a bank: messages from the own hub, the operator's commands, sending, paying.
//!
//! Both doors are one loopback address: the hub forwards nothing but the paths of the contract, so
//! `/operator/…` is reached on the machine itself only. Shutdown order: stop accepting, let running
//! requests end, stop sending and paying, close the database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapter_kit::connections;
use axum::Router;
use hyper_util::service::TowerToHyperService;
use register::payment::party::Party;
use schemas::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bank::Bank;
use crate::books::{BooksError, SqliteBooks, SqliteError};
use crate::config::PaymentPartyConfig;
use crate::courier::HubCourier;
use crate::desk::Desk;
use crate::treasury::Treasury;
use crate::{govstack, inbox, sender};

mod operator;

/// Why a party does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Database(#[from] SqliteError),
    /// What it holds.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// The purpose cannot stand in a header.
    #[error("payments: the configuration key `purpose` is refused: write a code of the catalogue")]
    Purpose,
    /// The address cannot be listened on.
    #[error("payments: cannot listen on {address}; choose a free address in `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
}

/// A treasury or bank that runs; dropping it ends it at once, as a crash would.
#[derive(Debug)]
pub struct RunningParty<P: Party> {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// What it knows.
    pub desk: Arc<Desk<P>>,
    stop: watch::Sender<()>,
    server: JoinSet<()>,
    /// Sending and paying; their owner is this value.
    work: JoinSet<()>,
}

/// Starts a treasury.
///
/// # Errors
/// [`StartError`] says what to change.
pub async fn start_treasury(
    config: PaymentPartyConfig,
    clock: Clock,
) -> Result<RunningParty<Treasury>, StartError> {
    let desk = Arc::new(Desk::open(SqliteBooks::open(&config.database).await?).await?);
    let routes = inbox::routes(desk.clone()).merge(operator::treasury(desk.clone()));
    serve(config, clock, desk, routes).await
}

/// Starts a bank, which pays whatever can be paid from now on.
///
/// # Errors
/// [`StartError`] says what to change.
pub async fn start_bank(
    config: PaymentPartyConfig,
    clock: Clock,
) -> Result<RunningParty<Bank>, StartError> {
    let desk = Arc::new(Desk::open(SqliteBooks::open(&config.database).await?).await?);
    let routes = inbox::routes(desk.clone())
        .merge(operator::bank(desk.clone()))
        .merge(govstack::routes(desk.clone()));
    let every = Duration::from_millis(config.pay_every_ms);
    let mut running = serve(config, clock, desk.clone(), routes).await?;
    running.work.spawn(pay(desk, every));
    Ok(running)
}

async fn serve<P>(
    config: PaymentPartyConfig,
    clock: Clock,
    desk: Arc<Desk<P>>,
    routes: Router,
) -> Result<RunningParty<P>, StartError>
where
    P: Party,
{
    let PaymentPartyConfig { listen, hub, client, purpose, services, pauses, .. } = config;
    let courier = HubCourier::new(hub, &client, &purpose, services).ok_or(StartError::Purpose)?;
    let failed = |cause| StartError::Listen { address: listen, cause };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = watch::channel(());
    let (mut server, mut work) = (JoinSet::new(), JoinSet::new());
    server.spawn(connections::serve(listener, TowerToHyperService::new(routes), stopped));
    work.spawn(sender::run(desk.clone(), Arc::new(courier), pauses, clock));
    tracing::info!(%address, role = ?P::ROLE, "payment party listens");
    Ok(RunningParty { address, desk, stop, server, work })
}

/// Pays what can be paid after every step, and looks at the accounts again from time to time.
async fn pay(desk: Arc<Desk<Bank>>, every: Duration) {
    let mut changes = desk.changes();
    loop {
        changes.borrow_and_update();
        let payable = |bank: &Bank| -> Vec<_> {
            bank.months().filter(|kept| kept.is_payable()).map(|kept| kept.month).collect()
        };
        let mut waits = true;
        for month in desk.look(payable).await {
            match desk.act(|bank| Ok::<_, std::convert::Infallible>(bank.execute(month))).await {
                Ok(changed) => waits &= !changed,
                Err(error) => tracing::error!(%error, "the bank cannot store what it is to pay"),
            }
        }
        if waits {
            // Nothing to do until something changes, here or at an account.
            let _ = tokio::time::timeout(every, changes.changed()).await;
        }
    }
}

impl<P: Party> RunningParty<P> {
    /// Stops accepting, lets running requests end for up to 10 s, stops sending.
    pub async fn stop(mut self) {
        self.stop.send_replace(());
        while self.server.join_next().await.is_some() {}
        self.work.shutdown().await;
    }

    /// Waits until a part has ended, which without [`stop`](Self::stop) only a fault causes.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = self.server.join_next() => {}
            _ = self.work.join_next() => {}
        }
    }
}
