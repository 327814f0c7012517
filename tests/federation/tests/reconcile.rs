//! Both sides' message logs, compared by their exports: what is explained, and what is found.
//!
//! ```text
//! raw bytes → hub `register` → hub `tax` → source
//!                 └ log → export ┐  └ log → export
//!                                └─ compare ─┘
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use federation::agencies::REGISTER;
use federation::operator::Operator;
use federation::pair::{CONSUMER, PROVIDER};
use federation::raw::{self, Message};
use federation::{Pair, Source};
use hub_core::reconcile::Cause;
use hub_server::HubConfig;
use hub_server::reconcile::{Asked, Report, compare, export_stopped};
use schemas::clock::{Clock, UnixMillis};
use schemas::reconcile::{Between, Header, margin};

const START: UnixMillis = UnixMillis(1_793_000_000_000);

struct Stage {
    pair: Pair,
    clock: Clock,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn begin() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
        let source = Source::plain().await.unwrap();
        let start =
            Pair::start_under(clock.clone(), dir.path(), source, (0, |_: &mut HubConfig| ()));
        Self { pair: start.await.unwrap(), clock, dir }
    }

    /// An exchange that is answered; gives its id.
    async fn exchange(&self) -> String {
        self.clock.advance(Duration::from_secs(2));
        let answer = self.pair.ask("POST", "/a", &[], b"question").await.unwrap();
        assert_eq!(answer.header("x-road-error"), None);
        answer.header("x-road-request-id").unwrap().to_owned()
    }

    async fn refused(&self, target: &str) -> Message {
        self.clock.advance(Duration::from_secs(2));
        let request = raw::request("GET", target, &[("X-Road-Client", REGISTER)], b"");
        self.pair.say(&request).await.unwrap().remove(0)
    }

    fn data(&self, hub: &str) -> PathBuf {
        let place = self.pair.federation.layout.place(hub).unwrap();
        HubConfig::load(&place.config).unwrap().data_dir
    }

    /// The export of a hub that runs, about the other one.
    async fn export(&self, hub: &str, to: UnixMillis) -> PathBuf {
        let operator = Operator::of(self.pair.federation.hub(hub).unwrap());
        let peer = if hub == CONSUMER { "UZ/GOV/TAX" } else { "UZ/GOV/NASP" };
        let (from, to) = (START.to_rfc3339(), to.to_rfc3339());
        let path = format!("/v1/reconcile?peer={peer}&from={from}&to={to}");
        let answer = operator.get(&path).await.unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let file = self.dir.path().join(format!("{hub}.jsonl"));
        std::fs::write(&file, &answer.body).unwrap();
        file
    }

    /// Waits until every exchange is old enough, exports both sides and compares them.
    async fn reconcile(&self) -> (Report, [PathBuf; 2]) {
        self.clock.advance(margin() + Duration::from_secs(10));
        let to = self.clock.now();
        let files = [self.export(CONSUMER, to).await, self.export(PROVIDER, to).await];
        (compare(&files).unwrap(), files)
    }

    /// Puts a hub's data directory back to how it was before `between` ran.
    async fn with_old_copy(&mut self, hub: &str, count: usize) -> Vec<String> {
        let (data, copy) = (self.data(hub), self.dir.path().join("copy"));
        self.pair.federation.stop_hub(hub).await;
        copy_dir(&data, &copy);
        self.pair.federation.start_hub(hub).await.unwrap();
        let mut lost = Vec::new();
        for _ in 0..count {
            lost.push(self.exchange().await);
        }
        self.pair.federation.stop_hub(hub).await;
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&copy, &data).unwrap();
        self.clock.advance(Duration::from_secs(2));
        self.pair.federation.start_hub(hub).await.unwrap();
        lost
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let (file, target) = (file.as_ref().unwrap().path(), to.join(file.unwrap().file_name()));
        if file.is_dir() {
            copy_dir(&file, &target)
        } else {
            std::fs::copy(&file, target).map(|_| ()).unwrap()
        }
    }
}

type Counts = Vec<(Cause, u64)>;

fn counts(report: &Report) -> (u64, Counts, Counts) {
    let list = |counts: &std::collections::BTreeMap<Cause, u64>| {
        counts.iter().map(|(cause, count)| (*cause, *count)).collect()
    };
    (report.matched, list(&report.explained), list(&report.unexplained))
}

#[tokio::test]
async fn a_clean_run_reconciles_to_zero_and_refusals_are_explained() {
    let mut stage = Stage::begin().await;
    let id = stage.exchange().await;
    stage.exchange().await;
    // Refused by the provider's hub: both have it.
    stage.refused("/r1/UZ/GOV/TAX/tax/none").await;
    // Refused before anything was sent: no business of the other side.
    stage.refused("/r1/x").await;
    stage.pair.federation.stop_hub(PROVIDER).await;
    let unreached = stage.refused("/r1/UZ/GOV/TAX/tax/echo").await;
    assert_eq!(unreached.header("x-road-error"), Some("server.clientproxy.network_error"));
    stage.pair.federation.start_hub(PROVIDER).await.unwrap();
    let (report, files) = stage.reconcile().await;
    assert_eq!(counts(&report), (3, vec![(Cause::NotReached, 1)], vec![]));
    assert!(report.is_clean() && report.open == 0 && report.outside == 0);

    let text = files.each_ref().map(|file| std::fs::read_to_string(file).unwrap());
    for hidden in [&id, "register", "question", "subjects", "message", "user"] {
        assert!(text.iter().all(|text| !text.contains(hidden)), "{hidden}");
    }
    // The directory of a stopped hub gives the same lines.
    let header: Header = serde_json::from_str(text[1].lines().next().unwrap()).unwrap();
    stage.pair.federation.stop_hub(PROVIDER).await;
    let between = Between { member: header.member.clone(), peer: header.peer.clone() };
    let asked = Asked { between, from: header.from, to: header.to };
    let (mut offline, log) = (Vec::new(), stage.data(PROVIDER).join("log"));
    export_stopped(&log, &header.log, header.made, asked, &mut offline).unwrap();
    assert_eq!(String::from_utf8(offline).unwrap(), text[1]);
}

#[tokio::test]
async fn exchanges_lost_by_restoring_an_old_copy_of_the_consumer_are_found() {
    let mut stage = Stage::begin().await;
    stage.exchange().await;
    let lost = stage.with_old_copy(CONSUMER, 3).await;
    stage.exchange().await;
    let (report, _) = stage.reconcile().await;
    assert_eq!(counts(&report), (2, vec![], vec![(Cause::ConsumerStarted, 3)]));
    assert!(!report.is_clean());
    let digest = |id: &String| schemas::digest::Sha256::of(id.as_bytes());
    let found: Vec<_> = report.items.iter().map(|item| item.exchange).collect();
    assert!(lost.iter().all(|id| found.contains(&digest(id))));
}

#[tokio::test]
async fn exchanges_lost_by_restoring_an_old_copy_of_the_provider_are_found() {
    let mut stage = Stage::begin().await;
    stage.exchange().await;
    stage.with_old_copy(PROVIDER, 2).await;
    stage.exchange().await;
    let (report, _) = stage.reconcile().await;
    assert_eq!(counts(&report), (2, vec![], vec![(Cause::ProviderHasNothing, 2)]));
}

#[tokio::test]
async fn what_is_new_or_outside_the_period_is_not_judged() {
    let stage = Stage::begin().await;
    stage.exchange().await;
    let to = stage.clock.now().plus(Duration::from_secs(1));
    stage.exchange().await;
    let whole = [stage.export(CONSUMER, to).await, stage.export(PROVIDER, to).await];
    let report = compare(&whole).unwrap();
    assert_eq!((report.matched, report.outside), (1, 1));
    // The provider's half of the one within is missing, and might still come.
    let text = std::fs::read_to_string(&whole[1]).unwrap();
    let kept: Vec<&str> =
        text.lines().filter(|line| !line.contains("\"side\":\"provider\"")).collect();
    let (end, rest) = kept.split_last().unwrap();
    assert!(end.contains("lines"));
    let cut = format!("{}\n{{\"lines\":{}}}\n", rest.join("\n"), rest.len() - 1);
    std::fs::write(&whole[1], cut).unwrap();
    let report = compare(&whole).unwrap();
    assert_eq!((report.matched, report.open), (0, 1));
    assert!(!report.is_clean() && report.unexplained.is_empty());
}

#[tokio::test]
async fn exports_that_are_cut_or_of_one_side_or_another_period_are_refused() {
    let stage = Stage::begin().await;
    stage.exchange().await;
    let to = stage.clock.now().plus(Duration::from_secs(1));
    let [consumer, provider] = [stage.export(CONSUMER, to).await, stage.export(PROVIDER, to).await];
    let refused = |files: &[&PathBuf]| {
        let files: Vec<PathBuf> = files.iter().map(|file| (*file).clone()).collect();
        compare(&files).unwrap_err().to_string()
    };
    assert!(refused(&[&consumer]).contains("an export of UZ/GOV/TAX about UZ/GOV/NASP"));
    assert!(refused(&[&consumer, &provider, &provider]).contains("given twice"));
    let whole = std::fs::read_to_string(&provider).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for (cut, words) in [
        (lines[..lines.len() - 1].join("\n") + "\n", "its last line is missing"),
        (whole[..whole.len() - 5].to_owned(), "cut or too long"),
        ([&lines[..1], &lines[2..]].concat().join("\n") + "\n", "lines are missing"),
        (format!("{whole}{}\n", lines[1]), "follow its end"),
        (whole.replacen("koprik-reconcile/1", "koprik-reconcile/2", 1), "its form"),
        (whole.replacen("\"kind\"", "\"sort\"", 1).replacen("outcome", "x", 1), "line 2"),
    ] {
        std::fs::write(&provider, cut).unwrap();
        let said = refused(&[&consumer, &provider]);
        assert!(said.contains(words), "{words}: {said}");
    }
    let other = stage.export(PROVIDER, to.plus(Duration::from_secs(1))).await;
    assert!(refused(&[&consumer, &other]).contains("for the same period"));

    let hub = Operator::of(stage.pair.federation.hub(PROVIDER).unwrap());
    let bad =
        hub.get("/v1/reconcile?peer=UZ/GOV/NASP&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z");
    assert_eq!(bad.await.unwrap().status, 400);
    let taken = hub.outcomes("reconciliation-exported").await.unwrap();
    assert_eq!(taken.len(), 2, "taking an export is a record");
    let open = hub.with_token(None).get("/v1/reconcile?peer=UZ/GOV/NASP&from=a&to=b").await;
    assert_eq!(open.unwrap().status, 401);
}
