//! Accept loops: bounded connections, a deadline for handshakes, graceful drain.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use pki::tls;
use rustls::ServerConfig;
use schemas::digest::Sha256;
use schemas::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX_COUNT, DRAIN_TIMEOUT, HANDSHAKE_TIMEOUT, HEADERS_MAX_BYTES,
    HEADERS_MAX_COUNT, HEADERS_TIMEOUT, PEER_STREAMS_MAX_COUNT, TARGET_MAX_BYTES,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::reply::Reply;

/// How the other side of a connection came in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// Over TLS, with the SHA-256 of its certificate if it showed one.
    Tls(Option<Sha256>),
    /// Without TLS, on a loopback address.
    Plain,
}

/// The TLS configuration of a listener at this moment; asked per connection, so that it can change.
pub(crate) type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// Whether the listener adds a `Date` to answers that have none (RFC 9110 §6.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DateHeader {
    Added,
    /// What goes to another security server is signed: nothing is added to it.
    AsSigned,
}

/// A listener that is bound and not yet serving.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    date: DateHeader,
}

impl Bound {
    /// Binds an address.
    pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, date: DateHeader::Added })
    }

    /// The same listener, which sends answers with the headers that they have and no other.
    pub(crate) fn adding_nothing(self) -> Self {
        Self { date: DateHeader::AsSigned, ..self }
    }

    /// Serves until `stop` turns true, then lets running exchanges end within the drain timeout.
    pub(crate) async fn serve<S, F>(
        self,
        tls: Option<TlsSource>,
        mut stop: watch::Receiver<bool>,
        serve_request: S,
    ) where
        S: Fn(Caller, http::Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX_COUNT));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (stream, _) = match accepted {
                Ok(accepted) => accepted,
                Err(cause) => {
                    // Out of file descriptors, or the caller is gone; the first passes only with time.
                    tracing::warn!(%cause, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // A full house is answered by closing at once: the caller tries again or elsewhere.
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let tls = tls.as_ref().map(|source| source());
            let (serve_request, watcher) = (serve_request.clone(), graceful.watcher());
            let builder = builder(self.date);
            connections.spawn(async move {
                serve_connection(stream, tls, (builder, watcher), serve_request).await;
                drop(place);
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
        connections.shutdown().await;
    }
}

async fn serve_connection<S, F>(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    (builder, watcher): (auto::Builder<TokioExecutor>, Watcher),
    serve_request: S,
) where
    S: Fn(Caller, http::Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let service = |caller: Caller| {
        let asked = asked.clone();
        service_fn(move |request| {
            asked.store(true, Ordering::Relaxed);
            let reply = serve_request(caller, request);
            async move { Ok::<_, Infallible>(reply.await) }
        })
    };
    let ended = match tls {
        None => {
            let connection = builder.serve_connection(TokioIo::new(stream), service(Caller::Plain));
            unless_silent(&asked, watcher.watch(connection.into_owned())).await
        }
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await else {
                tracing::debug!("a TLS handshake failed or took too long");
                return;
            };
            let caller = Caller::Tls(tls::peer_fingerprint(stream.get_ref().1));
            let connection = builder.serve_connection(TokioIo::new(stream), service(caller));
            unless_silent(&asked, watcher.watch(connection.into_owned())).await
        }
    };
    match ended {
        Some(Ok(())) => (),
        Some(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        None => tracing::debug!("a connection without a request was closed"),
    }
}

/// Serves a connection; `None` when it asked nothing in the time for a request's headers. Until the first byte
/// nobody knows which HTTP it speaks, so no protocol's own timer runs, and its place would be taken for good.
async fn unless_silent<T>(asked: &AtomicBool, served: impl Future<Output = T>) -> Option<T> {
    let silent = async {
        tokio::time::sleep(HEADERS_TIMEOUT).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = served => Some(ended),
        () = silent => None,
    }
}

fn builder(date: DateHeader) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let add_date = date == DateHeader::Added;
    builder
        .http1()
        .auto_date_header(add_date)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_headers(HEADERS_MAX_COUNT)
        .max_buf_size(HEADERS_MAX_BYTES + TARGET_MAX_BYTES);
    builder
        .http2()
        .auto_date_header(add_date)
        .timer(TokioTimer::new())
        .max_concurrent_streams(PEER_STREAMS_MAX_COUNT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES)
        .keep_alive_interval(Some(std::time::Duration::from_secs(20)));
    builder
}

/// HTTP/2 flow control: what one stream may have under way.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// HTTP/2 flow control: what one connection may have under way.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// HTTP/2 header list: the headers, the path and our signature headers.
pub(crate) const HEADER_LIST_BYTES: u32 = 64 * 1024;
