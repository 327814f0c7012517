//! The load generator: concurrent callers in a closed loop, one TLS connection each.
//!
//! A caller sends its next request when it has the whole answer to the last. Every answer is checked; one wrong
//! answer ends the bench. Bounded in time and in count.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use schemas::clock::{Clock, Stopwatch};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Exchanges in one cell at most: bounds the disk that a cell fills, about 1 GB on two hubs.
const EXCHANGES_MAX: u64 = 100_000;
/// How long after its time a cell may take to end, and how long connecting may take.
const GRACE: Duration = Duration::from_secs(15);
/// Header of an answer that stands in a hub's message log.
const RECEIPT: &str = "koprik-receipt";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Two nginx: an answer has no receipt.
    Nginx,
    /// Two hubs: an answer without a receipt is wrong.
    Hubs,
}

/// What callers ask, and what they must be answered.
#[derive(Clone, Debug)]
pub struct Question {
    /// Path and query.
    pub target: String,
    /// `X-Road-Client`.
    pub client: String,
    /// The whole answer.
    pub answer: Bytes,
    /// Client certificate, key and authorities: `client.pem`, `client.key`, `authority.pem`.
    pub tls: Arc<ClientConfig>,
}

/// Callers with open connections.
pub struct Callers {
    callers: Vec<Caller>,
    connections: JoinSet<()>,
}

/// What a measured stretch gave.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Exchanges answered.
    pub exchanges: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Time from request to whole answer, microseconds.
    pub latency_us: Histogram<u64>,
}

struct Caller {
    sender: SendRequest<Empty<Bytes>>,
    request: Request<()>,
    answer: Bytes,
    side: Side,
}

/// The callers' TLS: mutual, TLS 1.3 as both sides offer it.
///
/// # Errors
/// When a file in `dir` cannot be read.
pub fn tls(dir: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(dir.join("authority.pem"))?)?;
    let certificate = CertificateDer::from_pem_file(dir.join("client.pem"))?;
    let key = PrivateKeyDer::from_pem_file(dir.join("client.key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(authorities)
        .with_client_auth_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

impl Callers {
    /// Connects `count` callers.
    ///
    /// # Errors
    /// When a connection is refused or takes too long.
    pub async fn connect(
        question: &Question,
        edge: SocketAddr,
        side: Side,
        count: usize,
    ) -> anyhow::Result<Self> {
        let mut all = Self { callers: Vec::with_capacity(count), connections: JoinSet::new() };
        for _ in 0..count {
            let connecting = connect(question, edge, &mut all.connections);
            let sender = tokio::time::timeout(GRACE, connecting).await??;
            let request = Request::get(&question.target)
                .header(HOST, HeaderValue::from_static("localhost"))
                .header("x-road-client", &question.client)
                .body(())?;
            all.callers.push(Caller { sender, request, answer: question.answer.clone(), side });
        }
        Ok(all)
    }

    /// Lets all callers ask for so long.
    ///
    /// # Errors
    /// A wrong answer, or none in time.
    pub async fn run(&mut self, length: Duration) -> anyhow::Result<Stretch> {
        let clock = Clock::machine();
        let share = EXCHANGES_MAX / u64::try_from(self.callers.len().max(1))?;
        let watch = clock.stopwatch();
        let mut running = JoinSet::new();
        for caller in self.callers.drain(..) {
            let clock = clock.clone();
            running.spawn(async move { caller.ask_until(length, share, watch, &clock).await });
        }
        let mut latency_us = histogram()?;
        let ended = tokio::time::timeout(length + GRACE, async {
            while let Some(ended) = running.join_next().await {
                let (caller, own) = ended??;
                latency_us.add(own)?;
                self.callers.push(caller);
            }
            anyhow::Ok(())
        });
        ended.await.context("a cell does not end")??;
        Ok(Stretch { exchanges: latency_us.len(), elapsed: watch.elapsed(), latency_us })
    }
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

async fn connect(
    question: &Question,
    edge: SocketAddr,
    connections: &mut JoinSet<()>,
) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(edge).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let stream = TlsConnector::from(question.tls.clone()).connect(name, stream).await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    connections.spawn(async move {
        // What ends a connection early is seen by the caller that waits for an answer.
        let _ = connection.await;
    });
    Ok(sender)
}

impl Caller {
    async fn ask_until(
        mut self,
        length: Duration,
        share: u64,
        started: Stopwatch,
        clock: &Clock,
    ) -> anyhow::Result<(Self, Histogram<u64>)> {
        let mut latency_us = histogram()?;
        while started.elapsed() < length && latency_us.len() < share {
            let watch = clock.stopwatch();
            self.ask().await?;
            latency_us.saturating_record(watch.elapsed_us());
        }
        Ok((self, latency_us))
    }

    async fn ask(&mut self) -> anyhow::Result<()> {
        let answer = self.sender.send_request(self.request.clone().map(|()| Empty::new())).await?;
        let receipt = answer.headers().contains_key(RECEIPT);
        let (status, body) = whole(answer).await?;
        let text = || format!("wrong answer {status}: {}", String::from_utf8_lossy(&body));
        ensure!(status == 200 && body == self.answer, text());
        ensure!(receipt == (self.side == Side::Hubs), "receipt: {receipt}; {}", text());
        Ok(())
    }
}

async fn whole(answer: Response<Incoming>) -> anyhow::Result<(u16, Bytes)> {
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}
