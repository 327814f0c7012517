//! Witnesses: each hub's log is looked at by the other hub and by the central server.
//!
//! ```text
//! hub `register` ⇄ hub `tax`        add-checkpoint over the connections between security servers
//!        └────► central ◄────┘      add-checkpoint over HTTP; and the cosignatures of its own log, which they bring
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use std::path::Path;
use std::time::Duration;

use federation::operator::Operator;
use federation::pair::{self, CONSUMER, ECHO, PROVIDER};
use federation::witnesses::{alarms, cosigned, gauge, warnings};
use federation::{Federation, Options, Pair, Source, lay_out, raw};
use hub_core::evidence::{self, Step};
use hub_messagelog::MessageLog;
use hub_server::RunningHub;
use pki::signer::NoteKey;
use schemas::clock::{Clock, Stopwatch};
use schemas::configuration::{Anchor, Content, Witness};
use schemas::digest::Sha256;
use schemas::evidence::EvidenceFile;
use schemas::limits::WITNESS_TIMEOUT;
use schemas::record::Record;
use schemas::tlog::{
    Checkpoint, Note, NoteSignature, NoteSigner as _, NoteVerifier, SplitView, WitnessVerifier,
};

async fn started(edit: impl FnOnce(&mut Content)) -> (Pair, Stopwatch, tempfile::TempDir) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::machine());
    let agencies = federation::agencies::Agency::named(PROVIDER).into_iter().collect();
    let (witness_quorum, witness_seconds) = (2, 1);
    let options =
        Options { agencies, witness_quorum, witness_seconds, ..Options::all(clock.now()) };
    let layout = lay_out(dir.path(), &options).unwrap();
    let mut content = layout.read_content().unwrap();
    edit(&mut content);
    layout.write_content(&content).unwrap();
    let source = Source::plain().await.unwrap();
    let (service, grant) = (pair::echo(&source).unwrap(), pair::whole_service(ECHO).unwrap());
    layout
        .edit_hub(PROVIDER, |config| {
            config.services.push(service);
            config.grants.push(grant);
        })
        .unwrap();
    let mut federation = Federation::new(layout, clock.clone());
    federation.start_central().await.unwrap();
    federation.start_hub(PROVIDER).await.unwrap();
    federation.start_hub(CONSUMER).await.unwrap();
    (Pair { federation, source }, clock.stopwatch(), dir)
}

fn hub<'a>(pair: &'a Pair, name: &str) -> &'a RunningHub {
    pair.federation.hub(name).unwrap()
}

async fn asked(pair: &Pair) -> String {
    let answer = pair.ask("GET", "/a", &[], b"").await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.header("x-road-request-id").unwrap().to_owned()
}

/// Waits for what a hub warns of.
async fn warned(hub: &RunningHub, watch: &Stopwatch, wanted: impl Fn(&[String]) -> bool) {
    let begin = watch.elapsed();
    loop {
        let list = warnings(hub).await.unwrap();
        if wanted(&list) {
            return;
        }
        assert!(watch.elapsed() < begin + Duration::from_secs(10), "{list:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn log_key(pair: &Pair, hub: &str) -> NoteVerifier {
    let content = pair.federation.layout.read_content().unwrap();
    let address = pair.federation.layout.place(hub).unwrap().peer.to_string();
    let server = content.servers.iter().find(|server| server.address == address).unwrap();
    server.log_key.parse().unwrap()
}

fn anchor(pair: &Pair) -> Anchor {
    let text = std::fs::read_to_string(&pair.federation.layout.anchor).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn evidence_of(pair: &Pair, hub_name: &str, exchange: &str) -> EvidenceFile {
    let operator = Operator::of(hub(pair, hub_name));
    let answer = operator.get(&format!("/v1/evidence/{exchange}")).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn quorum_cosigns_every_log_and_evidence_says_who_has_seen_it() {
    let (pair, watch, _dir) = started(|_| ()).await;
    let exchange = asked(&pair).await;
    for name in [CONSUMER, PROVIDER] {
        let size = cosigned(hub(&pair, name), &watch).await.unwrap();
        let dir = hub(&pair, name).log().published_dir().to_owned();
        let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap();
        let (key, note) = (log_key(&pair, name), read("checkpoint.cosigned"));
        // Whoever knows the log's key only opens it like the other, and ignores the rest.
        assert_eq!(Checkpoint::open(&note, key.name(), &key).unwrap().size, size);
        assert!(Checkpoint::open(&read("checkpoint"), key.name(), &key).unwrap().size >= size);
        for witness in pair.federation.layout.read_content().unwrap().witnesses {
            let verifier: WitnessVerifier = witness.key.parse().unwrap();
            let own = verifier.name() == format!("{}/witness", key.name());
            assert_eq!(verifier.verify(&Note::parse(&note).unwrap()).is_ok(), !own);
        }
        let file = evidence_of(&pair, name, &exchange).await;
        let proved = evidence::verify(evidence::to_text(&file).as_bytes(), &anchor(&pair)).unwrap();
        assert!(proved.steps.contains(&Step::Witnesses), "{:?}", proved.steps);
        assert_eq!(
            (proved.cosigned.by.len(), proved.cosigned.of, proved.cosigned.quorum),
            (2, 2, 2)
        );
        assert!(warnings(hub(&pair, name)).await.unwrap().is_empty());
        assert!(alarms(hub(&pair, name)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn evidence_takes_cosignatures_in_one_spelling_and_of_listed_witnesses_only() {
    let (pair, watch, _dir) = started(|_| ()).await;
    let exchange = asked(&pair).await;
    cosigned(hub(&pair, CONSUMER), &watch).await.unwrap();
    let file = evidence_of(&pair, CONSUMER, &exchange).await;
    let anchor = anchor(&pair);
    let note = Note::parse(&file.checkpoint).unwrap();
    let [own, a, b] = note.signatures() else { panic!("{}", file.checkpoint) };
    let with = |lines: &[String]| {
        let checkpoint = format!("{}\n{}\n", note.text(), lines.join("\n"));
        let changed = EvidenceFile { checkpoint, ..file.clone() };
        evidence::verify(evidence::to_text(&changed).as_bytes(), &anchor)
    };
    let [own, a, b] = [own, a, b].map(ToString::to_string);
    let count = |lines: &[String]| with(lines).map(|proved| proved.cosigned.by.len()).ok();
    assert_eq!(count(&[own.clone(), a.clone(), b.clone()]), Some(2));
    let one = with(&[own.clone(), b.clone()]).unwrap();
    assert!(!one.steps.contains(&Step::Witnesses));
    assert!(one.not_proved[0].contains("1 of the 2 witnesses"), "{:?}", one.not_proved);
    let none = with(std::slice::from_ref(&own)).unwrap();
    assert!(none.not_proved[0].contains("no witness has cosigned"));
    let stranger = "— somebody AAAAAAE=".to_owned();
    for (lines, why) in [
        (vec![a.clone(), own.clone(), b.clone()], "a witness before the log"),
        (vec![own.clone(), b.clone(), a.clone()], "another order"),
        (vec![own.clone(), a.clone(), a.clone()], "a witness twice"),
        (vec![own.clone(), own.clone(), a.clone()], "the log twice"),
        (vec![own.clone(), a.clone(), stranger], "a stranger"),
        (vec![a.clone(), b.clone()], "no log"),
        (vec![own.clone(), a.replace("AAAA", "AAAB")], "a damaged line"),
    ] {
        assert_eq!(with(&lines).unwrap_err().step, Step::Checkpoint, "{why}");
    }
}

#[tokio::test]
async fn killed_witness_stops_no_traffic_and_is_named_in_a_warning() {
    let (mut pair, watch, _dir) = started(|_| ()).await;
    cosigned(hub(&pair, CONSUMER), &watch).await.unwrap();
    pair.federation.stop_central().await;
    for _ in 0..20 {
        asked(&pair).await;
    }
    let central = |list: &[String]| {
        list.iter().any(|text| text.contains("UZ/central/witness"))
            && list.iter().any(|text| text.contains("too few witnesses"))
    };
    warned(hub(&pair, CONSUMER), &watch, central).await;
    asked(&pair).await;
    pair.federation.start_central().await.unwrap();
    cosigned(hub(&pair, CONSUMER), &watch).await.unwrap();
    warned(hub(&pair, CONSUMER), &watch, <[String]>::is_empty).await;
}

#[tokio::test]
async fn silent_witness_delays_neither_traffic_nor_the_quorum_of_the_others() {
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/witness", silent.local_addr().unwrap());
    let key = WitnessVerifier::new("silent", [7; 32]).unwrap().to_string();
    let listed = Witness { key, server: None, url: Some(url) };
    let (pair, watch, _dir) = started(|content| content.witnesses.insert(0, listed)).await;
    asked(&pair).await;
    let silent_only =
        |list: &[String]| list.len() == 1 && list[0].contains("it does not answer in time");
    warned(hub(&pair, CONSUMER), &watch, silent_only).await;
    let mut exchange = String::new();
    for _ in 0..3 {
        exchange = asked(&pair).await;
        let begin = watch.elapsed();
        cosigned(hub(&pair, CONSUMER), &watch).await.unwrap();
        let waited = watch.elapsed() - begin;
        assert!(waited < WITNESS_TIMEOUT, "it waits for the silent one: {waited:?}");
    }
    let file = evidence_of(&pair, CONSUMER, &exchange).await;
    let proved = evidence::verify(evidence::to_text(&file).as_bytes(), &anchor(&pair)).unwrap();
    assert_eq!((proved.cosigned.by.len(), proved.cosigned.of), (2, 3));
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Asks until the provider's log has at least so many records, and as many as are no power of two: from there a proof
/// convicts by itself.
async fn grow(pair: &Pair, records: u64) -> u64 {
    loop {
        let size = hub(pair, PROVIDER).log().size();
        if size >= records && !size.is_power_of_two() {
            return size;
        }
        asked(pair).await;
    }
}

/// Waits for the record of an alarm.
async fn act_about(log: &MessageLog, split_view: Sha256, watch: &Stopwatch) -> Record {
    let begin = watch.elapsed();
    loop {
        let records = (0..log.size()).map(|index| log.read(index).unwrap().leaf);
        let mut records = records.filter_map(|leaf| Record::from_leaf(&leaf).ok());
        if let Some(act) = records.find(|record| record.body == Some(split_view)) {
            assert_eq!(act.outcome, "split-view");
            return act;
        }
        assert!(watch.elapsed() < begin + Duration::from_secs(10), "no record of the alarm");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn log_forked_behind_its_back_is_refused_and_both_checkpoints_verify_offline() {
    let (mut pair, watch, dir) = started(|_| ()).await;
    cosigned(hub(&pair, PROVIDER), &watch).await.unwrap();
    pair.federation.stop_hub(PROVIDER).await;
    let data = pair.federation.layout.place(PROVIDER).unwrap().dir.join("data");
    let old_copy = dir.path().join("old-copy");
    copy(&data, &old_copy);
    // The first copy goes on and is cosigned.
    pair.federation.start_hub(PROVIDER).await.unwrap();
    grow(&pair, 1).await;
    for _ in 0..3 {
        asked(&pair).await;
    }
    grow(&pair, 1).await;
    let first = cosigned(hub(&pair, PROVIDER), &watch).await.unwrap();
    pair.federation.stop_hub(PROVIDER).await;
    // The second goes on from the old state with the same key.
    std::fs::rename(&data, dir.path().join("first-copy")).unwrap();
    std::fs::rename(&old_copy, &data).unwrap();
    pair.federation.start_hub(PROVIDER).await.unwrap();
    let behind = |list: &[String]| list.iter().any(|text| text.contains("from an old copy"));
    warned(hub(&pair, PROVIDER), &watch, behind).await;
    grow(&pair, first + 1).await;
    let split = |list: &[String]| list.iter().any(|text| text.contains("split view"));
    for name in [CONSUMER, PROVIDER] {
        warned(hub(&pair, name), &watch, split).await;
    }
    let key = log_key(&pair, PROVIDER);
    for name in [CONSUMER, PROVIDER] {
        let all = alarms(hub(&pair, name)).await.unwrap();
        let split_view: SplitView = serde_json::from_value(all[0]["split_view"].clone()).unwrap();
        let (shown, [cosigned, offered]) = split_view.verify(&key).unwrap();
        assert!(shown.proved() || cosigned.size.is_power_of_two(), "{shown:?}");
        assert!(offered.size > cosigned.size || offered.root != cosigned.root);
        let digest = Sha256::of(split_view.to_text().as_bytes());
        let act = act_about(hub(&pair, name).log(), digest, &watch).await;
        assert_eq!(act.peer.as_deref(), Some("UZ/GOV/TAX/hub-1"), "{name}");
    }
    // Traffic goes on; whether it should is for people to decide.
    asked(&pair).await;
    let cosigned_size = gauge(hub(&pair, PROVIDER), "koprik_cosigned_records");
    assert!(cosigned_size.await.unwrap() < first, "nothing of the second history is cosigned");
}

/// Two roots for one size, as the provider's log would sign them.
fn two_roots(pair: &Pair) -> SplitView {
    let key = pair.federation.layout.place(PROVIDER).unwrap().dir.join("log.key");
    let key = NoteKey::load(log_key(pair, PROVIDER).name(), &key).unwrap();
    let [cosigned, offered] = ["ours", "theirs"].map(|history| {
        let (origin, root) = (key.verifier().name().to_owned(), Sha256::of(history.as_bytes()));
        let text = Checkpoint { origin, size: 3, root }.to_string();
        let signature = key.sign(text.as_bytes()).unwrap().to_vec();
        let (name, id) = (key.verifier().name(), key.verifier().key_id());
        let line = NoteSignature::new(name, id, signature).unwrap();
        Note::new(&text, vec![line]).unwrap().to_string()
    });
    SplitView::new(cosigned, offered, &[])
}

#[tokio::test]
async fn alarm_whose_record_was_cut_off_is_recorded_at_the_next_start_once() {
    let (mut pair, watch, _dir) = started(|_| ()).await;
    pair.federation.stop_hub(CONSUMER).await;
    let split_view = two_roots(&pair);
    let digest = Sha256::of(split_view.to_text().as_bytes());
    let data = pair.federation.layout.place(CONSUMER).unwrap().dir.join("data");
    let file = data.join(format!("witness/alarms/{:013}-{digest}.json", 1));
    std::fs::write(file, split_view.to_text()).unwrap();
    pair.federation.start_hub(CONSUMER).await.unwrap();
    let act = act_about(hub(&pair, CONSUMER).log(), digest, &watch).await;
    assert_eq!(act.peer.as_deref(), Some("UZ/GOV/TAX/hub-1"));
    pair.federation.stop_hub(CONSUMER).await;
    pair.federation.start_hub(CONSUMER).await.unwrap();
    asked(&pair).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = hub(&pair, CONSUMER).log();
    let leaves = (0..log.size()).map(|index| log.read(index).unwrap().leaf);
    let records = leaves.filter_map(|leaf| Record::from_leaf(&leaf).ok());
    assert_eq!(records.filter(|record| record.body == Some(digest)).count(), 1);
}

/// A file of the central server's log, if it is there.
async fn central_offers(pair: &Pair, file: &str) -> Option<String> {
    let address = pair.federation.central.as_ref().unwrap().address;
    let request = raw::request("GET", &format!("/log/{file}"), &[], b"");
    let answer = String::from_utf8(raw::talk(address, &request).await.unwrap()).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    head.starts_with("HTTP/1.1 200 ").then(|| text.to_owned())
}

/// A file of the central server's log, once it is there.
async fn central_file(pair: &Pair, file: &str, watch: &Stopwatch) -> String {
    let begin = watch.elapsed();
    loop {
        if let Some(text) = central_offers(pair, file).await {
            return text;
        }
        assert!(watch.elapsed() < begin + Duration::from_secs(10), "there is no {file}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn central_key(pair: &Pair) -> NoteVerifier {
    pair.federation.layout.read_content().unwrap().central_log.unwrap().parse().unwrap()
}

#[tokio::test]
async fn hubs_cosign_the_log_of_configurations_and_go_on_after_a_restart() {
    let (mut pair, watch, _dir) = started(|_| ()).await;
    let key = central_key(&pair);
    let mut size = 0;
    for _ in 0..2 {
        let note = central_file(&pair, "checkpoint.cosigned", &watch).await;
        let checkpoint = Checkpoint::open(&note, key.name(), &key).unwrap();
        assert!(checkpoint.size >= size.max(1), "{checkpoint:?}");
        size = checkpoint.size;
        let note = Note::parse(&note).unwrap();
        for witness in pair.federation.layout.read_content().unwrap().witnesses {
            let verifier: WitnessVerifier = witness.key.parse().unwrap();
            let own = verifier.name() == format!("{}/witness", key.name());
            assert_eq!(verifier.verify(&note).is_ok(), !own, "{}", verifier.name());
        }
        pair.federation.stop_central().await;
        pair.federation.start_central().await.unwrap();
    }
    for name in [CONSUMER, PROVIDER] {
        assert!(alarms(hub(&pair, name)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn forked_log_of_configurations_is_refused_and_both_checkpoints_verify_offline() {
    let (mut pair, watch, dir) = started(|_| ()).await;
    let key = central_key(&pair);
    let first = central_file(&pair, "checkpoint.cosigned", &watch).await;
    let first = Checkpoint::open(&first, key.name(), &key).unwrap();
    pair.federation.stop_central().await;
    // Another world under the same keys: the first version is issued anew, at another time.
    let data = pair.federation.layout.dir.join("central/data");
    for part in ["log", "versions"] {
        std::fs::rename(data.join(part), dir.path().join(part)).unwrap();
    }
    pair.federation.start_central().await.unwrap();
    let begin = watch.elapsed();
    let forked = loop {
        // Its first checkpoint is of an empty log.
        let note = central_file(&pair, "checkpoint", &watch).await;
        let forked = Checkpoint::open(&note, key.name(), &key).unwrap();
        if forked.size == first.size {
            break forked;
        }
        assert!(forked.size < first.size && watch.elapsed() < begin + Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_ne!(forked.root, first.root);
    let split = |list: &[String]| list.iter().any(|text| text.contains("split view"));
    for name in [CONSUMER, PROVIDER] {
        warned(hub(&pair, name), &watch, split).await;
        let all = alarms(hub(&pair, name)).await.unwrap();
        let split_view: SplitView = serde_json::from_value(all[0]["split_view"].clone()).unwrap();
        let (shown, [cosigned, offered]) = split_view.verify(&key).unwrap();
        assert!(shown.proved(), "{shown:?}");
        assert_eq!((cosigned.root, offered.root), (first.root, forked.root));
        let digest = Sha256::of(split_view.to_text().as_bytes());
        act_about(hub(&pair, name).log(), digest, &watch).await;
    }
    let cosigned = central_offers(&pair, "checkpoint.cosigned").await;
    assert_eq!(cosigned, None, "nobody cosigns the other world");
    asked(&pair).await;
}

#[tokio::test]
async fn witness_answers_a_registered_server_with_the_statuses_of_the_specification() {
    use federation::rogue::{self, RogueConsumer};
    let (pair, watch, _dir) = started(|_| ()).await;
    cosigned(hub(&pair, CONSUMER), &watch).await.unwrap();
    let place = pair.federation.layout.place(CONSUMER).unwrap();
    let clock = Clock::machine();
    let provider = pair.federation.layout.place(PROVIDER).unwrap().peer;
    let registered = rogue::identity(&place.dir, "peer").unwrap();
    let rogue = RogueConsumer::new(&registered, &clock).unwrap();
    let mut connection = rogue.connect(provider).await.unwrap();
    let note = hub(&pair, CONSUMER).log().latest_checkpoint();
    let before = hub(&pair, PROVIDER).log().size();
    for (method, body, status) in [
        ("POST", format!("old 0\n\n{note}"), 409),
        ("GET", String::new(), 405),
        ("POST", "old 0\n".to_owned(), 400),
        ("POST", "x".repeat(140_000), 413),
    ] {
        let uri = format!("https://{provider}/tlog-witness/add-checkpoint");
        let request = http::Request::builder().method(method).uri(uri);
        let answer =
            connection.send(request.body(bytes::Bytes::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(hub(&pair, PROVIDER).log().size(), before, "nothing of it is an exchange");
}
