//! The operator of a hub: its admin API with the token.

use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hub_server::RunningHub;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::Answer;

/// Who asks a hub's admin API.
#[derive(Clone, Debug)]
pub struct Operator {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    token: Option<String>,
}

impl Operator {
    /// The operator of a hub that runs.
    #[must_use]
    pub fn of(hub: &RunningHub) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let token = Some(hub.admin_token().to_owned());
        Self { client, address: hub.addresses().admin, token }
    }

    /// The same caller with another token or none.
    #[must_use]
    pub fn with_token(self, token: Option<&str>) -> Self {
        Self { token: token.map(ToOwned::to_owned), ..self }
    }

    /// GET `path`.
    ///
    /// # Errors
    /// When the hub cannot be reached or breaks off.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Request::get(format!("http://{}{path}", self.address))).await
    }

    /// POST `path`, without a body.
    ///
    /// # Errors
    /// When the hub cannot be reached or breaks off.
    pub async fn post(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Request::post(format!("http://{}{path}", self.address))).await
    }

    async fn send(&self, mut request: http::request::Builder) -> anyhow::Result<Answer> {
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = self.client.request(request.body(Full::default())?).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// The records of an exchange with their explanations, in order; empty when the hub has none.
    ///
    /// # Errors
    /// When the hub answers otherwise.
    pub async fn explain(&self, id: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.get(&format!("/v1/explain/{id}")).await?;
        match answer.status {
            404 => Ok(Vec::new()),
            200 => {
                let document = answer.json()?;
                let steps = document.get("steps").and_then(Value::as_array).cloned();
                steps.context("no steps in the explanation")
            }
            status => anyhow::bail!("explain answers {status}"),
        }
    }

    /// The records with an outcome, newest first.
    ///
    /// # Errors
    /// When the hub answers otherwise.
    pub async fn outcomes(&self, outcome: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.get(&format!("/v1/records?outcome={outcome}")).await?;
        anyhow::ensure!(answer.status == 200, "records answers {}", answer.status);
        let document = answer.json()?;
        let records = document.get("records").and_then(Value::as_array).cloned();
        records.context("no records in the answer")
    }
}
