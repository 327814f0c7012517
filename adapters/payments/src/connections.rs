//! Serves HTTP/1.1 with every connection owned, so that dropping the server ends them all: a desk
//! that is gone must not answer on a connection that was left open.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use schemas::limits::{DRAIN_TIMEOUT, HEADERS_TIMEOUT};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections accepted at once; the callers are one hub and the operator.
const CONNECTIONS_MAX_COUNT: usize = 512;
/// Pause after an accept that failed, so that a lack of file descriptors is no busy loop.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Serves until `stopped` says so, then lets running requests end for up to 10 s.
pub(crate) async fn serve(listener: TcpListener, routes: Router, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX_COUNT => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, routes.clone(), stopped.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            Some(ended) = connections.join_next() => report(ended),
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("payment party stopped with requests under way");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended by a fault");
    }
}

async fn converse(stream: TcpStream, routes: Router, mut stopped: watch::Receiver<()>) {
    // Small answers leave at once.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
