//! One HTTP request at a time, plain or over TLS with a client certificate, for the tools.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Bytes of an answer that a tool reads.
const ANSWER_MAX_BYTES: usize = 1024 * 1024 * 1024;
/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Files for a TLS connection, PEM.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsFiles {
    /// Client certificate (PEM) for an https address.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Key of the client certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// Authority that signed the hub's certificate (PEM); needed for an https address.
    #[arg(long, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
}

/// An answer, received whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends one request and receives the answer whole.
pub(crate) async fn send(request: Request<Full<Bytes>>, tls: &TlsFiles) -> anyhow::Result<Answer> {
    let uri = request.uri().clone();
    let place = format!("{}://{}", uri.scheme_str().unwrap_or("?"), authority(&uri)?);
    let answer = async {
        let (host, port) = host_and_port(&uri)?;
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        match uri.scheme_str() {
            Some("http") => exchange(request, TokioIo::new(stream)).await,
            Some("https") => {
                let connector = TlsConnector::from(Arc::new(client_config(tls)?));
                let stream = connector.connect(ServerName::try_from(host)?, stream).await?;
                exchange(request, TokioIo::new(stream)).await
            }
            _ => bail!("the address must begin with http:// or https://"),
        }
    };
    tokio::time::timeout(TIMEOUT, answer)
        .await
        .with_context(|| format!("{place} did not answer within {} s", TIMEOUT.as_secs()))?
        .with_context(|| format!("cannot ask {place}; is the server running there?"))
}

/// Sends one plain request and writes the answer's body as it comes. Time runs anew with each part.
pub(crate) async fn download(
    request: Request<Full<Bytes>>,
    to: &mut impl std::io::Write,
) -> anyhow::Result<()> {
    let place = authority(request.uri())?.to_owned();
    let (host, port) = host_and_port(request.uri())?;
    let in_time = || format!("{place} did not answer within {} s", TIMEOUT.as_secs());
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.with_context(|| format!("cannot ask {place}; is it running there?"))?;
    let mut tasks = tokio::task::JoinSet::new();
    let begun = begin(request, TokioIo::new(stream), &mut tasks);
    let answer = tokio::time::timeout(TIMEOUT, begun).await.with_context(in_time)??;
    let (status, mut body) = (answer.status(), answer.into_body());
    if status != http::StatusCode::OK {
        let said = Limited::new(body, 64 * 1024).collect().await;
        let said = said.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        bail!("the hub at {place} answers {status}: {}", String::from_utf8_lossy(&said));
    }
    while let Some(frame) =
        tokio::time::timeout(TIMEOUT, body.frame()).await.with_context(in_time)?
    {
        let frame = frame.with_context(|| format!("the answer of {place} broke off"))?;
        if let Ok(bytes) = frame.into_data() {
            to.write_all(&bytes)?;
        }
    }
    Ok(to.flush()?)
}

fn authority(uri: &Uri) -> anyhow::Result<&str> {
    Ok(uri.authority().context("the address names no host")?.as_str())
}

fn host_and_port(uri: &Uri) -> anyhow::Result<(String, u16)> {
    let host = uri.host().context("the address names no host")?.trim_matches(['[', ']']);
    let standard = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Ok((host.to_owned(), uri.port_u16().unwrap_or(standard)))
}

async fn exchange<S>(request: Request<Full<Bytes>>, stream: S) -> anyhow::Result<Answer>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    let (parts, body) = begin(request, stream, &mut tasks).await?.into_parts();
    let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// Sends a request; its connection lives in `tasks`.
async fn begin<S>(
    mut request: Request<Full<Bytes>>,
    stream: S,
    tasks: &mut tokio::task::JoinSet<hyper::Result<()>>,
) -> anyhow::Result<http::Response<hyper::body::Incoming>>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let uri = request.uri().clone();
    let host = http::HeaderValue::from_str(authority(&uri)?)?;
    request.headers_mut().insert(http::header::HOST, host);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tasks.spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn client_config(files: &TlsFiles) -> anyhow::Result<rustls::ClientConfig> {
    let authority = files.authority.as_ref().context(
        "an https address needs --authority FILE, the certificate that signed the hub's",
    )?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)?.collect();
            Ok(builder.with_client_auth_cert(chain?, PrivateKeyDer::from_pem_file(key)?)?)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}
