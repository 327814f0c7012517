//! A register with pages before a fake hub, and a caller that behaves like a browser.

use std::net::SocketAddr;

use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use register_server::{RegisterConfig, RunningRegister, start};
use serde_json::{Value, json};

use crate::fake_hub::{Fault, World, clock, config};
use crate::joined::tables;
use crate::sample::{BABY, DAUGHTER, FATHER, MOTHER, SON, Sample};

/// The worked example with invented names.
pub(crate) fn named_family() -> Sample {
    let mut sample = Sample::worked_example();
    let names = [(FATHER, "Namuna"), (MOTHER, "Sinova"), (SON, "Birinchi")];
    for (person, name) in names.into_iter().chain([(DAUGHTER, "Ikkinchi"), (BABY, "Uchinchi")]) {
        sample.answer(person, "population")["given_name"] = json!(name);
    }
    sample
}

/// A register with pages and the hub behind it.
pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) register: RunningRegister,
    _folder: Option<tempfile::TempDir>,
}

impl Office {
    pub(crate) async fn new(sample: Sample, faults: &[(&'static str, Fault)]) -> Self {
        let world = World::new(sample, faults).await;
        let text = config(world.hub_url(), "[pages]");
        let register = start(RegisterConfig::parse(&text).unwrap(), clock()).await.unwrap();
        Self { world, register, _folder: None }
    }

    /// An office whose register has a desk and payments.
    pub(crate) async fn joined(sample: Sample) -> Self {
        let world = World::new(sample, &[]).await;
        let folder = tempfile::tempdir().unwrap();
        // Tables come after the sources, as TOML wants.
        let text = config(world.hub_url(), "[pages]") + &tables(folder.path());
        let register = start(RegisterConfig::parse(&text).unwrap(), clock()).await.unwrap();
        Self { world, register, _folder: Some(folder) }
    }

    /// An officer's POST at the desk that succeeds.
    pub(crate) async fn act(&self, user: &str, path: &str, body: &Value) -> Value {
        self.send("x-road-userid", user, path, body).await
    }

    /// A system's POST at the desk that succeeds.
    pub(crate) async fn tell(&self, client: &str, path: &str, body: &Value) -> Value {
        self.send("x-road-client", client, path, body).await
    }

    async fn send(&self, header: &str, who: &str, path: &str, body: &Value) -> Value {
        let client: Client<_, Full<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let request = Request::post(format!("http://{}{path}", self.register.address))
            .header(header, who)
            .body(Full::from(body.to_string()));
        let answer = client.request(request.unwrap()).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap()
    }

    pub(crate) fn caller(&self) -> Caller {
        let (address, cookies) = (self.register.address, Vec::new());
        Caller { address, cookies, language: "en", user: None }
    }
}

/// What came back.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// The value of the hidden field `token`.
    pub(crate) fn token(&self) -> &str {
        let (_, rest) = self.text.split_once("name=\"token\" value=\"").unwrap();
        rest.split_once('"').unwrap().0
    }

    pub(crate) fn location(&self) -> &str {
        self.headers[header::LOCATION].to_str().unwrap()
    }
}

/// Keeps cookies and sends what a browser sends.
pub(crate) struct Caller {
    address: SocketAddr,
    pub(crate) cookies: Vec<String>,
    pub(crate) language: &'static str,
    /// The officer, as whatever stands in front of the register says.
    pub(crate) user: Option<&'static str>,
}

impl Caller {
    pub(crate) fn set_address(&mut self, address: SocketAddr) {
        self.address = address;
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(path, None, &[]).await
    }

    /// Sends a form from the register's own page.
    pub(crate) async fn post(&mut self, path: &str, form: &str) -> Page {
        let origin = self.origin();
        self.send(path, Some(form), &[("origin", &origin)]).await
    }

    /// Searches, follows the redirection and gives the family's page.
    pub(crate) async fn family(&mut self, pinfl: &str) -> Page {
        let token = self.get("/pages").await.token().to_owned();
        let answer = self.post("/pages/search", &search(pinfl, "2026-03-02", &token)).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        self.get(answer.location()).await
    }

    pub(crate) async fn send(
        &mut self,
        path: &str,
        form: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Page {
        let client: Client<_, Full<bytes::Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let mut request = Request::builder()
            .method(if form.is_some() { "POST" } else { "GET" })
            .uri(format!("{}{path}", self.origin()))
            .header(header::ACCEPT_LANGUAGE, self.language)
            .header(header::COOKIE, self.cookies.join("; "));
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(user) = self.user {
            request = request.header("x-road-userid", user);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::from(form.unwrap_or_default().to_owned());
        let (parts, body) = client.request(request.body(body).unwrap()).await.unwrap().into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            let name = pair.split('=').next().unwrap().to_owned();
            self.cookies.retain(|kept| !kept.starts_with(&format!("{name}=")));
            self.cookies.push(pair);
        }
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status: parts.status, headers: parts.headers, text }
    }
}

/// The search form, filled.
pub(crate) fn search(pinfl: &str, day: &str, token: &str) -> String {
    format!("pinfl={pinfl}&day={day}&token={token}")
}
