//! Timestamps on checkpoints end to end: failover, evidence, authorities that are away or lie.
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` → source
//!                  └ checkpoints ┘ → timestamp authorities: dead, hanging, lying, sound
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use federation::operator::Operator;
use federation::pair::{CONSUMER, PROVIDER};
use federation::{Pair, Source, source, stamps};
use hub_central::{RunningTimestampAuthority, TimestampAuthorityConfig, start_timestamp_authority};
use hub_core::evidence::{self, Proved, Step};
use pki::authority::{Authority, Validity};
use schemas::clock::Clock;
use schemas::configuration::{Anchor, TimestampAuthority};
use schemas::evidence::EvidenceFile;
use schemas::limits::TIMESTAMP_TIMEOUT;
use tokio::net::TcpListener;

/// Longer than a round of all authorities takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A federation of two hubs with an issuer of timestamp certificates.
struct Stage {
    pair: Pair,
    issuer: Authority,
    validity: Validity,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source =
            Source::start(|_| source::answer(200, &[("Content-Type", "text/plain")], b"hi"));
        let pair = Pair::start_with(dir.path(), source.await.unwrap(), 0, |_| ()).await.unwrap();
        let validity = Validity { from: Clock::machine().now(), days: 9 };
        let issuer = Authority::ephemeral("Timestamp issuer", validity).unwrap();
        Self { pair, issuer, validity, dir }
    }

    /// A sound authority that runs, and its place in the configuration.
    async fn authority(&self, name: &str) -> (RunningTimestampAuthority, TimestampAuthority) {
        let (folder, any) = (self.dir.path().join(name), "127.0.0.1:0".parse().unwrap());
        let (file, certificate) = stamps::write(&folder, any, &self.issuer, self.validity).unwrap();
        let config = TimestampAuthorityConfig::load(&file).unwrap();
        let running = start_timestamp_authority(config, Clock::machine()).await.unwrap();
        let listed = stamps::listed(name, running.address, &certificate);
        (running, listed)
    }

    /// An authority in the configuration that is somewhere else, or nowhere.
    fn at(&self, name: &str, address: SocketAddr) -> TimestampAuthority {
        let elsewhere = Authority::ephemeral("Elsewhere", self.validity).unwrap();
        stamps::listed(name, address, elsewhere.certificate())
    }

    async fn list(&self, authorities: Vec<TimestampAuthority>) {
        let edit = |content: &mut schemas::configuration::Content| {
            content.timestamp_authorities = authorities;
        };
        self.pair.federation.publish(edit).await.unwrap();
    }

    /// Makes an exchange and gives its id.
    async fn exchange(&self) -> String {
        let answer = self.pair.ask("GET", "/a", &[], b"").await.unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.header("x-road-request-id").unwrap().to_owned()
    }

    fn operator(&self, hub: &str) -> Operator {
        Operator::of(self.pair.federation.hub(hub).unwrap())
    }

    /// The evidence of an exchange once it has a timestamp.
    async fn stamped_evidence(&self, hub: &str, exchange: &str) -> EvidenceFile {
        let watch = Clock::machine().stopwatch();
        loop {
            let answer = self.operator(hub).get(&format!("/v1/evidence/{exchange}")).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            let file: EvidenceFile = serde_json::from_slice(&answer.body).unwrap();
            if file.timestamp.is_some() {
                return file;
            }
            assert!(watch.elapsed() < DEADLINE, "no timestamp");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn verify(&self, file: &EvidenceFile) -> Result<Proved, evidence::EvidenceRefusal> {
        let anchor = std::fs::read_to_string(&self.pair.federation.layout.anchor).unwrap();
        let anchor: Anchor = serde_json::from_str(&anchor).unwrap();
        evidence::verify(evidence::to_text(file).as_bytes(), &anchor)
    }

    /// The stamped checkpoints on a hub's disk.
    fn folder(&self, hub: &str) -> PathBuf {
        self.pair.federation.layout.place(hub).unwrap().dir.join("data/log/timestamps")
    }

    fn is_empty(&self, hub: &str) -> bool {
        std::fs::read_dir(self.folder(hub)).unwrap().count() == 0
    }

    async fn warnings(&self, hub: &str) -> String {
        let health = self.operator(hub).get("/health").await.unwrap();
        assert_eq!(health.status, 200, "a warning is no failure: {health:?}");
        health.json().unwrap()["warnings"].to_string()
    }
}

/// An address where nothing listens.
async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn dead_authority_is_passed_over_and_the_token_of_the_next_stands_in_the_evidence() {
    let mut stage = Stage::start().await;
    let (sound, listed) = stage.authority("second").await;
    stage.list(vec![stage.at("first", dead().await), listed]).await;
    let before = Clock::machine().now();
    let exchange = stage.exchange().await;
    let watch = Clock::machine().stopwatch();
    while stage.is_empty(CONSUMER) || stage.is_empty(PROVIDER) {
        assert!(watch.elapsed() < DEADLINE, "no timestamp");
        // The second is asked in the same round: at no time is nobody there.
        assert_eq!(stage.warnings(CONSUMER).await, "[]");
        assert_eq!(stage.warnings(PROVIDER).await, "[]");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for hub in [CONSUMER, PROVIDER] {
        let file = stage.stamped_evidence(hub, &exchange).await;
        let proved = stage.verify(&file).unwrap();
        let stamped = proved.timestamp.unwrap();
        assert_eq!(stamped.authority, "second");
        assert!(stamped.time >= before && stamped.time <= Clock::machine().now());
        assert!(proved.steps.contains(&Step::Timestamp));
        assert!(!proved.not_proved.iter().any(|text| text.contains("no timestamp")));
        assert_eq!(stage.warnings(hub).await, "[]");
        let metrics = stage.operator(hub).get("/metrics").await.unwrap();
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        assert!(metrics.contains("\nkoprik_timestamp_age_seconds "), "{metrics}");
        openssl_accepts_the_stored_tokens(&stage, hub);
    }
    // A restart finds what was stamped; nobody has to answer for it.
    sound.stop().await;
    stage.pair.federation.stop_hub(CONSUMER).await;
    stage.pair.federation.start_hub(CONSUMER).await.unwrap();
    let file = stage.stamped_evidence(CONSUMER, &exchange).await;
    assert!(stage.verify(&file).unwrap().timestamp.is_some());
}

/// Every stored reply verifies over its stored checkpoint, and over no other bytes.
fn openssl_accepts_the_stored_tokens(stage: &Stage, hub: &str) {
    let issuer = stage.dir.path().join("issuer.pem");
    std::fs::write(&issuer, stage.issuer.certificate().to_pem()).unwrap();
    let folder = stage.folder(hub);
    let openssl = |reply: &str, data: &str| {
        let mut command = Command::new("openssl");
        command
            .current_dir(&folder)
            .args(["ts", "-verify", "-in", reply, "-data", data, "-CAfile"]);
        let output = command.arg(&issuer).output();
        output.expect("openssl is missing; install it: apt-get install openssl").status.success()
    };
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(size) = name.strip_suffix(".tsr") else { continue };
        assert!(openssl(&name, &format!("{size}.checkpoint")), "{name}");
        assert!(!openssl(&name, &name), "{name} over itself");
        count += 1;
    }
    assert!(count > 0);
}

#[tokio::test]
async fn changed_moved_and_foreign_timestamps_are_refused_and_a_removed_one_is_missed() {
    let stage = Stage::start().await;
    let (sound, listed) = stage.authority("stamps").await;
    stage.list(vec![listed]).await;
    let first = stage.exchange().await;
    let first = stage.stamped_evidence(CONSUMER, &first).await;
    let second = stage.exchange().await;
    let second = stage.stamped_evidence(CONSUMER, &second).await;
    let token = first.timestamp.clone().unwrap();
    let with = |timestamp: Option<String>| EvidenceFile { timestamp, ..first.clone() };
    let refused = |file: &EvidenceFile| {
        let step = stage.verify(file).map(|_| ()).unwrap_err().step;
        assert_eq!(step, Step::Timestamp);
    };
    assert_ne!(first.checkpoint, second.checkpoint);
    refused(&with(second.timestamp.clone()));
    refused(&with(Some(String::new())));
    refused(&with(Some(token[..token.len() - 4].to_owned())));
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        refused(&with(Some(String::from_utf8(changed).unwrap())));
    }
    let removed = stage.verify(&with(None)).unwrap();
    assert!(removed.timestamp.is_none() && !removed.steps.contains(&Step::Timestamp));
    assert!(removed.not_proved.iter().any(|text| text.contains("there is no timestamp")));
    // An authority that the configuration of the exchange does not list proves nothing.
    let stranger = Stage::start().await;
    let (theirs, listed) = stranger.authority("stamps").await;
    stranger.list(vec![listed]).await;
    let foreign = stranger.exchange().await;
    refused(&with(stranger.stamped_evidence(CONSUMER, &foreign).await.timestamp));
    theirs.stop().await;
    sound.stop().await;
}

#[tokio::test]
async fn exchange_before_an_authority_was_listed_has_evidence_without_timestamp() {
    let stage = Stage::start().await;
    let before = stage.exchange().await;
    let (sound, listed) = stage.authority("stamps").await;
    stage.list(vec![listed]).await;
    let after = stage.exchange().await;
    stage.stamped_evidence(CONSUMER, &after).await;
    let answer = stage.operator(CONSUMER).get(&format!("/v1/evidence/{before}")).await.unwrap();
    let file: EvidenceFile = serde_json::from_slice(&answer.body).unwrap();
    assert!(file.timestamp.is_none(), "its configuration lists no authority that could be checked");
    assert!(stage.verify(&file).is_ok());
    sound.stop().await;
}

#[tokio::test]
async fn traffic_goes_on_while_every_timestamp_authority_hangs_refuses_or_lies() {
    let stage = Stage::start().await;
    // Accepts connections in the kernel and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let said = |status: u16, body: &'static [u8]| {
        let headers = [("Content-Type", "application/timestamp-reply")];
        Source::start(move |_| source::answer(status, &headers, body))
    };
    let lying = said(200, b"<html>gone</html>").await.unwrap();
    // PKIStatus rejection, failure bit systemFailure.
    let refusing =
        said(200, b"\x30\x0b\x30\x09\x02\x01\x02\x03\x04\x06\x00\x00\x00").await.unwrap();
    let failing = said(500, b"").await.unwrap();
    let bad = |stage: &Stage| {
        vec![
            stage.at("dead", "127.0.0.1:1".parse().unwrap()),
            stage.at("lying", lying.address),
            stage.at("refusing", refusing.address),
            stage.at("failing", failing.address),
            stage.at("hanging", hanging.local_addr().unwrap()),
        ]
    };
    stage.list(bad(&stage)).await;
    let watch = Clock::machine().stopwatch();
    let mut slowest = Duration::ZERO;
    while stage.warnings(CONSUMER).await == "[]" || stage.warnings(PROVIDER).await == "[]" {
        assert!(watch.elapsed() < DEADLINE, "no warning");
        let exchange = Clock::machine().stopwatch();
        stage.exchange().await;
        slowest = slowest.max(exchange.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        watch.elapsed() >= TIMESTAMP_TIMEOUT,
        "the hanging one was waited for, in the background"
    );
    assert!(slowest < TIMESTAMP_TIMEOUT / 2, "an exchange took {slowest:?}");
    assert!(!lying.take().is_empty() && !refusing.take().is_empty() && !failing.take().is_empty());
    assert!(stage.is_empty(CONSUMER) && stage.is_empty(PROVIDER), "nothing is kept");
    // The first that answers stamps the latest checkpoint, and the warning goes.
    let (sound, listed) = stage.authority("sound").await;
    let mut authorities = bad(&stage);
    authorities.push(listed);
    stage.list(authorities).await;
    let exchange = stage.exchange().await;
    let file = stage.stamped_evidence(CONSUMER, &exchange).await;
    assert_eq!(stage.verify(&file).unwrap().timestamp.unwrap().authority, "sound");
    assert_eq!(stage.warnings(CONSUMER).await, "[]");
    sound.stop().await;
    // Where none is listed any more, none is missed.
    stage.list(vec![stage.at("dead", dead().await)]).await;
    stage.exchange().await;
    warned(&stage, true).await;
    stage.list(Vec::new()).await;
    warned(&stage, false).await;
}

async fn warned(stage: &Stage, wanted: bool) {
    let watch = Clock::machine().stopwatch();
    while (stage.warnings(CONSUMER).await != "[]") != wanted {
        assert!(watch.elapsed() < DEADLINE, "warned: {}", !wanted);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn authority_that_was_away_stamps_later_what_others_have_stamped_meanwhile() {
    let stage = Stage::start().await;
    let (sound, listed) = stage.authority("first").await;
    let mut away = listed.clone();
    away.url = stage.at("first", dead().await).url;
    stage.list(vec![away]).await;
    let exchange = stage.exchange().await;
    let (other, other_listed) = stage.authority("other").await;
    stage.list(vec![other_listed]).await;
    for _ in 0..12 {
        let later = stage.exchange().await;
        stage.stamped_evidence(CONSUMER, &later).await;
    }
    stage.list(vec![listed]).await;
    stage.exchange().await;
    let file = stage.stamped_evidence(CONSUMER, &exchange).await;
    assert_eq!(stage.verify(&file).unwrap().timestamp.unwrap().authority, "first");
    sound.stop().await;
    other.stop().await;
}
