//! What this program does when it is started in a role: one server, until its input is closed.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hub_central::CentralConfig;
use hub_server::HubConfig;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use schemas::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves in a role until standard input is closed: `hub CONFIG`, `central CONFIG`, `source ADDR`.
/// `None` when `role` is none.
pub fn run(role: &str, argument: &str) -> Option<anyhow::Result<()>> {
    match role {
        "hub" => Some(hub(argument.into())),
        "central" => Some(central(argument.into())),
        "source" => Some(source(argument)),
        _ => None,
    }
}

fn hub(file: PathBuf) -> anyhow::Result<()> {
    let runtime = hub_server::runtime()?;
    let config = HubConfig::load(&file)?;
    let hub = runtime.block_on(hub_server::start(config, Some(file), Clock::machine()))?;
    until_told()?;
    runtime.block_on(hub.stop());
    Ok(())
}

fn central(file: PathBuf) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let config = CentralConfig::load(&file)?;
    let central = runtime.block_on(hub_central::start(config, Clock::machine()))?;
    until_told()?;
    runtime.block_on(central.stop());
    Ok(())
}

fn source(address: &str) -> anyhow::Result<()> {
    let address: SocketAddr = address.parse().context("source ADDR")?;
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let serving = runtime.spawn(serve_source(listener, Bytes::from(answer())));
    until_told()?;
    serving.abort();
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn until_told() -> std::io::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
}

/// Answers every request with the same person's income, over connections that stay open.
async fn serve_source(listener: TcpListener, answer: Bytes) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        // Without it the answer waits for an acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let mut response = Response::new(Full::new(answer.clone()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            async { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
    }
}

/// The source's answer: about 1 KiB that follows the tax contract's schema of `income`. The person
/// does not exist.
#[must_use]
pub fn answer() -> String {
    let wage = |month: usize| {
        format!(
            "{{\"payer_stir\":\"30000000{month}\",\"payer_name\":\"Namuna Tekstil MChJ\",\
             \"month\":\"2025-0{month}\",\"amount_soum\":{}}}",
            4_800_000 + month * 12_500
        )
    };
    let wages: Vec<String> = (1..=9).map(wage).collect();
    format!(
        "{{\"pinfl\":\"31505850010011\",\"from\":\"2025-01\",\"to\":\"2025-09\",\"wages\":[{}],\
         \"business\":[],\"plots\":[],\"remittances\":[]}}",
        wages.join(",")
    )
}
