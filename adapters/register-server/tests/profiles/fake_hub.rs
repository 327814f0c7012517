//! A hub that answers for every source from a sample, and remembers the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use register::profile::Profile;
use register_server::{RegisterConfig, RunningRegister, start};
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::Sha256;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::sample::{SOURCES, Sample};

/// How the fake hub answers instead of the sample.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This status and body.
    Answers(u16, Value),
    /// A hub's problem of this type.
    Problem(&'static str),
    /// No answer ever.
    Silent,
    /// The sample's answer, of this age in seconds.
    Aged(u64),
    /// The first request about each person meets this fault, the next is answered.
    FirstOnly(Box<Fault>),
}

/// A call that the fake hub has received.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
}

pub(crate) struct Hub {
    sample: Sample,
    faults: BTreeMap<&'static str, Fault>,
    /// Person and source of the first requests.
    asked: Mutex<BTreeSet<(String, String)>>,
    pub(crate) calls: Mutex<Vec<Call>>,
}

impl Hub {
    pub(crate) fn new(sample: Sample, faults: &[(&'static str, Fault)]) -> Arc<Self> {
        let faults = faults.iter().cloned().collect();
        Arc::new(Self { sample, faults, asked: Mutex::default(), calls: Mutex::default() })
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }
}

async fn answer(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let headers = parts.headers.iter().map(text).collect();
    hub.calls.lock().unwrap().push(Call { target: target.clone(), headers });
    let segments: Vec<&str> = parts.uri.path().split('/').collect();
    let source = segments[6].to_owned();
    if source == "payouts" {
        // The bank is away; its answers are the payments' own tests' matter.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let person = match serde_json::from_slice::<Value>(&body) {
        Ok(body) => body["pinfl"].as_str().unwrap().to_owned(),
        Err(_) => segments[8].to_owned(),
    };
    let found = |value: &Value| match value {
        Value::Null => (404, json!({"error": "no_record"})),
        value => (200, value.clone()),
    };
    let mut fault = hub.faults.get(source.as_str());
    if let Some(Fault::FirstOnly(first)) = fault {
        let is_first = hub.asked.lock().unwrap().insert((person.clone(), source.clone()));
        fault = is_first.then_some(first);
    }
    let mut age = None;
    let (status, json) = match fault {
        None => found(&hub.sample.answers[&(person, source)]),
        Some(Fault::Aged(seconds)) => {
            age = Some(seconds.to_string());
            found(&hub.sample.answers[&(person, source)])
        }
        Some(Fault::FirstOnly(_)) => panic!("one fault at a time"),
        Some(Fault::Answers(status, json)) => (*status, json.clone()),
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Problem(problem)) => {
            let body = json!({"type": problem, "message": "refused", "detail": "d"});
            let header = [("X-Road-Error", *problem)];
            return (StatusCode::INTERNAL_SERVER_ERROR, header, axum::Json(body)).into_response();
        }
    };
    let receipt = r#"log="koprik.example/hub/NASP-1"; index=42; exchange="e-42""#;
    let headers = [("Koprik-Receipt", receipt), ("x-road-request-id", "r-42")];
    let mut answer =
        (StatusCode::from_u16(status).unwrap(), headers, axum::Json(json)).into_response();
    if let Some(age) = age {
        answer.headers_mut().insert("age", age.parse().unwrap());
    }
    answer
}

/// A register with a fake hub behind it.
pub(crate) struct World {
    pub(crate) hub: Arc<Hub>,
    pub(crate) register: RunningRegister,
    hub_url: String,
    _tasks: JoinSet<()>,
}

impl World {
    pub(crate) async fn new(sample: Sample, faults: &[(&'static str, Fault)]) -> Self {
        Self::configured(sample, faults, |config| config).await
    }

    /// As [`World::new`], with a configuration changed by `edit`.
    pub(crate) async fn configured(
        sample: Sample,
        faults: &[(&'static str, Fault)],
        edit: impl Fn(String) -> String,
    ) -> Self {
        let hub = Hub::new(sample, faults);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = hub.router();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let hub_url = format!("http://{address}");
        let config = RegisterConfig::parse(&edit(config(&hub_url, ""))).unwrap();
        let register = start(config, clock()).await.unwrap();
        Self { hub, register, hub_url, _tasks: tasks }
    }

    pub(crate) fn hub_url(&self) -> &str {
        &self.hub_url
    }

    /// The profile of an application of 2 March 2026.
    pub(crate) async fn profile(&self, pinfl: &str) -> Profile {
        let request = json!({"pinfl": pinfl, "application_date": "2026-03-02"});
        let (status, text) = post(self.register.address, &request.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        read_profile(&text)
    }
}

/// Reads a profile and checks that the hash is that of the very bytes sent.
pub(crate) fn read_profile(text: &str) -> Profile {
    let (head, rest) = text.split_once(",\"profile\":").unwrap();
    let bytes = rest.strip_suffix('}').unwrap().as_bytes();
    assert_eq!(head, format!("{{\"hash\":\"{}\"", Sha256::of(bytes)));
    serde_json::from_slice(bytes).unwrap()
}

pub(crate) fn clock() -> Clock {
    Clock::manual(UnixMillis::from_rfc3339("2026-03-02T10:15:00Z").unwrap())
}

/// A configuration whose services carry the source's name as their code.
pub(crate) fn config(hub_url: &str, more: &str) -> String {
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\nhub_url = \"{hub_url}\"\nclient = \"UZ/GOV/NASP/register\"\n\
         purpose = \"social-protection\"\ndeadline_ms = 2000\n{more}\n"
    );
    for (name, kind) in SOURCES {
        let kind = json!(kind);
        let kind = kind.as_str().unwrap();
        let wave = if name == "civil-registry" { 1 } else { 2 };
        let operation = match name {
            "bank" => {
                "method = \"POST\"\npath = \"/deposit-test\"\n\
                body = '{\"pinfl\":\"{pinfl}\",\"threshold_soum\":{threshold_soum}}'"
            }
            "tax" => "path = \"/persons/{pinfl}/income?from={from}&to={to}\"",
            _ => "path = \"/persons/{pinfl}\"",
        };
        text.push_str(&format!(
            "[[sources]]\nname = \"{name}\"\nkind = \"{kind}\"\nwave = {wave}\n\
             service = \"UZ/GOV/X/x/{name}\"\ntimeout_ms = 500\n\
             second_request_ms = 0\n{operation}\n"
        ));
    }
    text
}

pub(crate) async fn post(address: SocketAddr, body: &str) -> (StatusCode, String) {
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{address}/profiles"))
        .body(Full::from(body.to_owned()))
        .unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}
