//! A central server over real HTTP on loopback, asked by a hub that trusts nothing but the anchor.
//!
//! ```text
//!  content file / POST ──► central ──GET──► Trusted (as a hub holds it)
//!                                  └─GET──► log files (as an auditor reads them)
//! ```

mod publishing;
mod restart;
mod timestamps;
mod witness;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hub_core::configuration::{Accepted, Trusted};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pki::signer::generate;
use pki::trust::Algorithm;
use schemas::clock::{Clock, UnixMillis};
use schemas::configuration::{Content, Purpose};

use crate::{CentralConfig, CentralError, KeyFile, KeysConfig, RunningCentral, start};

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
const DEADLINE: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A folder with keys, a configuration over it, and the clock that all parties share.
struct Site {
    folder: tempfile::TempDir,
    config: CentralConfig,
    clock: Clock,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["log.pem", "old.pem", "new.pem"] {
            generate(Algorithm::Ed25519, &path(name)).unwrap();
        }
        let signing = vec![key_file("UZ/configuration/old", path("old.pem"))];
        let config = CentralConfig {
            instance: "UZ".into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            addresses: vec![],
            data_dir: path("data"),
            content_file: path("content.json"),
            keys: KeysConfig { threshold: 1, signing, retiring: vec![] },
            log_key_file: path("log.pem"),
            witness_key_file: None,
            log_origin: None,
            validity_hours: 24,
            content_poll_ms: 10,
        };
        Self { folder, config, clock: Clock::manual(NOW) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn try_start(&self) -> Result<RunningCentral, CentralError> {
        start(self.config.clone(), self.clock.clone()).await
    }

    async fn start(&self) -> RunningCentral {
        self.try_start().await.unwrap()
    }

    fn write_content(&self, text: &str) {
        fs::write(&self.config.content_file, text).unwrap();
    }
}

fn key_file(name: &str, file: PathBuf) -> KeyFile {
    KeyFile { name: name.into(), file }
}

/// A content with these purposes and nothing else.
fn content(purposes: &[&str]) -> Content {
    let purpose = |code: &&str| Purpose {
        code: (*code).into(),
        description: "A test".into(),
        legal_bases: vec!["Law".into()],
    };
    Content { purposes: purposes.iter().map(purpose).collect(), ..Content::default() }
}

fn json(content: &Content) -> String {
    serde_json::to_string(content).unwrap()
}

struct Answer {
    status: StatusCode,
    tag: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn send(request: Request<Full<Bytes>>) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(DEADLINE, client.request(request)).await.unwrap().unwrap();
    let (head, body) = answer.into_parts();
    let tag = head.headers.get(ETAG).map(|tag| tag.to_str().unwrap().to_owned());
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: head.status, tag, body }
}

async fn get(central: &RunningCentral, path: &str) -> Answer {
    get_unless(central, path, None).await
}

async fn get_unless(central: &RunningCentral, path: &str, tag: Option<&str>) -> Answer {
    let mut request = Request::get(format!("http://{}{path}", central.address));
    if let Some(tag) = tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    send(request.body(Full::default()).unwrap()).await
}

async fn post(central: &RunningCentral, content: &Content) -> Answer {
    let address = format!("http://{}/admin/v1/content", central.admin_address);
    let request = Request::builder().method(Method::POST).uri(address);
    let request = request.header(CONTENT_TYPE, "application/json");
    send(request.body(Full::from(json(content))).unwrap()).await
}

/// What a newcomer accepts from the central server.
async fn newcomer(central: &RunningCentral, clock: &Clock) -> Accepted {
    let note = get(central, "/v1/configuration").await.text();
    Trusted::from_anchor(&central.anchor).unwrap().accept(&note, clock.now()).unwrap()
}

/// Asks until the served version is this one.
async fn version_served(central: &RunningCentral, version: u64) {
    let asked = async {
        loop {
            let note = get(central, "/v1/configuration").await.text();
            if hub_core::configuration::offered_version(&note) == Some(version) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.expect("the version is served in time");
}

/// Asks until `/health` satisfies the condition.
async fn health(central: &RunningCentral, wanted: impl Fn(&serde_json::Value) -> bool) {
    let asked = async {
        loop {
            let report = serde_json::from_slice(&get(central, "/health").await.body).unwrap();
            if wanted(&report) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.expect("the health is reached in time");
}
