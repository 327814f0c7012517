//! Posts one callback: HTTP/1.1, https under configured authorities, plain http on loopback.
//!
//! A redirect is an answer like any other and is not followed.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::limits::CALLBACK_TIMEOUT;

const CLIENT: HeaderName = HeaderName::from_static("x-road-client");

/// Why a callback did not arrive. Never holds what it carries.
#[derive(Debug, thiserror::Error)]
pub enum PostFault {
    /// The address is not one that can be called.
    #[error(
        "the callback address is not http on loopback or https with `callback_authorities_file`"
    )]
    Address,
    /// No connection.
    #[error("no connection to the callback address: {0}")]
    Connection(#[from] std::io::Error),
    /// The connection broke.
    #[error("the connection to the callback address broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The receiver took too long.
    #[error("the receiver of the callback gave no answer in 10 s")]
    Late,
    /// The receiver did not take it.
    #[error("the receiver of the callback answered {0}")]
    Refused(StatusCode),
}

/// What makes the connections of callbacks.
#[derive(Clone, Default)]
pub struct Poster(Option<TlsConnector>);

/// The authorities of receivers cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the file of authorities for callbacks cannot be read as PEM certificates: {0}")]
pub struct Authorities(String);

impl Poster {
    /// Trusts the authorities in a PEM file for https; without a file only loopback is called.
    ///
    /// # Errors
    /// [`Authorities`].
    pub fn new(authorities: Option<&Path>) -> Result<Self, Authorities> {
        let Some(path) = authorities else { return Ok(Self(None)) };
        let refused = |error: &dyn std::fmt::Display| Authorities(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| refused(&e))? {
            roots.add(certificate.map_err(|e| refused(&e))?).map_err(|e| refused(&e))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(TlsConnector::from(Arc::new(config)))))
    }

    /// Posts a JSON body; `client` is sent as `X-Road-Client` for a callback through a hub.
    ///
    /// # Errors
    /// [`PostFault`]; it may be tried again.
    pub async fn post(
        &self,
        uri: &str,
        client: Option<&str>,
        body: Bytes,
    ) -> Result<(), PostFault> {
        let sent = tokio::time::timeout(CALLBACK_TIMEOUT, self.send(uri, client, body)).await;
        let status = sent.map_err(|_| PostFault::Late)??;
        if status.is_success() { Ok(()) } else { Err(PostFault::Refused(status)) }
    }

    async fn send(
        &self,
        uri: &str,
        client: Option<&str>,
        body: Bytes,
    ) -> Result<StatusCode, PostFault> {
        let uri: Uri = uri.parse().map_err(|_| PostFault::Address)?;
        let authority = uri.authority().ok_or(PostFault::Address)?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(header::HOST, authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| PostFault::Address)?;
        if let Some(client) = client {
            let client = HeaderValue::from_str(client).map_err(|_| PostFault::Address)?;
            request.headers_mut().insert(CLIENT, client);
        }
        let loopback = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        match (uri.scheme_str(), &self.0) {
            (Some("http"), _) if loopback => {
                let port = authority.port_u16().unwrap_or(80);
                exchange(TcpStream::connect((host.as_str(), port)).await?, request).await
            }
            (Some("https"), Some(connector)) => {
                let port = authority.port_u16().unwrap_or(443);
                let name = ServerName::try_from(host.clone()).map_err(|_| PostFault::Address)?;
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                exchange(connector.connect(name, stream).await?, request).await
            }
            _ => Err(PostFault::Address),
        }
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, PostFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Owned here: dropped, and so ended, with the answer.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok(sender.send_request(request).await?.status())
}
