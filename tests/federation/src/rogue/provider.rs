//! The answering side of a rogue: it listens where a security server is registered, and says what the
//! test says.

use std::future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use pki::tls::{Identity, PeerTls};
use rustls::ServerConfig;
use schemas::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::consumer::AnyCertificate;
use super::slow;

/// What is answered to a request; `None`: nothing, ever.
type Script = dyn Fn(&Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync;

/// Something that runs in the place of a security server until it is dropped.
#[derive(Debug)]
pub struct RogueProvider {
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
    /// The accept loop; its owner is this value.
    _tasks: JoinSet<()>,
}

impl RogueProvider {
    /// Listens at an address with an identity, and answers by script; `None` is silence.
    ///
    /// # Errors
    /// When the address is taken, or TLS refuses the identity.
    pub async fn start(
        address: SocketAddr,
        identity: &Identity,
        clock: &Clock,
        script: impl Fn(&Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let tls = PeerTls::new(identity, Arc::new(AnyCertificate), clock, &[b"h2"])?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let script = move |request: &Request<Bytes>| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            script(request)
        };
        let (_, tasks) = open(address, Some(tls.server()), Arc::new(script)).await?;
        Ok(Self { asked, _tasks: tasks })
    }

    /// The requests received so far, as they came.
    #[must_use]
    pub fn asked(&self) -> Vec<Request<Bytes>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Opens a listener that answers by script; HTTP/1.1 or HTTP/2 as the caller likes.
pub(crate) async fn open(
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    script: Arc<Script>,
) -> std::io::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            connections.spawn(serve(stream, tls.clone(), script.clone()));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((address, tasks))
}

async fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, script: Arc<Script>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let script = script.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            match script(&Request::from_parts(parts, body)) {
                Some(answer) => {
                    let pause = answer.extensions().get().cloned();
                    Ok::<_, hyper::Error>(answer.map(|body| slow::body(body, pause)))
                }
                None => future::pending().await,
            }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // A header that comes after the signature would be refused for itself.
    builder.http1().auto_date_header(false);
    builder.http2().auto_date_header(false);
    // How a connection ends is the other side's affair.
    match tls {
        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
        Some(tls) => {
            let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        }
    }
}
