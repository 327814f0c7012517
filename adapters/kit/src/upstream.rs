//! The HTTP source: an API of the agency that already answers in the contract's form.
//!
//! Method, path, query and body pass through unchanged after the contract's checks; the answer is
//! checked as one from a database is. A 404 counts as "no record" only when its body is the
//! contract's: a wrong address must not look like an unknown person (promise P8).

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::contract::Operation;
use crate::limits::{ANSWER_TIMEOUT, SOURCE_ACQUIRE_TIMEOUT, UPSTREAM_ANSWER_MAX_BYTES};
use crate::refusal::Refusal;

/// An HTTP API behind the adapter.
pub(crate) struct Upstream {
    base: String,
    health_path: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Upstream {
    /// Makes the client; `base` has no trailing slash. `None` when the base is no URL.
    pub(crate) fn open(base: &str, health_path: &str) -> Option<Self> {
        base.parse::<Uri>().ok().filter(|uri| uri.host().is_some())?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(SOURCE_ACQUIRE_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(ANSWER_TIMEOUT)
            .build(connector);
        Some(Self { base: base.to_owned(), health_path: health_path.to_owned(), client })
    }

    /// Whether the API answers its health path with 2xx.
    pub(crate) async fn health(&self) -> Result<(), Refusal> {
        let (status, _) = self.ask(Method::GET, &self.health_path, Bytes::new()).await?;
        if status.is_success() { Ok(()) } else { Err(down(&format!("status {status}"))) }
    }

    /// Passes a checked request on; the answer is not yet checked.
    ///
    /// # Errors
    /// [`Refusal::NoRecord`], [`Refusal::SourceDown`], [`Refusal::Definition`].
    pub(crate) async fn answer(
        &self,
        operation: &Operation,
        target: &str,
        body: Bytes,
    ) -> Result<Value, Refusal> {
        let (status, answer) = self.ask(operation.method.clone(), target, body).await?;
        let parsed = serde_json::from_slice::<Value>(&answer);
        let says_no_record = |answer: &Value| {
            operation.no_record.as_ref().is_some_and(|schema| schema.check(answer).is_ok())
        };
        match (status, parsed) {
            (StatusCode::OK, Ok(answer)) => Ok(answer),
            (StatusCode::OK, Err(_)) => Err(Refusal::Definition {
                reason: "the HTTP source's answer is not JSON".to_owned(),
            }),
            (StatusCode::NOT_FOUND, Ok(answer)) if says_no_record(&answer) => {
                Err(Refusal::NoRecord)
            }
            (status, _) => Err(down(&format!("status {status}"))),
        }
    }

    async fn ask(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Refusal> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base))
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body))
            .map_err(|_| down("the address does not make a URL"))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| {
            down(if error.is_connect() { "no connection" } else { "broken answer" })
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), UPSTREAM_ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|_| down("broken or too large answer"))?;
        Ok((status, body.to_bytes()))
    }
}

fn down(reason: &str) -> Refusal {
    Refusal::SourceDown { reason: reason.to_owned() }
}
