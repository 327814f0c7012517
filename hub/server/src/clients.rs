//! The ways out of a hub: to other security servers, to sources, to the central server.
//!
//! Other security servers are reached over pooled HTTP/2 connections and pinned TLS 1.3.
//! A connection is made for an address and accepted only when the certificate shown is registered for the
//! server at that address in the configuration in force. When authentication certificates change,
//! the pool is replaced, so that no old connection carries a new request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hub_core::configuration::ConfigurationInForce;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pki::tls::{PeerTls, PinnedCertificates};
use rustls::pki_types::ServerName;
use schemas::digest::Sha256;
use schemas::limits::{CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::listener::{CONNECTION_WINDOW_BYTES, HEADER_LIST_BYTES, STREAM_WINDOW_BYTES};
use crate::spool::SpooledBody;

/// The configuration in force, shared by all parts of a hub; empty until the first is accepted.
pub(crate) type InForce = Arc<ArcSwapOption<ConfigurationInForce>>;

/// The certificates of all registered security servers.
pub(crate) struct Registered(pub(crate) InForce);

impl PinnedCertificates for Registered {
    fn accepts(&self, fingerprint: &Sha256) -> bool {
        self.0.load().as_ref().is_some_and(|c| c.server_by_certificate(fingerprint).is_some())
    }
}

/// The pooled client.
pub(crate) type PeerClient = Client<PeerConnector, SpooledBody>;

/// A new pool.
pub(crate) fn peer_client(tls: PeerTls, in_force: InForce) -> PeerClient {
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(std::time::Duration::from_secs(20))
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .build(PeerConnector { tls, in_force })
}

/// The pooled client for sources.
pub(crate) type SourceClient = Client<HttpConnector, SpooledBody>;

/// A new pool.
pub(crate) fn source_client() -> SourceClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

/// The client for the central server and timestamp authorities. The way needs no protection: what
/// comes over it is signed.
pub(crate) type CentralClient = Client<HttpConnector, Full<Bytes>>;

/// A new client.
pub(crate) fn central_client() -> CentralClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    Client::builder(TokioExecutor::new()).timer(TokioTimer::new()).build(connector)
}

/// Connects to the security server at an address.
#[derive(Clone)]
pub(crate) struct PeerConnector {
    tls: PeerTls,
    in_force: InForce,
}

type ConnectError = Box<dyn std::error::Error + Send + Sync>;

impl PeerConnector {
    async fn connect(self, address: String) -> Result<PeerStream, ConnectError> {
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&address)).await??;
        stream.set_nodelay(true)?;
        // No name is sent or checked: the certificate is pinned.
        let name = ServerName::try_from("koprik.invalid")?;
        let handshake = TlsConnector::from(self.tls.client()).connect(name, stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
        let peer = self.tls.verified(stream.get_ref().1)?;
        let in_force = self.in_force.load();
        let expected = in_force
            .as_ref()
            .and_then(|configuration| configuration.server_by_certificate(&peer.fingerprint()))
            .is_some_and(|server| server.address == address);
        if !expected {
            return Err("another security server answers at this address".into());
        }
        Ok(PeerStream(TokioIo::new(stream)))
    }
}

impl tower::Service<Uri> for PeerConnector {
    type Response = PeerStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<PeerStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let address = uri.authority().map(|authority| authority.as_str().to_owned());
        Box::pin(self.clone().connect(address.unwrap_or_default()))
    }
}

/// A connection to a security server whose certificate has been checked.
pub(crate) struct PeerStream(TokioIo<TlsStream<TcpStream>>);

impl Connection for PeerStream {
    fn connected(&self) -> Connected {
        Connected::new().negotiated_h2()
    }
}

impl Read for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }
}
