//! Connections to the register's own hub: plain on loopback, or TLS 1.3 with a client certificate.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use schemas::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{HubAddress, TlsFiles};

/// The files for https to the hub cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("register: the file {file} for https to the hub cannot be used: {fault}; replace it")]
pub struct TlsFault {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub fault: String,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection to the hub.
pub(crate) struct HubConnection(TokioIo<Box<dyn Duplex>>);

/// Opens connections to the hub, whatever address a request names.
#[derive(Clone)]
pub(crate) struct HubConnector {
    address: HubAddress,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl HubConnector {
    /// A connector to `address`, with TLS when `files` are given.
    pub(crate) fn new(
        address: HubAddress,
        files: Option<&TlsFiles>,
        clock: &Clock,
    ) -> Result<Self, TlsFault> {
        let tls = match files {
            None => None,
            Some(files) => {
                let name = ServerName::try_from(address.host.clone())
                    .map_err(|fault| tls_fault(&files.authorities_file, &fault))?;
                Some((TlsConnector::from(Arc::new(client_config(files, clock)?)), name))
            }
        };
        Ok(Self { address, tls })
    }

    async fn connect(self) -> io::Result<HubConnection> {
        let stream = TcpStream::connect((self.address.host.as_str(), self.address.port)).await?;
        stream.set_nodelay(true)?;
        let duplex: Box<dyn Duplex> = match self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name, stream).await?),
        };
        Ok(HubConnection(TokioIo::new(duplex)))
    }
}

fn client_config(files: &TlsFiles, clock: &Clock) -> Result<ClientConfig, TlsFault> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(&files.authorities_file)? {
        authorities.add(certificate).map_err(|fault| tls_fault(&files.authorities_file, &fault))?;
    }
    let chain = certificates(&files.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|fault| tls_fault(&files.key_file, &fault))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_details(provider, pki::tls::time(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|fault| tls_fault(&files.certificate_file, &fault))?
        .with_root_certificates(authorities)
        .with_client_auth_cert(chain, key)
        .map_err(|fault| tls_fault(&files.certificate_file, &fault))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let read = CertificateDer::pem_file_iter(file).map_err(|fault| tls_fault(file, &fault))?;
    read.collect::<Result<_, _>>().map_err(|fault| tls_fault(file, &fault))
}

fn tls_fault(file: &Path, fault: &dyn std::fmt::Display) -> TlsFault {
    TlsFault { file: file.display().to_string(), fault: fault.to_string() }
}

impl tower::Service<Uri> for HubConnector {
    type Response = HubConnection;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<HubConnection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

impl Connection for HubConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for HubConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for HubConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
