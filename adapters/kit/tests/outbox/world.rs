//! A database, an outbox, and a service that remembers what it was told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use adapter_kit::{Definition, Outbox, OutboxConfig, load_seed, prepare};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::agency;

pub(crate) const PERSON: &str = "31505850010011";
const EVENTS: &str = "
CREATE TABLE life_events (n INTEGER PRIMARY KEY, id TEXT, pinfl TEXT, sequence BIGINT, kind TEXT,
    at TEXT, payload TEXT);
INSERT INTO life_events VALUES
    (1, 'e-1', '31505850010011', 1, 'marriage', '2026-03-01', '{\"spouse\":\"42007870010023\"}'),
    (4, 'e-2', '42007870010023', 1, 'wage', '2026-03-02', NULL),
    (5, 'e-3', '31505850010011', 2, 'wage', '2026-03-03', NULL);
";

/// A service that remembers what it was told and answers with the next status, 200 at the end.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) told: Mutex<Vec<Value>>,
    statuses: Mutex<VecDeque<u16>>,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        assert_eq!(request.uri().path(), "/r1/UZ/GOV/NASP/register/life-events/events");
        assert_eq!(request.headers()["x-road-client"], "UZ/GOV/JUSTICE/civil-registry");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        self.told.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        let status = self.statuses.lock().unwrap().pop_front().unwrap_or(200);
        let body = json!({"type": "register.event_refused", "message": "m", "detail": ""});
        Response::builder().status(status).body(Full::from(body.to_string())).unwrap()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) struct World {
    pub(crate) service: Arc<Service>,
    pub(crate) definition: Definition,
    pub(crate) config: OutboxConfig,
    pub(crate) dir: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl World {
    /// Three events in a table of the agency's own; the service answers with these statuses first.
    pub(crate) async fn new(statuses: &[u16]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let definition = database(dir.path()).await;
        let rows = "SELECT n, id, pinfl, sequence, kind, at, payload FROM life_events \
                    WHERE n > :after ORDER BY n LIMIT 100";
        Self::on(definition, dir, (Some(rows.to_owned()), statuses)).await
    }

    /// A definition with its database; `rows` are those of the kit's table when left out.
    pub(crate) async fn on(
        definition: Definition,
        dir: tempfile::TempDir,
        (rows, statuses): (Option<String>, &[u16]),
    ) -> Self {
        let service = Arc::new(Service::default());
        service.statuses.lock().unwrap().extend(statuses);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hub_url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, service.clone()));
        let config = OutboxConfig {
            rows,
            hub_url,
            client: "UZ/GOV/JUSTICE/civil-registry".parse().unwrap(),
            service: "UZ/GOV/NASP/register/life-events".parse().unwrap(),
            position_file: dir.path().join("outbox.position"),
        };
        Self { service, definition, config, dir, _tasks: tasks }
    }

    pub(crate) fn open(&self) -> Outbox {
        Outbox::open(&self.definition, &self.config).unwrap()
    }
}

async fn serve(listener: TcpListener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service.clone();
        connections.spawn(async move {
            let answer =
                service_fn(|request| async { Ok::<_, Infallible>(service.answer(request).await) });
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // A caller that goes away is no fault of this service.
            let _ = served.await;
        });
    }
}

async fn database(dir: &Path) -> Definition {
    let url = format!("sqlite://{}?mode=rwc", dir.join("events.db").display());
    let definition = agency::definition("civil-registry", &url);
    prepare(&definition).await.unwrap();
    let events = dir.join("events.sql");
    std::fs::write(&events, EVENTS).unwrap();
    load_seed(&definition, &events).await.unwrap();
    definition
}
