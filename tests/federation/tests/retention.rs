//! Retention: what is kept is sealed, what is due is erased, and every proof still verifies (promise P6).
//!
//! With `KOPRIK_RAW_IMAGE=1`, as root, one test also searches the raw blocks of a file system that held
//! the hubs: it is made in a file, mounted on a loop device (mkfs.ext4, mount), and unmounted again.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use federation::operator::Operator;
use federation::pair::{CONSUMER, ECHO, PROVIDER};
use federation::{Pair, Source};
use hub_messagelog::check::{CheckOptions, Root, check};
use hub_server::HubConfig;
use hub_server::config::RetentionClass;
use schemas::clock::{Clock, UnixMillis};
use schemas::tlog::merkle::{leaf_hash, verify_inclusion};
use schemas::tlog::{Checkpoint, NoteVerifier};
use serde_json::Value;

/// An hour before the year 2027 (UTC).
const LAST_HOUR: UnixMillis = UnixMillis(1_798_757_999_000 - 3_599_000);
/// What a caller says; none of it stands anywhere as it is.
const BODY: &str = "marker-of-the-body-Kamola";
const USER: &str = "marker-of-the-user-officer-7";
const MESSAGE: &str = "marker-of-the-message-42";
const PINFL: &str = "31001851234567";
/// The class of [`ECHO`] where a test has one.
const CLASS: &str = "payment";

struct Stage {
    pair: Pair,
    clock: Clock,
    dir: tempfile::TempDir,
}

impl Stage {
    /// Two hubs that keep bodies; the provider's configuration is changed before the start.
    async fn begin(edit: impl FnOnce(&mut HubConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_owned();
        Self::begin_in(&place, dir, edit).await
    }

    async fn begin_in(
        place: &Path,
        dir: tempfile::TempDir,
        edit: impl FnOnce(&mut HubConfig),
    ) -> Self {
        let clock = Clock::manual(LAST_HOUR);
        let source = Source::plain().await.unwrap();
        let pair = Pair::start_under(clock.clone(), place, source, (65_536, edit));
        Self { pair: pair.await.unwrap(), clock, dir }
    }

    async fn exchange(&self) -> String {
        let headers = [("X-Road-UserId", USER), ("X-Road-Id", MESSAGE)];
        let path = format!("/persons/{PINFL}");
        let answer = self.pair.ask("POST", &path, &headers, BODY.as_bytes()).await.unwrap();
        assert_eq!(answer.header("x-road-error"), None);
        answer.header("x-road-request-id").unwrap().to_owned()
    }

    fn data(&self, hub: &str) -> PathBuf {
        let place = self.pair.federation.layout.place(hub).unwrap();
        HubConfig::load(&place.config).unwrap().data_dir
    }

    fn operator(&self, hub: &str) -> Operator {
        Operator::of(self.pair.federation.hub(hub).unwrap())
    }

    async fn evidence_status(&self, hub: &str, exchange: &str) -> (u16, String) {
        let answer = self.operator(hub).get(&format!("/v1/evidence/{exchange}")).await.unwrap();
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn outcomes(&self, hub: &str, outcome: &str) -> usize {
        self.operator(hub).outcomes(outcome).await.unwrap().len()
    }

    /// Waits until the hub has recorded an act.
    async fn acted(&self, hub: &str, act: &str) {
        let watch = Clock::machine().stopwatch();
        while self.outcomes(hub, act).await == 0 {
            assert!(watch.elapsed() < Duration::from_secs(10), "{hub} does not record {act}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The record at an index and its inclusion in the latest checkpoint.
    async fn prove(&self, hub: &str, index: u64) -> Value {
        let operator = self.operator(hub);
        let answer = operator.get(&format!("/v1/proof/inclusion?index={index}")).await.unwrap();
        let proof = answer.json().unwrap();
        let log = self.pair.federation.hub(hub).unwrap().log();
        let note = proof["checkpoint"].as_str().unwrap();
        let Checkpoint { size, root, .. } =
            Checkpoint::open(note, log.origin(), log.verifier()).unwrap();
        let leaf = proof["leaf"].as_str().unwrap();
        let hashes: Vec<_> = serde_json::from_value(proof["proof"].clone()).unwrap();
        verify_inclusion(&leaf_hash(leaf.as_bytes()), index, size, &hashes, &root).unwrap();
        serde_json::from_str(leaf).unwrap()
    }

    /// Stops the hub and checks its whole log; gives the checkpoint.
    async fn check_stopped(&mut self, hub: &str) -> Checkpoint {
        let verifier: NoteVerifier =
            self.pair.federation.hub(hub).unwrap().log().verifier().clone();
        self.pair.federation.stop_hub(hub).await;
        let options = CheckOptions {
            dir: self.data(hub).join("log"),
            verifier: Some(verifier),
            record: hub_server::check_stored,
            threads: 2,
        };
        let report = check(&options, |_| ()).unwrap();
        assert!(report.is_good() && report.root == Root::Same, "{report:?}");
        report.checkpoint.unwrap()
    }
}

/// All files below a directory, with their bytes.
fn files(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
}

fn holders(dir: &Path, secret: &[u8]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    files(dir, &mut all);
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
    all.into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
}

#[tokio::test]
async fn erased_evidence_is_gone_from_every_file_and_every_proof_still_verifies() {
    let mut stage = Stage::begin(|_| ()).await;
    let exchange = stage.exchange().await;
    for hub in [CONSUMER, PROVIDER] {
        assert_eq!(stage.evidence_status(hub, &exchange).await.0, 200);
        let before = stage.pair.federation.hub(hub).unwrap().log().size();
        // As plain text it was never there, key or not.
        let data = stage.data(hub);
        for plain in [BODY, USER, MESSAGE, PINFL] {
            assert_eq!(holders(&data, plain.as_bytes()), Vec::<PathBuf>::new(), "{hub}: {plain}");
        }
        let key_file = data.join("keys/evidence-2026.key");
        let key = std::fs::read(&key_file).unwrap();
        assert_eq!(holders(&data, &key), [key_file], "{hub}: the search finds what is there");

        let operator = stage.operator(hub);
        let asked = operator.post("/v1/erase?key=evidence-2026").await.unwrap();
        assert_eq!(asked.status, 400, "not without the confirmation");
        assert_eq!(stage.evidence_status(hub, &exchange).await.0, 200);
        let unknown = operator.post("/v1/erase?key=evidence-1999&confirm=evidence-1999").await;
        assert_eq!(unknown.unwrap().status, 404);
        let erase = "/v1/erase?key=evidence-2026&confirm=evidence-2026";
        let open = stage.operator(hub).with_token(None).post(erase).await.unwrap();
        assert_eq!(open.status, 401);
        assert_eq!(operator.post(erase).await.unwrap().status, 200);

        let (status, words) = stage.evidence_status(hub, &exchange).await;
        assert_eq!(status, 410, "{words}");
        assert!(words.contains("was erased") && words.contains("evidence-2026"), "{words}");
        for act in ["erasing:evidence-2026", "erased:evidence-2026"] {
            assert_eq!(stage.outcomes(hub, act).await, 1, "{hub}: {act}");
        }
        for index in 0..before {
            stage.prove(hub, index).await;
        }
        let checkpoint = stage.check_stopped(hub).await;
        assert!(checkpoint.size > before);
        assert_eq!(holders(&data, &key), Vec::<PathBuf>::new(), "{hub}: the key is gone");
        stage.pair.federation.start_hub(hub).await.unwrap();
        assert_eq!(stage.evidence_status(hub, &exchange).await.0, 410);
    }
    // Evidence of later exchanges is sealed with another key.
    let later = stage.exchange().await;
    assert_eq!(stage.evidence_status(PROVIDER, &later).await.0, 200);
}

#[tokio::test]
async fn due_keys_are_destroyed_by_themselves_and_another_class_is_kept() {
    let mut stage = Stage::begin(|config| {
        config.log.retention_evidence_years = Some(0);
        config.log.retention_pseudonym_years = Some(0);
        config.log.classes = vec![RetentionClass {
            code: CLASS.to_owned(),
            services: vec![ECHO.parse().unwrap()],
            retention_evidence_years: Some(10),
        }];
    })
    .await;
    let paid = stage.exchange().await;
    // A metadata service is in no class.
    let client = [("X-Road-Client", federation::agencies::REGISTER)];
    let request = federation::raw::request("GET", "/r1/UZ/GOV/TAX/tax/listMethods", &client, b"");
    let answers = stage.pair.say(&request).await.unwrap();
    let usual = answers[0].header("x-road-request-id").unwrap().to_owned();
    for exchange in [&paid, &usual] {
        assert_eq!(stage.evidence_status(PROVIDER, exchange).await.0, 200);
    }
    assert_eq!(stage.outcomes(PROVIDER, "erased:evidence-2026").await, 0, "not before its time");
    stage.clock.advance(Duration::from_secs(2 * 3600));
    // It looks once an hour, and at its start.
    stage.pair.federation.stop_hub(PROVIDER).await;
    stage.pair.federation.start_hub(PROVIDER).await.unwrap();
    for key in ["evidence-2026", "pseudonym-2026"] {
        stage.acted(PROVIDER, &format!("erased:{key}")).await;
        assert_eq!(stage.outcomes(PROVIDER, &format!("erasing:{key}")).await, 1);
    }
    assert_eq!(stage.evidence_status(PROVIDER, &usual).await.0, 410);
    assert_eq!(stage.evidence_status(PROVIDER, &paid).await.0, 200, "the class is kept");
    let steps = stage.operator(PROVIDER).explain(&paid).await.unwrap();
    assert!(steps.iter().all(|step| step["record"]["class"] == CLASS), "{steps:?}");
    stage.check_stopped(PROVIDER).await;
    let keys = stage.data(PROVIDER).join("keys");
    let mut names: Vec<_> = std::fs::read_dir(keys)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains("2027"))
        .collect();
    names.sort();
    assert_eq!(names, ["evidence-payment-2026.key"]);
}

#[tokio::test]
async fn a_destruction_that_a_crash_cut_short_is_recorded_at_the_next_start() {
    let mut stage = Stage::begin(|_| ()).await;
    let exchange = stage.exchange().await;
    stage.pair.federation.stop_hub(PROVIDER).await;
    let keys = stage.data(PROVIDER).join("keys");
    std::fs::remove_file(keys.join("evidence-2026.key")).unwrap();
    std::fs::write(keys.join("evidence-2026.gone"), b"").unwrap();
    stage.pair.federation.start_hub(PROVIDER).await.unwrap();
    stage.acted(PROVIDER, "erased:evidence-2026").await;
    assert_eq!(stage.evidence_status(PROVIDER, &exchange).await.0, 410);
    let watch = Clock::machine().stopwatch();
    while keys.join("evidence-2026.gone").exists() {
        assert!(watch.elapsed() < Duration::from_secs(10), "the mark goes once it is recorded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(stage.dir);
}

/// A file system in a file, mounted; unmounted when dropped.
struct Image {
    file: PathBuf,
    mount: PathBuf,
}

impl Image {
    fn make(dir: &Path) -> Self {
        let image = Self { file: dir.join("raw"), mount: dir.join("mount") };
        std::fs::create_dir(&image.mount).unwrap();
        std::fs::File::create(&image.file).unwrap().set_len(128 << 20).unwrap();
        let (file, mount) = (image.file.to_str().unwrap(), image.mount.to_str().unwrap());
        run("mkfs.ext4", &["-q", file]);
        run("mount", &["-o", "loop", file, mount]);
        image
    }

    fn unmount(&self) {
        run("umount", &[self.mount.to_str().unwrap()]);
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // After a failure only: a mount that is gone is no error here.
        let _ = std::process::Command::new("umount").arg("-q").arg(&self.mount).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = std::process::Command::new(program).args(arguments).status();
    assert!(status.unwrap().success(), "{program}: apt-get install e2fsprogs mount; run as root");
}

fn raw_image_is_asked_for() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the long form of a test is asked for so")]
    let asked = std::env::var("KOPRIK_RAW_IMAGE").is_ok_and(|value| value == "1");
    if !asked {
        println!("short form: raw blocks are searched with KOPRIK_RAW_IMAGE=1, as root");
    }
    asked
}

#[tokio::test]
async fn a_destroyed_key_is_gone_from_the_raw_blocks_of_the_file_system() {
    if !raw_image_is_asked_for() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = Image::make(dir.path());
    let stage = Stage::begin_in(&image.mount, tempfile::tempdir().unwrap(), |_| ()).await;
    stage.exchange().await;
    let [kept, destroyed] = [CONSUMER, PROVIDER]
        .map(|hub| std::fs::read(stage.data(hub).join("keys/evidence-2026.key")).unwrap());
    let erase = "/v1/erase?key=evidence-2026&confirm=evidence-2026";
    assert_eq!(stage.operator(PROVIDER).post(erase).await.unwrap().status, 200);
    stage.pair.federation.stop().await;
    image.unmount();
    let raw = std::fs::read(&image.file).unwrap();
    // Most places end at the first byte, so that a debug build is through in seconds.
    let holds = |secret: &[u8]| {
        let (first, rest) = secret.split_first().unwrap();
        let starts = raw.iter().enumerate().filter(|(_, byte)| *byte == first);
        starts.map(|(at, _)| at).any(|at| raw[at + 1..].starts_with(rest))
    };
    assert!(holds(&kept), "the search finds what is there");
    assert!(!holds(&destroyed), "the destroyed key is in no block");
    for plain in [BODY, USER, MESSAGE, PINFL] {
        assert!(!holds(plain.as_bytes()), "{plain}");
    }
}
