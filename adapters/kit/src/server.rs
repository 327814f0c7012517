//! Serves an adapter over HTTP/1.1 on one address until stopped.
//!
//! Shutdown order: stop accepting, let running answers end ([`connections::serve`]), close the
//! connections to the source.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::adapter::Adapter;
use crate::connections;
use crate::definition::Definition;

/// Why an adapter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose a free address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The source's address is no URL.
    #[error(
        "definition {path}: the address of the source is not a URL; correct [source]",
        path = .path.display()
    )]
    Source {
        /// The definition.
        path: PathBuf,
    },
}

/// A serving adapter. Dropping it ends it at once; [`stop`](Self::stop) ends it in order.
#[derive(Debug)]
pub struct RunningAdapter {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinSet<()>,
}

/// Starts to serve a definition on `listen` (port 0: any free port). The source may be down: until
/// it is there, `GET /health` and every operation answer 503.
///
/// # Errors
/// [`StartError`].
pub async fn start(
    definition: Definition,
    listen: SocketAddr,
) -> Result<RunningAdapter, StartError> {
    let path = definition.path.clone();
    let adapter = Adapter::open(definition).ok_or(StartError::Source { path })?;
    let refused = |source| StartError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (stop, stopped) = watch::channel(());
    let mut task = JoinSet::new();
    tracing::info!(service = adapter.service(), %address, "adapter started");
    task.spawn(serve(Arc::new(adapter), listener, stopped));
    Ok(RunningAdapter { address, stop, task })
}

impl RunningAdapter {
    /// Ends in order and waits for it, a few seconds at most.
    pub async fn stop(mut self) {
        self.stop.send_replace(());
        self.ended().await;
    }

    /// Waits until the adapter has ended, which without [`stop`](Self::stop) only a fault causes.
    pub async fn ended(&mut self) {
        while let Some(ended) = self.task.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "adapter ended by a fault");
            }
        }
    }
}

async fn serve(adapter: Arc<Adapter>, listener: TcpListener, stopped: watch::Receiver<()>) {
    let answering = adapter.clone();
    let service = service_fn(move |request| {
        let adapter = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(adapter.respond(request).await) }
    });
    connections::serve(listener, service, stopped).await;
    adapter.close().await;
}
