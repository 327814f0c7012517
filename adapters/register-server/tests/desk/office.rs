//! A register with a store, officers, a card key and two sources of life events.

use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pki::signer::generate;
use pki::trust::Algorithm;
use register_server::{PaymentStops, RegisterConfig, RunningRegister, start_with};
use schemas::clock::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fake_hub::{Hub, clock, config};
use crate::sample::Sample;

pub(crate) const DISTRICT: &str = "1726269";
pub(crate) const WORKER: &str = "worker-1";
pub(crate) const HEAD: &str = "head-1";
pub(crate) const AGENCY: &str = "agency-1";
pub(crate) const ELSEWHERE: &str = "worker-2";
pub(crate) const SHOP: &str = "UZ/COM/SHOP/till";
pub(crate) const REGISTRY: &str = "UZ/GOV/JUSTICE/civil-registry";
pub(crate) const TAX: &str = "UZ/GOV/TAX/tax";

pub(crate) struct Office {
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Clock,
    register: RunningRegister,
    _folder: TempDir,
    config: String,
    hub_url: String,
    http: Client<HttpConnector, Full<Bytes>>,
    _tasks: JoinSet<()>,
}

/// A hub whose sources answer from the sample, and its address.
async fn hub_of(sample: Sample) -> (Arc<Hub>, String, JoinSet<()>) {
    let hub = Hub::new(sample, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = hub.router();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (hub, url, tasks)
}

fn desk_config(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut text = crate::kept::section(&folder.join("store"));
    text.push_str(&format!("[card]\nkey_file = \"{}\"\n", path("card.pem")));
    let officers = [
        (WORKER, "caseworker", Some(DISTRICT)),
        (HEAD, "supervisor", Some(DISTRICT)),
        (AGENCY, "officer", None),
        (ELSEWHERE, "caseworker", Some("1703")),
    ];
    for (id, role, district) in officers {
        let district = district.map(|code| format!("district = \"{code}\"\n")).unwrap_or_default();
        text.push_str(&format!("[[officers]]\nid = \"{id}\"\nrole = \"{role}\"\n{district}"));
    }
    text.push_str(&format!(
        "[[event_sources]]\nclient = \"{REGISTRY}\"\nname = \"civil-registry\"\n\
         kinds = [\"birth\", \"death\", \"marriage\"]\n\
         [[event_sources]]\nclient = \"{TAX}\"\nname = \"tax\"\nkinds = [\"wage\"]\n"
    ));
    text
}

impl Office {
    pub(crate) async fn open(payments: Option<Arc<dyn PaymentStops>>) -> Self {
        Self::open_with(payments, |_| String::new()).await
    }

    /// An office whose register makes payments itself.
    pub(crate) async fn paying() -> Self {
        let payments = |_: &Path| {
            "\n[payments]\npurpose = \"social-payment\"\n\
             treasury = \"UZ/GOV/TREASURY/treasury/treasury\"\n\
             bank = \"UZ/BANK/AGROBANK/accounts/payouts\"\n"
                .to_owned()
        };
        Self::open_with(None, payments).await
    }

    async fn open_with(
        payments: Option<Arc<dyn PaymentStops>>,
        more: impl FnOnce(&Path) -> String,
    ) -> Self {
        let (hub, url, tasks) = hub_of(Sample::worked_example()).await;
        let folder = tempfile::tempdir().unwrap();
        generate(Algorithm::Ed25519, &folder.path().join("card.pem")).unwrap();
        // Tables come after the sources, as TOML wants.
        let desk = desk_config(folder.path());
        let config = format!("{}{desk}{}", config(&url, ""), more(folder.path()));
        let clock = clock();
        let register = Self::start(&config, &clock, payments).await;
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { hub, hub_url: url, clock, register, _folder: folder, config, http, _tasks: tasks }
    }

    async fn start(
        config: &str,
        clock: &Clock,
        payments: Option<Arc<dyn PaymentStops>>,
    ) -> RunningRegister {
        let config = RegisterConfig::parse(config).unwrap();
        start_with(config, clock.clone(), payments).await.unwrap()
    }

    /// Stops the register and starts it again on the same store.
    pub(crate) async fn restart(self, payments: Option<Arc<dyn PaymentStops>>) -> Self {
        let Self { clock, register, config, http, .. } = self;
        // Its connections hold the register up to the end of the drain.
        drop(http);
        register.stop().await;
        let register = Self::start(&config, &clock, payments).await;
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { clock, register, config, http, ..self }
    }

    /// As [`Office::restart`], before a hub whose sources say something else.
    pub(crate) async fn restart_before(mut self, sample: Sample) -> Self {
        let (hub, url, tasks) = hub_of(sample).await;
        self.config = self.config.replace(&self.hub_url, &url);
        Self { hub, hub_url: url, _tasks: tasks, ..self }.restart(None).await
    }

    /// The bytes and status of an answer.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        who: (&str, &str),
        body: &Value,
    ) -> (StatusCode, Bytes) {
        let uri = format!("http://{}{path}", self.register.address);
        let body = if method == Method::GET { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(uri).header(who.0, who.1);
        let answer = self.http.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    /// An officer's GET.
    pub(crate) async fn get(&self, user: &str, path: &str) -> (StatusCode, Value) {
        let (status, body) =
            self.raw(Method::GET, path, ("x-road-userid", user), &Value::Null).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// An officer's POST.
    pub(crate) async fn post(&self, user: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, body) = self.raw(Method::POST, path, ("x-road-userid", user), &body).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// A system's POST.
    pub(crate) async fn tell(&self, client: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, body) = self.raw(Method::POST, path, ("x-road-client", client), &body).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// An officer's POST that succeeds.
    pub(crate) async fn done(&self, user: &str, path: &str, body: Value) -> Value {
        let (status, value) = self.post(user, path, body).await;
        assert!(status.is_success(), "{path}: {value}");
        value
    }

    /// Opens a case for a person; gives its id.
    pub(crate) async fn open_case(&self, pinfl: &str) -> String {
        let body = json!({"pinfl": pinfl, "district": DISTRICT, "ground": "asked for help"});
        let opened = self.done(WORKER, "/cases", body).await;
        opened["case"]["id"].as_str().unwrap().to_owned()
    }

    /// Takes a step on the case as it is now.
    pub(crate) async fn step(&self, user: &str, id: &str, step: Value) -> (StatusCode, Value) {
        let version = self.get(WORKER, &format!("/cases/{id}")).await.1["version"].clone();
        let body = json!({"version": version, "ground": "CM res. 35", "step": step});
        self.post(user, &format!("/cases/{id}/steps"), body).await
    }

    /// Issues a card to a person; gives its id and pseudonym.
    pub(crate) async fn issue_card(&self, pinfl: &str) -> (String, String) {
        let body = json!({"pinfl": pinfl, "ground": "asked for"});
        let card = self.done(AGENCY, "/cards", body).await["card"].clone();
        let text = |name: &str| card[name].as_str().unwrap().to_owned();
        (text("id"), text("pseudonym"))
    }
}

pub(crate) fn points(stairs: u16) -> Value {
    json!({
        "barthel": {"feeding": 10, "bathing": 5, "grooming": 5, "dressing": 10, "bowels": 10,
            "bladder": 10, "toilet": 10, "transfer": 15, "mobility": 15, "stairs": stairs},
        "lawton": {"telephone": 2, "shopping": 2, "food-preparation": 2, "housekeeping": 2,
            "laundry": 2, "transport": 2, "medication": 2, "finances": 2},
    })
}
