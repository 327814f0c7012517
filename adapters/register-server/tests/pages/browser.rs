//! A real Chromium, headless, through chromedriver: W3C WebDriver is JSON over HTTP, and the eight
//! commands that these tests need stand here. Accessibility tree, sizes and pictures come through
//! chromedriver's door to the browser's own protocol (`goog/cdp/execute`).

use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use futures_util::FutureExt;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use schemas::clock::Clock;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Time for the driver to start and for a page to become what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// WebDriver's codes of keys (W3C WebDriver §17.4.2).
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// A browser with one window; dropped, it ends with its driver.
pub(crate) struct Browser {
    http: Client<HttpConnector, Full<bytes::Bytes>>,
    driver: Child,
    base: String,
    _home: tempfile::TempDir,
}

/// Runs `test` in a new browser and ends the browser, whatever happens.
pub(crate) async fn with_browser(language: &str, test: impl AsyncFnOnce(&Browser)) {
    let browser = Browser::start(language).await;
    let outcome = std::panic::AssertUnwindSafe(test(&browser)).catch_unwind().await;
    browser.close().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Browser {
    async fn start(language: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is missing: apt-get install chromium chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("chromedriver has ended");
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    return port.trim_end_matches('.').to_owned();
                }
            }
        };
        let port = tokio::time::timeout(PATIENCE, port).await.expect("chromedriver starts in time");
        let http = Client::builder(TokioExecutor::new()).build_http();
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Self { http, driver, base, _home: home };
        let profile = browser._home.path().join("profile");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            &format!("--user-data-dir={}", profile.display()),
            &format!("--accept-lang={language}"),
        ];
        let options = json!({"args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let session = browser.command(Method::POST, "/session", Some(wanted)).await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        browser.base = format!("{}/session/{session}", browser.base);
        browser
    }

    async fn close(mut self) {
        self.command(Method::DELETE, "", None).await;
        self.driver.kill().await.unwrap();
    }

    async fn command(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let body = body.map_or_else(String::new, |body| body.to_string());
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .unwrap();
        let answer = self.http.request(request).await.unwrap();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
        let value = answer["value"].take();
        assert!(value.get("error").is_none(), "{path}: {value}");
        value
    }

    pub(crate) async fn open(&self, address: &str) {
        self.command(Method::POST, "/url", Some(json!({"url": address}))).await;
    }

    pub(crate) async fn address(&self) -> String {
        let address = self.command(Method::GET, "/url", None).await;
        address.as_str().unwrap().to_owned()
    }

    /// Types on the keyboard, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let mut actions = Vec::new();
        for key in keys.chars() {
            actions.push(json!({"type": "keyDown", "value": key}));
            actions.push(json!({"type": "keyUp", "value": key}));
        }
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command(Method::POST, "/actions", Some(json!({"actions": [keyboard]}))).await;
    }

    /// What a script of the test sees in the page. The page itself has none.
    pub(crate) async fn see(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.command(Method::POST, "/execute/sync", Some(body)).await
    }

    /// Waits until `script` gives true.
    pub(crate) async fn wait_until(&self, script: &str) {
        let stopwatch = Clock::machine().stopwatch();
        while self.see(script).await != json!(true) {
            assert!(stopwatch.elapsed() < PATIENCE, "never true: {script}");
        }
    }

    /// A command of the browser's own protocol.
    pub(crate) async fn inspect(&self, name: &str, parameters: Value) -> Value {
        let body = json!({"cmd": name, "params": parameters});
        self.command(Method::POST, "/goog/cdp/execute", Some(body)).await
    }

    /// Names the officer in every request from now on, as what lets officers in does.
    pub(crate) async fn name_officer(&self, user: &str) {
        self.inspect("Network.enable", json!({})).await;
        let headers = json!({"headers": {"X-Road-UserId": user}});
        self.inspect("Network.setExtraHTTPHeaders", headers).await;
    }

    pub(crate) async fn resize(&self, width: u32) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.inspect("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Takes a picture of the whole page into `target/tmp/pages-NAME.png`.
    pub(crate) async fn picture(&self, name: &str) {
        let parameters = json!({"captureBeyondViewport": true});
        let picture = self.inspect("Page.captureScreenshot", parameters).await;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap());
        let path = format!("{}/pages-{name}.png", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(path, bytes.unwrap()).unwrap();
    }
}
