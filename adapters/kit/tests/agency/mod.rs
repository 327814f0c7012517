//! Agencies for tests: definitions of this repository on a source with the seed family, and a
//! small HTTP client.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use adapter_kit::{Definition, RunningAdapter, load_seed, prepare, start};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Folders of all agencies.
#[allow(dead_code, reason = "not every test asks all agencies")]
pub(crate) const AGENCIES: [&str; 10] = [
    "civil-registry",
    "population",
    "tax",
    "pensions",
    "bank",
    "cadastre",
    "vehicles",
    "employment",
    "education",
    "social-agency",
];

/// The folder `adapters`.
pub(crate) fn adapters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// An agency's definition on the source at `url`.
pub(crate) fn definition(agency: &str, url: &str) -> Definition {
    let path = adapters().join(agency).join("definition.toml");
    Definition::load(&path).unwrap().with_source(url).unwrap()
}

/// Makes tables, loads the seed family twice (the second time changes nothing) and serves.
pub(crate) async fn serve_seeded(definition: Definition) -> RunningAdapter {
    prepare(&definition).await.unwrap();
    for _ in 0..2 {
        load_seed(&definition, definition.seed().unwrap()).await.unwrap();
    }
    serve(definition).await
}

/// Serves a definition on a free port.
pub(crate) async fn serve(definition: Definition) -> RunningAdapter {
    start(definition, "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// Asks with GET; gives status and JSON.
pub(crate) async fn get(address: SocketAddr, target: &str) -> (StatusCode, Value) {
    ask(address, Method::GET, target, "").await
}

/// Asks with any method and body.
pub(crate) async fn ask(
    address: SocketAddr,
    method: Method,
    target: &str,
    body: impl Into<Bytes>,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{target}"))
        .body(Full::new(body.into()))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
