//! `koprik call`: a service call through a hub, as an agency's system would make it.

use std::process::ExitCode;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use schemas::identifier::{ClientId, ServiceId};
use schemas::problem::ErrorBody;
use serde_json::{Value, json};

use crate::http_client::{self, Answer, TlsFiles};
use crate::output;

/// A call.
#[derive(Debug, clap::Args)]
pub(crate) struct Call {
    /// The hub's edge, `https://host:port`, or `http://` on loopback.
    #[arg(long, value_name = "URL")]
    hub: String,
    /// The calling subsystem, INSTANCE/CLASS/MEMBER/SUBSYSTEM.
    #[arg(long, value_name = "ID")]
    client: ClientId,
    /// The service, INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE.
    service: ServiceId,
    /// Path and query after the service code, such as `/persons/…`.
    #[arg(default_value = "")]
    path: String,
    /// Method.
    #[arg(short = 'X', long, default_value = "GET")]
    method: http::Method,
    /// Body; JSON unless a Content-Type header says otherwise.
    #[arg(short, long)]
    data: Option<String>,
    /// Purpose code; may be left out where the grant has exactly one.
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
    /// A further header, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    #[command(flatten)]
    tls: TlsFiles,
}

impl Call {
    pub(crate) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let uri = format!("{}/r1/{}{}", self.hub.trim_end_matches('/'), self.service, self.path);
        let mut request = Request::builder()
            .method(self.method)
            .uri(uri)
            .header("x-road-client", self.client.as_str());
        if let Some(purpose) = &self.purpose {
            request = request.header("koprik-purpose", purpose);
        }
        if self.data.is_some() {
            request = request.header("content-type", "application/json");
        }
        let mut request = request.body(Full::new(Bytes::from(self.data.unwrap_or_default())))?;
        for header in &self.headers {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| anyhow::anyhow!("a header is written `Name: value`"))?;
            let name: http::HeaderName = name.trim().parse()?;
            request.headers_mut().insert(name, value.trim().parse()?);
        }
        let answer = http_client::send(request, &self.tls).await?;
        let refused = answer.headers.contains_key("x-road-error");
        output::print(json, &as_json(&answer), || as_text(&answer))?;
        Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).and_then(|value| value.to_str().ok())
}

fn as_json(answer: &Answer) -> Value {
    let body = serde_json::from_slice::<Value>(&answer.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()));
    json!({
        "status": answer.status,
        "error": header(answer, "x-road-error"),
        "receipt": header(answer, "koprik-receipt"),
        "body": body,
    })
}

fn as_text(answer: &Answer) -> String {
    if answer.headers.contains_key("x-road-error")
        && let Ok(problem) = serde_json::from_slice::<ErrorBody>(&answer.body)
    {
        let ErrorBody { kind, message, detail } = problem;
        return format!("refused: {kind}\n{message}\nwhat happened: koprik explain {detail}");
    }
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    let receipt = header(answer, "koprik-receipt").unwrap_or("none");
    format!("status {}\n{body}\nreceipt: {receipt}", answer.status)
}
