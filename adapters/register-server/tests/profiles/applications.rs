//! Applications from filing to notice, and monitoring that is killed and goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::civil::Date;
use register::profile::Profile;
use register_server::{RegisterConfig, RunningRegister, StartError, start};
use schemas::clock::{Clock, UnixMillis};
use schemas::digest::Sha256;
use schemas::pinfl::{Pinfl, Sex};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::fake_hub::{Hub, config, read_profile};
use crate::sample::{FATHER, MOTHER, SOURCES, Sample, plain_answer};

/// A register with a store, before a fake hub.
pub(crate) struct Office {
    hub: Arc<Hub>,
    pub(crate) register: RunningRegister,
    pub(crate) clock: Clock,
    _tasks: JoinSet<()>,
}

fn clock(day: &str) -> Clock {
    Clock::manual(UnixMillis::from_rfc3339(&format!("{day}T05:00:00Z")).unwrap())
}

impl Office {
    pub(crate) async fn open(sample: Sample, store: &Path, day: &str) -> Self {
        Self::open_with(sample, store, day, "").await
    }

    /// An office whose configuration has `more`.
    pub(crate) async fn open_with(sample: Sample, store: &Path, day: &str, more: &str) -> Self {
        let hub = Hub::new(sample, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = hub.router();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let more = crate::kept::section(store) + more;
        // No source is late here, however busy the machine is.
        let config = config(&format!("http://{address}"), &more)
            .replace("timeout_ms = 500", "timeout_ms = 30000")
            .replace("deadline_ms = 2000", "deadline_ms = 60000");
        let config = RegisterConfig::parse(&config).unwrap();
        let clock = clock(day);
        let register = start(config, clock.clone()).await.unwrap();
        Self { hub, register, clock, _tasks: tasks }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let (status, text) = self.text(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn text(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.register.address))
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// POST without a body.
    pub(crate) async fn bare_post(&self, path: &str) -> (StatusCode, Value) {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{}{path}", self.register.address);
        let answer = client.request(http::Request::post(uri).body(Full::default()).unwrap());
        let answer = answer.await.unwrap();
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Asserts that a request is refused so, and that the text names nobody.
    pub(crate) async fn refused(
        &self,
        path: &str,
        body: Value,
        status: u16,
        problem: &str,
    ) -> Value {
        let (found, answer) = self.call(Method::POST, path, &body).await;
        assert_eq!((found.as_u16(), &answer["type"]), (status, &json!(problem)), "{answer}");
        assert!(!answer.to_string().contains(FATHER));
        answer
    }

    pub(crate) async fn file(&self, pinfl: &str) -> String {
        let answer = self.post("/applications", json!({"pinfl": pinfl})).await;
        answer["application"]["id"].as_str().unwrap().to_owned()
    }

    /// Files, visits and rates in one day; gives the identifier.
    pub(crate) async fn register(&self, pinfl: &str, day: &str) -> String {
        let id = self.file(pinfl).await;
        self.visit(&id, day).await;
        let rated = self.post(&format!("/applications/{id}/final-rating"), json!({})).await;
        assert_eq!(rated["application"]["state"]["state"], "registered", "{rated}");
        id
    }

    pub(crate) async fn visit(&self, id: &str, day: &str) -> Value {
        let visit = json!({"visited_on": day, "family_confirmed": true, "note": ""});
        self.post(&format!("/applications/{id}/questionnaire"), visit).await
    }

    pub(crate) fn days_later(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * 24 * 3600));
    }

    /// Waits until a month's monitoring stands like this.
    pub(crate) async fn monitored(&self, month: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let watch = async {
            loop {
                let progress = self.get(&format!("/monitoring/{month}")).await;
                if reached(&progress["monitoring"]) {
                    return progress;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), watch).await.unwrap()
    }
}

/// Lone people without income, each a family.
pub(crate) fn people(count: u16) -> Vec<String> {
    let born = Date::constant(1980, 2, 3);
    let person = |serial| Pinfl::compose(Sex::Female, born, 7, serial).unwrap().to_string();
    (1..=count).map(person).collect()
}

pub(crate) fn sample_of(people: &[String]) -> Sample {
    let mut sample = Sample::worked_example();
    for person in people {
        for (source, kind) in SOURCES {
            sample.set(person, source, plain_answer(person, kind));
        }
    }
    sample
}

#[tokio::test]
async fn an_application_goes_from_filing_to_notice_with_its_deadlines_and_profiles() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(Sample::worked_example(), folder.path(), "2026-03-02").await;
    let filed = office.post("/applications", json!({"pinfl": FATHER})).await;
    let id = filed["application"]["id"].as_str().unwrap();
    let path = |step: &str| format!("/applications/{id}{step}");
    assert_eq!(filed["application"]["counts_for"], "2026-03");
    assert_eq!(filed["application"]["members"].as_array().unwrap().len(), 5);
    assert_eq!(filed["next"], json!({"duty": "questionnaire", "due": "2026-03-05"}));
    office.refused(&path("/final-rating"), json!({}), 409, "register.out_of_turn").await;

    // Friday 6 March: overdue by a day.
    assert_eq!(office.get("/overdue").await["lines"], json!([]));
    office.days_later(4);
    let overdue = office.get("/overdue").await;
    assert_eq!(overdue["lines"][0]["application"], id);
    assert!(!overdue.to_string().contains(FATHER));
    let visited = office.visit(id, "2026-03-06").await;
    // Monday 9 March is off for Women's Day on Sunday.
    assert_eq!(visited["next"], json!({"duty": "final-rating", "due": "2026-03-12"}));
    assert_eq!(office.get("/overdue").await["lines"], json!([]));
    assert_eq!(office.get("/overdue?by=2026-03-12").await["lines"][0]["application"], id);

    let rated = office.post(&path("/final-rating"), json!({})).await;
    let state = &rated["application"]["state"];
    assert_eq!(state["entitlement"]["monthly_soum"], 635_000);
    assert_eq!((&state["from"], &state["until"]), (&json!("2026-03"), &json!("2026-09")));
    assert_eq!(rated["next"], json!({"duty": "notice", "due": "2026-04-01"}));
    let noticed = office.post(&path("/notice"), json!({})).await;
    assert_eq!(noticed["next"], json!({"duty": "recertification", "due": "2026-08-25"}));

    // Both profiles are kept in their very bytes, for the day of the application.
    assert_eq!(office.get(&path("")).await, noticed);
    let ratings = noticed["application"]["ratings"].as_array().unwrap();
    assert_eq!(ratings.len(), 2);
    for rating in ratings {
        let profile = format!("/profiles/{}", rating["profile"].as_str().unwrap());
        let (_, text) = office.text(Method::GET, &profile, &Value::Null).await;
        let profile: Profile = read_profile(&text);
        assert_eq!(profile.case.application_date, Date::constant(2026, 3, 2));
        let hash: Sha256 = rating["profile_hash"].as_str().unwrap().parse().unwrap();
        assert!(text.starts_with(&format!("{{\"hash\":\"{hash}\"")));
    }
}

#[tokio::test]
async fn a_family_has_one_application_a_month_whoever_applies() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(Sample::worked_example(), folder.path(), "2026-03-02").await;
    let first = office.file(FATHER).await;
    let refused =
        office.refused("/applications", json!({"pinfl": MOTHER}), 409, "register.duplicate").await;
    assert!(refused["message"].as_str().unwrap().contains(&first));
    // Nothing of the second one is kept.
    assert_eq!(office.get("/overdue?by=2027-01-01").await["lines"].as_array().unwrap().len(), 1);
    // From the 16th on applications count for the next month; from the 26th on none is taken.
    office.days_later(14);
    office.file(MOTHER).await;
    office.days_later(10);
    office.refused("/applications", json!({"pinfl": FATHER}), 409, "register.entry_closed").await;
}

#[tokio::test]
async fn of_two_applications_at_once_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let office = Office::open(Sample::worked_example(), folder.path(), "2026-03-02").await;
    let (father, mother) = (json!({"pinfl": FATHER}), json!({"pinfl": MOTHER}));
    let (one, other) = tokio::join!(
        office.call(Method::POST, "/applications", &father),
        office.call(Method::POST, "/applications", &mother),
    );
    let statuses = [one.0.as_u16(), other.0.as_u16()];
    assert!(statuses == [200, 409] || statuses == [409, 200], "{statuses:?}");
}

#[tokio::test]
async fn a_preliminary_refusal_ends_the_application_and_is_due_as_a_notice() {
    let folder = tempfile::tempdir().unwrap();
    let mut sample = Sample::worked_example();
    sample.vehicle(FATHER, "01A123BC", 2024);
    let office = Office::open(sample, folder.path(), "2026-03-02").await;
    let filed = office.post("/applications", json!({"pinfl": FATHER})).await;
    assert_eq!(filed["application"]["state"]["state"], "refused");
    assert_eq!(filed["next"], json!({"duty": "notice", "due": "2026-04-01"}));
    let id = filed["application"]["id"].as_str().unwrap();
    let visit = json!({"visited_on": "2026-03-02", "family_confirmed": true, "note": ""});
    let path = format!("/applications/{id}/questionnaire");
    office.refused(&path, visit, 409, "register.out_of_turn").await;
}

#[tokio::test]
async fn a_supported_family_is_renewed_for_the_time_after_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let people = people(1);
    let office = Office::open(sample_of(&people), folder.path(), "2026-03-02").await;
    let first = office.register(&people[0], "2026-03-02").await;
    office.days_later(31);
    let again = json!({"pinfl": people[0]});
    office.refused("/applications", again, 409, "register.duplicate").await;
    let support = office.get(&format!("/applications/{first}")).await;
    let until = support["application"]["state"]["until"].as_str().unwrap().to_owned();
    let months = if until == "2027-03" { 11 } else { 5 };
    // To the 20th of the last month of support.
    let last = Date::constant(2026, 3, 1).checked_add(jiff::Span::new().months(months)).unwrap();
    let days = Date::constant(2026, 4, 2).until(last).unwrap().get_days() + 19;
    office.days_later(u64::try_from(days).unwrap());
    let second = office.file(&people[0]).await;
    let renewed = office.get(&format!("/applications/{first}")).await;
    assert_eq!(renewed["application"]["state"]["renewed_by"], second.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitoring_that_is_killed_goes_on_and_rates_every_family_once() {
    let folder = tempfile::tempdir().unwrap();
    let people = people(70);
    let office = Office::open(sample_of(&people), folder.path(), "2026-03-02").await;
    for person in &people {
        office.register(person, "2026-03-02").await;
    }
    drop(office);
    let mut sample = sample_of(&people);
    for person in people.iter().step_by(10) {
        sample.vehicle(person, "01A123BC", 2024);
    }
    let calls = |office: &Office| {
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        for call in office.hub.calls.lock().unwrap().iter() {
            let target = &call.target;
            if let Some((_, person)) = target.split_once("/vehicles/persons/") {
                *calls.entry(person.to_owned()).or_default() += 1;
            }
        }
        calls
    };

    // Killed in the middle of the first page.
    let office = Office::open(copy(&sample), folder.path(), "2026-03-10").await;
    office.refused("/monitoring", json!({"month": "2026-06"}), 400, "register.bad_request").await;
    office.post("/monitoring", json!({"month": "2026-03"})).await;
    let enough = async {
        while calls(&office).len() < 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap();
    let before = calls(&office);
    drop(office);

    // It goes on by itself, is stopped, and goes on when it is told to.
    let office = Office::open(copy(&sample), folder.path(), "2026-03-11").await;
    let looked_at = |progress: &Value| progress["counts"]["looked_at"].as_u64().unwrap();
    office.monitored("2026-03", |progress| looked_at(progress) >= 64).await;
    let stopped = office.post("/monitoring/2026-03/stop", json!({})).await;
    if stopped["progress"] == "stopped" {
        office.post("/monitoring", json!({"month": "2026-03"})).await;
    }
    let done = office.monitored("2026-03", |progress| progress["progress"] == "finished").await;
    let counts = json!({"looked_at": 70, "unchanged": 63, "stopped": 7, "pending": 0,
        "not_due": 0, "failed": 0});
    assert_eq!(done["monitoring"]["counts"], counts, "{done}");
    assert_eq!(done["monitoring"]["day"], "2026-03-10");
    assert_eq!(done["stopped"].as_array().unwrap().len(), 7);

    // Only families under way at a cut are asked twice: four at the kill, and a page's end.
    let mut all = before;
    for (person, count) in calls(&office) {
        *all.entry(person).or_default() += count;
    }
    assert_eq!(all.len(), 70);
    let twice = all.values().filter(|count| **count > 1).count();
    assert!(twice <= 8, "{twice} families were asked more than once");

    // What was stopped is paid no more, has a notice due, and is not monitored again.
    let id = done["stopped"][0].as_str().unwrap();
    let application = office.get(&format!("/applications/{id}")).await;
    assert_eq!(
        application["application"]["state"],
        json!({"state": "stopped", "month": "2026-03"})
    );
    assert_eq!(application["next"]["duty"], "notice");
}

fn copy(sample: &Sample) -> Sample {
    Sample {
        applicant: sample.applicant,
        day: sample.day,
        answers: sample.answers.clone(),
        declared: sample.declared.clone(),
    }
}

#[tokio::test]
async fn a_register_without_store_gives_profiles_and_says_what_is_missing() {
    let world = crate::fake_hub::World::new(Sample::worked_example(), &[]).await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("http://{}/overdue", world.register.address);
    let answer = client.request(http::Request::get(url).body(Full::default()).unwrap()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("[store]"));
}

#[tokio::test]
async fn a_register_does_not_start_with_half_a_store() {
    let text = config("http://127.0.0.1:1", "[store]\npostgres = \"postgres://a@b/c\"\n");
    assert!(RegisterConfig::parse(&text).unwrap_err().to_string().contains("key_file"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = config("http://127.0.0.1:1", &format!("[store]\ndirectory = {:?}\n", file.path()));
    let refused = start(RegisterConfig::parse(&text).unwrap(), clock("2026-03-02")).await;
    assert!(matches!(refused.unwrap_err(), StartError::Store(_)));
}
