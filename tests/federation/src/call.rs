//! A caller at the edge, as an agency's own system would be: plain HTTP on loopback, or TLS with a certificate.

use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use schemas::problem::ErrorBody;

/// An answer of a hub, received whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }

    /// The hub's error object; `None` when this is no error of a hub.
    #[must_use]
    pub fn problem(&self) -> Option<ErrorBody> {
        self.header("x-road-error")?;
        serde_json::from_slice(&self.body).ok()
    }

    /// The exchange's id, from the receipt.
    #[must_use]
    pub fn exchange(&self) -> Option<&str> {
        self.header("x-road-request-id")
    }
}

/// A caller without TLS on loopback.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    edge: SocketAddr,
    subsystem: String,
}

impl Caller {
    /// A caller for `subsystem` at the plain edge of a hub.
    #[must_use]
    pub fn new(edge: SocketAddr, subsystem: &str) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build_http();
        Self { client, edge, subsystem: subsystem.to_owned() }
    }

    /// A request to `/r1/{service}{path}`, to be changed before it is sent.
    ///
    /// # Errors
    /// When the path is no URI.
    pub fn request(
        &self,
        method: Method,
        service: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        Ok(Request::builder()
            .method(method)
            .uri(format!("http://{}/r1/{service}{path}", self.edge))
            .header("x-road-client", &self.subsystem)
            .body(Full::new(body.into()))?)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the hub cannot be reached or breaks off.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let answer = self.client.request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// GET `/r1/{service}{path}`.
    ///
    /// # Errors
    /// Those of [`Caller::send`].
    pub async fn get(&self, service: &str, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, service, path, Bytes::new())?).await
    }

    /// POST JSON to `/r1/{service}{path}`.
    ///
    /// # Errors
    /// Those of [`Caller::send`].
    pub async fn post(
        &self,
        service: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<Answer> {
        let mut request = self.request(Method::POST, service, path, body.to_string())?;
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, json);
        self.send(request).await
    }
}
