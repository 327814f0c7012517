//! An outbox tells the events of a database to a service, in order and at least once.
//!
//! ```text
//! SQLite → outbox → service that does as the test says
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a wrong value or index here fails the test"
)]

#[allow(dead_code, reason = "the other tests use the rest")]
mod agency;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use adapter_kit::{Definition, Outbox, OutboxConfig, OutboxError, load_seed, prepare};
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

const PERSON: &str = "31505850010011";
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
struct Service {
    told: Mutex<Vec<Value>>,
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

    fn ids(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }
}

struct World {
    service: Arc<Service>,
    definition: Definition,
    config: OutboxConfig,
    dir: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl World {
    async fn new(statuses: &[u16]) -> Self {
        let service = Arc::new(Service::default());
        service.statuses.lock().unwrap().extend(statuses);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hub_url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, service.clone()));
        let dir = tempfile::tempdir().unwrap();
        let definition = database(dir.path()).await;
        let rows = "SELECT n, id, pinfl, sequence, kind, at, payload FROM life_events \
                    WHERE n > :after ORDER BY n LIMIT 100";
        let config = OutboxConfig {
            rows: rows.to_owned(),
            hub_url,
            client: "UZ/GOV/JUSTICE/civil-registry".parse().unwrap(),
            service: "UZ/GOV/NASP/register/life-events".parse().unwrap(),
            position_file: dir.path().join("outbox.position"),
        };
        Self { service, definition, config, dir, _tasks: tasks }
    }

    fn open(&self) -> Outbox {
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

#[tokio::test]
async fn events_are_told_once_in_order_and_not_again_after_a_restart() {
    let world = World::new(&[]).await;
    let mut outbox = world.open();
    assert_eq!(outbox.deliver().await.unwrap(), 3);
    assert_eq!(outbox.deliver().await.unwrap(), 0);
    assert_eq!(world.open().deliver().await.unwrap(), 0);
    assert_eq!(world.service.ids(), ["e-1", "e-2", "e-3"]);
    let first = world.service.told.lock().unwrap()[0].clone();
    let what = json!({"kind": "marriage", "spouse": "42007870010023"});
    let told =
        json!({"id": "e-1", "person": PERSON, "sequence": 1, "on": "2026-03-01", "what": what});
    assert_eq!(first, told);
}

#[tokio::test]
async fn an_event_that_is_not_taken_holds_up_those_behind_it_and_is_told_again() {
    let world = World::new(&[200, 503, 409]).await;
    let mut outbox = world.open();
    for reason in ["HTTP 503", "HTTP 409, register.event_refused"] {
        let refused = outbox.deliver().await.unwrap_err();
        assert!(matches!(refused, OutboxError::NotTaken { n: 4, .. }));
        let text = refused.to_string();
        assert!(text.contains(reason) && !text.contains("4200787"), "{text}");
    }
    assert_eq!(outbox.deliver().await.unwrap(), 2);
    assert_eq!(world.service.ids(), ["e-1", "e-2", "e-2", "e-2", "e-3"]);
}

#[tokio::test]
async fn a_crash_before_the_position_is_kept_tells_the_event_again() {
    let world = World::new(&[]).await;
    let position = world.dir.path().join("outbox.position");
    world.open().deliver().await.unwrap();
    std::fs::write(&position, "4").unwrap();
    assert_eq!(world.open().deliver().await.unwrap(), 1);
    assert_eq!(world.service.ids(), ["e-1", "e-2", "e-3", "e-3"]);
    std::fs::write(&position, "four").unwrap();
    let refused = Outbox::open(&world.definition, &world.config).err().unwrap();
    assert!(matches!(refused, OutboxError::Position { .. }), "never from the beginning by mistake");
}

#[tokio::test]
async fn unsafe_configurations_are_refused_by_key() {
    let world = World::new(&[]).await;
    let refused =
        |config: OutboxConfig| Outbox::open(&world.definition, &config).err().unwrap().to_string();
    let with_url = |url: &str| OutboxConfig { hub_url: url.to_owned(), ..world.config.clone() };
    for url in ["http://hub.example:80", "https://127.0.0.1:1", "nowhere"] {
        assert!(refused(with_url(url)).contains("outbox.hub_url"), "{url}");
    }
    for rows in ["SELECT 1", "SELECT :after; DROP TABLE life_events", "SELECT :after + :more"] {
        let config = OutboxConfig { rows: rows.to_owned(), ..world.config.clone() };
        assert!(refused(config).contains("outbox.rows"), "{rows}");
    }
}
