//! Passes a register's questions on to adapters, as the hubs between them would.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Segments of `/r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE` before the path of the service.
const SERVICE_SEGMENTS: usize = 5;

type Services = BTreeMap<String, SocketAddr>;

/// A stand-in that runs until it is dropped.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    /// The accept loop; its owner is this value.
    _tasks: JoinSet<()>,
}

impl StandIn {
    /// Starts one on a free port over services by their identifier.
    pub(crate) async fn start(services: Services) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(services)));
        Ok(Self { address, _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, services: Arc<Services>) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (services, client) = (services.clone(), client.clone());
        connections.spawn(async move {
            let service = service_fn(|request| {
                let (services, client) = (services.clone(), client.clone());
                async move { Ok::<_, Infallible>(pass(&services, &client, request).await) }
            });
            // The register closes when it has what it asked for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass(
    services: &Services,
    client: &Client<HttpConnector, Full<Bytes>>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let asked = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let asked = asked.strip_prefix("/r1/").unwrap_or_default();
    let end = asked.match_indices('/').nth(SERVICE_SEGMENTS - 1).map_or(asked.len(), |(at, _)| at);
    let (service, path) = asked.split_at(end);
    let address = services.get(service).unwrap_or_else(|| panic!("nobody has {service}"));
    let uri: Uri = format!("http://{address}{path}").parse().unwrap();
    let body = body.collect().await.unwrap().to_bytes();
    let onwards = Request::builder().method(parts.method).uri(uri);
    let answer = client.request(onwards.body(Full::new(body)).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let mut answer = Response::new(Full::new(body.collect().await.unwrap().to_bytes()));
    *answer.status_mut() = parts.status;
    assert!(parts.status == StatusCode::OK || parts.status == StatusCode::NOT_FOUND, "{parts:?}");
    answer
}
