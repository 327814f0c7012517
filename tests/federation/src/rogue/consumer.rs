//! The calling side of a rogue: HTTP/2 over TLS to any port, as many connections as it likes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pki::tls::{Identity, PeerTls, PinnedCertificates};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use schemas::clock::Clock;
use schemas::digest::Sha256;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::slow;
use crate::Answer;

/// Takes whatever certificate the other side shows.
pub(super) struct AnyCertificate;

impl PinnedCertificates for AnyCertificate {
    fn accepts(&self, _: &Sha256) -> bool {
        true
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A caller over TLS that shows what it likes and believes what it is shown.
#[derive(Clone, Debug)]
pub struct RogueConsumer {
    tls: Arc<ClientConfig>,
}

impl RogueConsumer {
    /// A caller that shows a certificate.
    ///
    /// # Errors
    /// When TLS refuses the identity.
    pub fn new(identity: &Identity, clock: &Clock) -> anyhow::Result<Self> {
        let tls = PeerTls::new(identity, Arc::new(AnyCertificate), clock, &[b"h2"])?;
        Ok(Self { tls: tls.client() })
    }

    /// The same caller without a certificate.
    #[must_use]
    pub fn without_certificate(&self) -> Self {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.client_auth_cert_resolver = Arc::new(NoCertificate);
        Self { tls: Arc::new(tls) }
    }

    /// Connects; a TLS 1.3 server's refusal of the certificate shows at the latest when a request is sent.
    ///
    /// # Errors
    /// When the other side breaks off.
    pub async fn connect(&self, address: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("hub.invalid")?;
        let connector = TlsConnector::from(self.tls.clone());
        let stream = connector.connect(name, stream).await.context("TLS")?;
        Connection::over(TokioIo::new(stream)).await
    }
}

type Sent = BoxBody<Bytes, Infallible>;

/// One HTTP/2 connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Sent>,
    driver: JoinSet<()>,
}

impl Connection {
    /// A connection without TLS, to the plain edge.
    ///
    /// # Errors
    /// When the other side breaks off.
    pub async fn plain(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(TokioIo::new(stream)).await
    }

    async fn over<T>(stream: T) -> anyhow::Result<Self>
    where
        T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), stream).await.context("HTTP/2")?;
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // How the connection ended shows in the requests.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Sends a request and receives its answer whole.
    ///
    /// # Errors
    /// When the other side breaks off.
    pub async fn send(&mut self, request: Request<Bytes>) -> anyhow::Result<Answer> {
        self.ready().await?;
        let pause = request.extensions().get().cloned();
        let request = request.map(|body| slow::body(body, pause));
        let answer = self.sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Sends the head of a request and never its body; the exchange lasts until the connection is
    /// dropped.
    ///
    /// # Errors
    /// When the other side breaks off.
    pub async fn send_head(&mut self, request: Request<Bytes>) -> anyhow::Result<()> {
        self.ready().await?;
        let never = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let answer = self.sender.send_request(request.map(|_| StreamBody::new(never).boxed()));
        self.driver.spawn(async {
            let _ = answer.await;
        });
        Ok(())
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        self.sender.ready().await.context("the other side closed the connection")
    }
}
