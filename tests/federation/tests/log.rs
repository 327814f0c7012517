//! What the message logs hold, and that nothing happens without them (promises P1, P2, P3, P5, P6).
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` → source
//!                 └ log            └ log, which a test closes as a failed disk would
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use federation::agencies::REGISTER;
use federation::pair::{CONSUMER, ECHO, PROVIDER};
use federation::raw::{self, Message};
use federation::source::{self, Source};
use federation::{Federation, Pair, recorded};
use hub_messagelog::MessageLog;
use hub_server::RunningHub;
use schemas::record::{Kind, Record, Side};
use schemas::tlog::{Note, checkpoint::Checkpoint, merkle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn started() -> (Pair, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::plain().await.unwrap();
    (Pair::start(dir.path(), source).await.unwrap(), dir)
}

fn records(log: &MessageLog) -> Vec<Record> {
    let read = |index| Record::from_leaf(&log.read(index).unwrap().leaf).unwrap();
    (0..log.size()).map(read).collect()
}

#[tokio::test]
async fn exchange_is_recorded_on_both_sides_with_who_what_and_why() {
    let (pair, _dir) = started().await;
    let answer = pair
        .ask("POST", "/a", &[("X-Road-UserId", "officer"), ("X-Road-Id", "case-7")], b"question")
        .await
        .unwrap();
    let exchange = answer.header("x-road-request-id");
    for (hub, side) in [(CONSUMER, Side::Consumer), (PROVIDER, Side::Provider)] {
        let all = records(pair.federation.hub(hub).unwrap().log());
        let own: Vec<_> = all.iter().filter(|r| r.exchange.as_deref() == exchange).collect();
        assert_eq!(own.iter().map(|r| r.kind).collect::<Vec<_>>(), [Kind::Request, Kind::Answer]);
        assert!(own.iter().all(|r| r.side == side && r.outcome == "ok"));
        assert!(own.iter().all(|r| r.client.as_deref() == Some(REGISTER)));
        assert!(own.iter().all(|r| r.service.as_deref() == Some(ECHO)));
        assert_eq!((own[0].body_bytes, own[1].status), (Some(8), Some(200)));
        let whole = recorded(pair.federation.hub(hub).unwrap().log()).pop().unwrap();
        assert_eq!(whole.grant.as_deref(), Some("whole-service"), "{hub}");
        assert_eq!(whole.purpose.as_deref(), Some(federation::agencies::PURPOSE));
        assert_eq!(whole.legal_basis.as_deref(), Some(federation::agencies::LEGAL_BASIS));
        assert!(whole.user.is_some() && whole.message.is_some(), "as pseudonyms");
        let said_once = own[0].user.is_some() && own[1].user.is_none() && own[1].message.is_none();
        assert!(said_once, "{hub}: an answer's record leaves to its request's what that one says");
        assert_eq!(
            own[1].grant.is_some(),
            side == Side::Consumer,
            "who heard of it with the answer"
        );
    }
}

#[tokio::test]
async fn every_refusal_is_recorded_with_its_reason() {
    let (pair, _dir) = started().await;
    let hub = pair.federation.hub(CONSUMER).unwrap();
    for (target, headers, code) in [
        ("/r1/x", &[("X-Road-Client", REGISTER)][..], "server.clientproxy.bad_request"),
        ("/r2/UZ", &[], "server.clientproxy.invalid_protocol_version"),
        ("/r1/UZ/GOV/TAX/tax/echo", &[], "server.clientproxy.invalid_client_identifier"),
        (
            "/r1/UZ/GOV/TAX/tax/none",
            &[("X-Road-Client", REGISTER)],
            "server.serverproxy.unknown_service",
        ),
    ] {
        let answers = pair.say(&raw::request("GET", target, headers, b"")).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&answers[0].body).unwrap();
        let last = records(hub.log()).pop().unwrap();
        assert_eq!((last.kind, last.outcome.as_str()), (Kind::Refusal, code));
        assert_eq!(
            last.exchange.as_deref(),
            body["detail"].as_str(),
            "the reference finds the record"
        );
    }
    let provider = records(pair.federation.hub(PROVIDER).unwrap().log()).pop().unwrap();
    assert_eq!(provider.outcome, "server.serverproxy.unknown_service");
}

fn code(answer: &Message) -> Option<&str> {
    answer.header("x-road-error")
}

#[tokio::test]
async fn source_is_not_asked_when_the_provider_cannot_record() {
    let (pair, _dir) = started().await;
    pair.federation.hub(PROVIDER).unwrap().log().close().await;
    let answer = pair.ask("POST", "/a", &[], b"question").await.unwrap();
    assert_eq!(code(&answer), Some("server.serverproxy.logging_failed"));
    assert!(pair.source.take().is_empty(), "promise P1");
    // A refusal that cannot be recorded is no refusal either.
    let refused =
        raw::request("GET", "/r1/UZ/GOV/TAX/tax/none", &[("X-Road-Client", REGISTER)], b"");
    let refused = pair.say(&refused).await.unwrap();
    assert_eq!(code(&refused[0]), Some("server.serverproxy.logging_failed"));
}

#[tokio::test]
async fn answer_is_not_released_when_the_consumer_cannot_record() {
    let (pair, _dir) = started().await;
    pair.federation.hub(CONSUMER).unwrap().log().close().await;
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    assert_eq!(code(&answer), Some("server.clientproxy.logging_failed"));
    assert_eq!(answer.header("koprik-receipt"), None);
    let refused = pair.say(&raw::request("GET", "/r1/x", &[], b"")).await.unwrap();
    assert_eq!(code(&refused[0]), Some("server.clientproxy.logging_failed"));
}

/// Closes a hub's log after the source has been asked and before it answers.
async fn ask_while_the_log_fails(hub: &str) -> Message {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let unused = Source::plain().await.unwrap();
    let pair = Pair::start_with(dir.path(), unused, 0, |config| {
        config.services.iter_mut().for_each(|service| service.url = format!("http://{address}"));
    });
    let pair = pair.await.unwrap();
    let log = pair.federation.hub(hub).unwrap().log().clone();
    let source = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0, "the source is asked");
        log.close().await;
        stream.write_all(&source::answer(200, &[], b"the secret answer")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(pair.ask("GET", "/a", &[], b""), source);
    answer.unwrap()
}

#[tokio::test]
async fn answer_stays_inside_when_a_log_fails_after_the_question() {
    for (hub, expected) in [
        (PROVIDER, "server.serverproxy.logging_failed"),
        (CONSUMER, "server.clientproxy.logging_failed"),
    ] {
        let answer = ask_while_the_log_fails(hub).await;
        assert_eq!(code(&answer), Some(expected), "promise P2: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
}

fn read_checkpoint(note: &str) -> Checkpoint {
    Note::parse(note).unwrap().text().parse().unwrap()
}

async fn newest_checkpoint(hub: &RunningHub) -> Checkpoint {
    let last = hub.log().size() - 1;
    read_checkpoint(&hub.log().checkpoint_covering(last).await.unwrap())
}

#[tokio::test]
async fn restarted_hub_has_every_record_and_its_log_goes_on_from_the_same_tree() {
    let (mut pair, _dir) = started().await;
    for name in [CONSUMER, PROVIDER] {
        for _ in 0..3 {
            pair.ask("GET", "/a", &[], b"").await.unwrap();
        }
        let hub = pair.federation.hub(name).unwrap();
        let (before, old) = (records(hub.log()), newest_checkpoint(hub).await);
        pair.federation.stop_hub(name).await;
        pair.federation.start_hub(name).await.unwrap();
        assert_eq!(pair.ask("GET", "/b", &[], b"").await.unwrap().status(), 200);
        let hub = pair.federation.hub(name).unwrap();
        let after = records(hub.log());
        assert_eq!(after[..before.len()], before, "{name}");
        assert!(after.len() >= before.len() + 3, "start, request and answer follow");
        let new = newest_checkpoint(hub).await;
        let proof = hub.log().consistency_proof(old.size, new.size).unwrap();
        let grown = merkle::Extension {
            old_size: old.size,
            old_root: &old.root,
            new_size: new.size,
            new_root: &new.root,
        };
        merkle::verify_consistency(grown, &proof).unwrap();
        assert_eq!(hub.log().audit().unwrap(), new.size);
    }
}

/// Collects what the programs log.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The people of this test: no other data has these texts.
const PINFL: &str = "31505850010011";
const NAME: &str = "Kenjayeva-Zulfizar";

/// A text plain, and as base64 at each of the three alignments.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let inner = |skip: usize| {
        let cut = &text[(3 - skip) % 3..];
        let whole = cut.len() / 3 * 3;
        schemas::encoding::base64(&cut.as_bytes()[..whole]).into_bytes()
    };
    [vec![text.as_bytes().to_vec()], (0..3).map(inner).collect()].concat()
}

fn assert_clean(bytes: &[u8], place: &str) {
    for text in [PINFL, NAME] {
        for spelling in spellings(text) {
            let found = bytes.windows(spelling.len()).any(|window| window == spelling);
            assert!(!found, "{text} stands in {place} as {}", String::from_utf8_lossy(&spelling));
        }
    }
}

/// Looks at every file below `dir`, and at its name; gives how many it has seen.
fn assert_clean_below(dir: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert_clean(path.to_string_lossy().as_bytes(), "a file name");
        if path.is_dir() {
            count += assert_clean_below(&path);
        } else {
            count += 1;
            assert_clean(&std::fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
    count
}

/// Calls that name the person in every place that a caller can reach, right and wrong.
async fn call_about_the_person(pair: &Pair) -> Vec<Message> {
    let mut answers = Vec::new();
    let tax = "/r1/UZ/GOV/TAX/tax/tax";
    let query = "?from=2025-12&to=2026-02";
    let client = ("X-Road-Client", REGISTER);
    let user = ("X-Road-UserId", NAME);
    let purpose = ("Koprik-Purpose", NAME);
    type Case<'a> = (&'a str, String, Vec<(&'a str, &'a str)>);
    let cases: Vec<Case<'_>> = vec![
        (
            "GET",
            format!("{tax}/persons/{PINFL}/income{query}"),
            vec![client, user, ("X-Road-Id", PINFL)],
        ),
        (
            "GET",
            format!("/r1/{ECHO}/{PINFL}/{NAME}?x={PINFL}"),
            vec![client, user, ("X-Road-Issue", PINFL)],
        ),
        ("POST", format!("/r1/{ECHO}/{NAME}"), vec![client]),
        ("GET", format!("{tax}/persons/{PINFL}/secret"), vec![client]),
        ("POST", format!("{tax}/persons/{PINFL}/income{query}"), vec![client]),
        ("GET", format!("{tax}/persons/{PINFL}/income{query}&from={PINFL}"), vec![client]),
        ("GET", format!("{tax}/persons/{PINFL}//income{query}"), vec![client]),
        ("GET", format!("{tax}/persons/{PINFL}/income{query}"), vec![client, purpose]),
        ("GET", format!("{tax}/persons/{PINFL}/income{query}"), vec![("X-Road-Client", NAME)]),
        (
            "GET",
            format!("{tax}/persons/{PINFL}/income"),
            vec![("X-Road-Client", "UZ/GOV/31505850010011/x")],
        ),
        ("GET", format!("/r1/UZ/GOV/TAX/{PINFL}/income"), vec![client]),
        ("GET", format!("/r1/UZ/GOV/TAX/tax/{PINFL}/income"), vec![client]),
        ("GET", format!("/r1/{PINFL}/{NAME}"), vec![client]),
        ("GET", format!("/{PINFL}"), vec![client]),
    ];
    for (method, target, headers) in cases {
        let body =
            if method == "POST" { format!("{{\"pinfl\":\"{PINFL}\"}}") } else { String::new() };
        let request = raw::request(method, &target, &headers, body.as_bytes());
        answers.extend(pair.say(&request).await.unwrap());
    }
    assert_eq!(answers.len(), 14);
    answers
}

async fn operator_reads(federation: &Federation, hub: &str, path: &str) -> Vec<u8> {
    let hub = federation.hub(hub).unwrap();
    let token = format!("Bearer {}", hub.admin_token());
    let request = raw::request("GET", path, &[("Authorization", &token)], b"");
    raw::talk(hub.addresses().admin, &request).await.unwrap()
}

#[tokio::test]
async fn nobody_is_named_in_logs_metrics_error_texts_records_or_files() {
    let collected = Collected::default();
    let writer = collected.clone();
    let ours = "info,hub_server=trace,hub_core=trace,hub_messagelog=trace,hub_central=trace,\
                adapter_kit=trace,pki=trace,schemas=trace,federation=trace";
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(ours)
        .with_writer(move || writer.clone())
        .finish();
    // This test's runtime has one thread, so that this catches all its tasks and none of another test's.
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let dir = tempfile::tempdir().unwrap();
    let name = format!("{{\"name\":\"{NAME}\",\"pinfl\":\"{PINFL}\"}}");
    let body = name.repeat(10_000).into_bytes();
    let source =
        Source::start(move |_| source::answer(200, &[("X-Note", "said")], &body)).await.unwrap();
    let mut pair = Pair::start_with(dir.path(), source, 65_536, |_| ()).await.unwrap();
    pair.federation.start_adapter("tax").await.unwrap();
    let answers = call_about_the_person(&pair).await;
    assert!(answers.iter().take(3).all(|answer| code(answer).is_none()), "three are answered");
    for answer in answers.iter().skip(3) {
        assert!(answer.status() >= 400, "{answer:?}");
        assert_clean(&answer.body, "an error text");
    }
    for hub in [CONSUMER, PROVIDER] {
        for path in ["/metrics", "/health", "/v1/records?limit=1000"] {
            let read = operator_reads(&pair.federation, hub, path).await;
            assert!(read.starts_with(b"HTTP/1.1 200"), "{hub} {path}");
            assert_clean(&read, path);
        }
        for record in records(pair.federation.hub(hub).unwrap().log()) {
            assert_clean(&record.to_leaf(), "a record");
        }
        let spool = pair.federation.layout.hubs[hub].dir.join("data/spool");
        assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0, "the spool keeps nothing");
    }
    let logged = String::from_utf8(collected.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("exchange refused"), "the programs' log is collected: {logged}");
    assert_clean(logged.as_bytes(), "the programs' log");
    let layout = pair.federation.layout.clone();
    pair.federation.stop().await;
    let mut files = 0;
    for hub in layout.hubs.values() {
        files += assert_clean_below(&hub.dir);
    }
    files += assert_clean_below(&layout.dir.join("central"));
    assert!(files > 20, "the search has looked at {files} files");
}

#[test]
#[should_panic(expected = "stands in a test")]
fn the_search_finds_base64_too() {
    let sealed = schemas::encoding::base64(format!("x{{\"name\":\"{NAME}\"}}").as_bytes());
    assert_clean(sealed.as_bytes(), "a test");
}
