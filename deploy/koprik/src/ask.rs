//! The admin API of a hub, asked by the operator's tools.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hub_server::HubConfig;
use serde_json::Value;

use crate::http_client::{self, TlsFiles};

/// The admin listener of a hub with its token.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    address: String,
    token: String,
}

impl Admin {
    /// Finds address and token through the hub's configuration file.
    pub(crate) fn of(config: &Path) -> anyhow::Result<Self> {
        let config = HubConfig::load(config)?;
        let file = config.data_dir.join("admin.token");
        let token = std::fs::read_to_string(&file).with_context(|| {
            format!("cannot read {}; the hub makes it at its first start", file.display())
        })?;
        let address = config.admin.listen.to_string();
        Ok(Self { address, token: token.trim().to_owned() })
    }

    /// GET as bytes.
    pub(crate) async fn bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        self.send(Request::get(format!("http://{}{path}", self.address))).await
    }

    /// POST without a body, the answer as JSON.
    pub(crate) async fn post(&self, path: &str) -> anyhow::Result<Value> {
        let bytes = self.send(Request::post(format!("http://{}{path}", self.address))).await?;
        serde_json::from_slice(&bytes).context("the hub's answer is not JSON")
    }

    async fn send(&self, request: http::request::Builder) -> anyhow::Result<Bytes> {
        let authorization = format!("Bearer {}", self.token);
        let request = request.header("authorization", authorization).body(Full::default())?;
        let answer = http_client::send(request, &TlsFiles::default()).await?;
        if answer.status != 200 {
            let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let reason = json.get("error").and_then(Value::as_str).unwrap_or("no reason given");
            bail!("the hub at {} answers {}: {reason}", self.address, answer.status);
        }
        Ok(answer.body)
    }

    /// GET into a file, as it comes.
    pub(crate) async fn download(&self, path: &str, to: &mut impl Write) -> anyhow::Result<()> {
        let request = Request::get(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::default())?;
        http_client::download(request, to).await
    }

    /// GET as JSON.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let bytes = self.bytes(path).await?;
        serde_json::from_slice(&bytes).context("the hub's answer is not JSON")
    }
}

/// Waits until a server's `/health` says that it is ready.
pub(crate) async fn wait_ready(address: &str, tries: u32) -> anyhow::Result<()> {
    let mut last = String::from("it does not answer");
    for _ in 0..tries {
        let request = Request::get(format!("http://{address}/health")).body(Full::default())?;
        match http_client::send(request, &TlsFiles::default()).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => last = String::from_utf8_lossy(&answer.body).into_owned(),
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    bail!("the server at {address} does not get ready: {last}")
}
