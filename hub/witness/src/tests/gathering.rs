//! A log that asks its witnesses.
//!
//! ```text
//! message log → gatherer → three witnesses in memory, each answering as the test says
//! ```

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use hub_core::configuration::{ConfigurationInForce, Trusted, WitnessPlace, sign};
use hub_messagelog::{Entry, IndexKeys, LogLimits, LogOptions, MessageLog};
use schemas::configuration::{
    Anchor, ConfigurationKeys, Content, GlobalConfiguration, Witness as Listed,
};
use schemas::tlog::NoteSigner;
use schemas::tlog::witness::WitnessAnswer;

use super::*;
use crate::{AskWitness, Asker, Gatherer};

/// How a witness behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    Away,
    Silent,
    /// Cosigns something else.
    Lying,
    Nonsense,
    /// Always names the size before.
    Endless,
    /// Says that the log contradicts a checkpoint of its own from before.
    Accusing,
}

pub(super) struct Stage {
    dir: tempfile::TempDir,
    log_key: Arc<NoteKey>,
    pub(super) witnesses: Vec<Witness>,
    manners: Mutex<HashMap<String, Manner>>,
    asked: Mutex<usize>,
    /// What an accusing witness shows.
    earlier: Mutex<String>,
    pub(super) configuration: ConfigurationInForce,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Stage {
    pub(super) fn new(quorum: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log_key = Arc::new(NoteKey::ephemeral(ORIGIN).unwrap());
        let witnesses: Vec<_> = NAMES.map(|name| witness(dir.path(), name)).into();
        let listed = witnesses.iter().map(|witness| Listed {
            key: witness.verifier().to_string(),
            server: None,
            url: Some(format!("http://{}", witness.verifier().name())),
        });
        let content = Content {
            witnesses: listed.collect(),
            witness_quorum: quorum,
            central_log: Some(log_key.verifier().to_string()),
            ..Content::default()
        };
        let configuration = in_force(content);
        let (manners, asked, earlier) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { dir, log_key, witnesses, manners, asked, earlier, configuration }
    }

    /// A history of this log, each in a folder of its own and under the one key.
    pub(super) fn log(&self, history: &str) -> MessageLog {
        let limits = LogLimits::default();
        let checkpoint_interval = Duration::from_secs(3600);
        MessageLog::open(LogOptions {
            dir: self.dir.path().join(history),
            origin: ORIGIN.to_owned(),
            key: self.log_key.clone(),
            clock: Clock::manual(NOW),
            index_keys: |_| IndexKeys::default(),
            limits: LogLimits { checkpoint_interval, ..limits },
        })
        .unwrap()
    }

    pub(super) fn gatherer(&self, log: &MessageLog, history: &str) -> Gatherer {
        let dir = self.dir.path().join(format!("{history}-own"));
        Gatherer::open(log.clone(), Clock::manual(NOW), alarms(&dir))
    }

    fn behave(&self, name: &str, manner: Manner) {
        self.manners.lock().unwrap().insert(name.to_owned(), manner);
    }

    fn take_asked(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn in_force(content: Content) -> ConfigurationInForce {
    let key = Arc::new(NoteKey::ephemeral("UZ/configuration/1").unwrap());
    let verifiers = vec![key.verifier().to_string()];
    let keys = ConfigurationKeys { threshold: 1, verifiers };
    let document = GlobalConfiguration {
        format: 1,
        instance: "UZ".to_owned(),
        version: 1,
        issued: NOW,
        expires: NOW.plus(Duration::from_secs(60)),
        previous: None,
        keys: keys.clone(),
        content,
    };
    let signer: Arc<dyn NoteSigner> = key;
    let anchor = Anchor { instance: "UZ".to_owned(), keys, central: Vec::new() };
    let trusted = Trusted::from_anchor(&anchor).unwrap();
    trusted.accept(&sign(&document, &[signer]).unwrap(), NOW).unwrap().in_force
}

impl AskWitness for Stage {
    async fn ask(&self, place: &WitnessPlace, body: String) -> Result<WitnessAnswer, String> {
        *self.asked.lock().unwrap() += 1;
        let WitnessPlace::Url(url) = place else { panic!() };
        let name = url.strip_prefix("http://").unwrap();
        let manner = self.manners.lock().unwrap().get(name).copied().unwrap_or(Manner::Honest);
        let witness = self.witnesses.iter().find(|w| w.verifier().name() == name).unwrap();
        let keys = |origin: &str| self.configuration.log_key(origin).cloned();
        let honest =
            |body: &str| witness.add_checkpoint(body.as_bytes(), &Asker::Anyone, keys).answer;
        match manner {
            Manner::Honest => Ok(honest(&body)),
            Manner::Away => Err("connection refused".to_owned()),
            Manner::Silent => std::future::pending().await,
            Manner::Lying => match honest(&body) {
                WitnessAnswer::Cosigned(lines) => {
                    let bytes = lines[0].bytes().iter().rev().copied().collect();
                    let line = NoteSignature::new(name, lines[0].key_id(), bytes).unwrap();
                    Ok(WitnessAnswer::Cosigned(vec![line]))
                }
                other => Ok(other),
            },
            Manner::Nonsense => Ok(WitnessAnswer::read(200, "text/html", "<html>\n")),
            Manner::Endless => Ok(WitnessAnswer::Size(0)),
            Manner::Accusing => {
                let text = self.earlier.lock().unwrap().clone();
                Ok(WitnessAnswer::Contradicted { status: 422, text })
            }
        }
    }
}

pub(super) async fn append(log: &MessageLog, text: &str) {
    let (leaf, attachment) = (Bytes::copy_from_slice(text.as_bytes()), Bytes::new());
    let receipt = log.append(Entry { leaf, attachment }).await.unwrap();
    log.checkpoint_covering(receipt.index()).await.unwrap();
}

/// What is published, read as a stranger would with the keys of the configuration.
pub(super) fn published(stage: &Stage, log: &MessageLog) -> Option<(u64, Vec<String>)> {
    let text = std::fs::read_to_string(log.published_dir().join("checkpoint.cosigned")).ok()?;
    let checkpoint = Checkpoint::open(&text, ORIGIN, stage.log_key.verifier()).unwrap();
    let cosigned =
        stage.configuration.witness_policy(ORIGIN).check(&Note::parse(&text).unwrap()).unwrap();
    Some((checkpoint.size, cosigned.by.into_iter().map(|(name, _)| name).collect()))
}

#[tokio::test]
async fn quorum_is_published_beside_the_checkpoint_and_goes_on_after_a_restart() {
    let stage = Stage::new(2);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    let all = NAMES.map(str::to_owned).to_vec();
    for size in 1..=5 {
        append(&log, &format!("record {size}")).await;
        let before = log.latest_checkpoint();
        assert!(gatherer.round(&stage.configuration, &stage).await.is_empty());
        assert_eq!(published(&stage, &log), Some((size, all.clone())));
        assert_eq!(log.latest_checkpoint(), before, "the log's own is left alone");
        assert!(gatherer.covering(size - 1).is_some() && gatherer.covering(size).is_none());
    }
    assert_eq!(stage.take_asked(), 15, "known sizes cost one question each");
    gatherer.round(&stage.configuration, &stage).await;
    assert_eq!(stage.take_asked(), 0, "nothing new, nobody is asked");
    let again = stage.gatherer(&log, "ours");
    assert_eq!(again.cosigned_size(), 5, "from the disk");
    append(&log, "record 6").await;
    again.round(&stage.configuration, &stage).await;
    assert_eq!((again.cosigned_size(), stage.take_asked()), (6, 6), "sizes are asked for");
    assert!(again.warnings().is_empty());
    log.close().await;
}

#[tokio::test(start_paused = true)]
async fn witness_that_does_not_cosign_is_a_warning_and_no_more() {
    for manner in [Manner::Away, Manner::Silent, Manner::Lying, Manner::Nonsense, Manner::Endless] {
        let stage = Stage::new(2);
        let log = stage.log("ours");
        let gatherer = stage.gatherer(&log, "ours");
        append(&log, "record").await;
        stage.behave("b", manner);
        gatherer.round(&stage.configuration, &stage).await;
        let two = vec!["a".to_owned(), "c".to_owned()];
        assert_eq!(published(&stage, &log), Some((1, two)), "{manner:?}");
        let warnings = gatherer.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("witness b"), "{warnings:?}");
        stage.take_asked();
        stage.behave("b", Manner::Honest);
        gatherer.round(&stage.configuration, &stage).await;
        if manner == Manner::Silent {
            assert_eq!(stage.take_asked(), 0, "it rests, so that it holds nobody up");
            continue;
        }
        let all = NAMES.map(str::to_owned).to_vec();
        assert_eq!(published(&stage, &log), Some((1, all)), "{manner:?}");
        assert!(gatherer.warnings().is_empty() && stage.take_asked() <= 2, "only b is asked");
        log.close().await;
    }
}

#[tokio::test]
async fn too_few_witnesses_publish_nothing_and_keep_what_was_published() {
    let stage = Stage::new(2);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    append(&log, "one").await;
    stage.behave("a", Manner::Away);
    stage.behave("b", Manner::Away);
    gatherer.round(&stage.configuration, &stage).await;
    assert_eq!((published(&stage, &log), gatherer.cosigned_size()), (None, 0));
    assert!(gatherer.warnings()[0].contains("too few witnesses"));
    assert_eq!((gatherer.missing_count(), gatherer.warnings().len()), (2, 3));
    stage.behave("a", Manner::Honest);
    gatherer.round(&stage.configuration, &stage).await;
    assert_eq!(gatherer.cosigned_size(), 1);
    stage.behave("a", Manner::Away);
    append(&log, "two").await;
    gatherer.round(&stage.configuration, &stage).await;
    assert_eq!(gatherer.cosigned_size(), 1, "the last good one stays");
    log.close().await;
}

#[tokio::test]
async fn cosigned_checkpoint_that_found_no_room_is_stored_when_there_is() {
    let stage = Stage::new(2);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    append(&log, "one").await;
    // A folder in the place of the file.
    let taken = log.published_dir().join("checkpoint.cosigned");
    std::fs::create_dir(&taken).unwrap();
    gatherer.round(&stage.configuration, &stage).await;
    assert!(gatherer.warnings()[0].contains("cannot be stored"), "{:?}", gatherer.warnings());
    std::fs::remove_dir(&taken).unwrap();
    gatherer.round(&stage.configuration, &stage).await;
    assert_eq!(gatherer.warnings(), Vec::<String>::new());
    assert_eq!(published(&stage, &log), Some((1, NAMES.map(str::to_owned).to_vec())));
    log.close().await;
}

#[tokio::test]
async fn forked_log_is_refused_and_both_sides_hold_both_checkpoints() {
    let stage = Stage::new(2);
    let (ours, theirs) = (stage.log("ours"), stage.log("theirs"));
    for log in [&ours, &theirs] {
        for text in ["one", "two"] {
            append(log, text).await;
        }
    }
    append(&ours, "three").await;
    append(&theirs, "another three").await;
    stage.gatherer(&ours, "ours").round(&stage.configuration, &stage).await;
    let forked = stage.gatherer(&theirs, "theirs");
    let raised = forked.round(&stage.configuration, &stage).await;
    assert_eq!((raised.len(), forked.cosigned_size()), (1, 0), "one alarm for three refusals");
    assert!(raised[0].split_view.verify(stage.log_key.verifier()).unwrap().0.proved());
    append(&theirs, "four").await;
    forked.round(&stage.configuration, &stage).await;
    assert_eq!(published(&stage, &theirs), None);
    let seen = alarms(stage.dir.path()).all();
    assert!(!seen.is_empty(), "the witnesses keep it too");
    for alarm in seen {
        assert!(alarm.split_view.verify(stage.log_key.verifier()).unwrap().0.proved());
        assert_ne!(alarm.checkpoints[0].root, alarm.checkpoints[1].root);
    }
    assert!(forked.warnings().iter().any(|text| text.contains("another history")));
    ours.close().await;
    theirs.close().await;
}

#[tokio::test]
async fn a_witness_cannot_make_an_honest_log_accuse_itself() {
    let stage = Stage::new(1);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    stage.behave("b", Manner::Accusing);
    let mut earlier = vec![log.latest_checkpoint()];
    for size in 1..=9 {
        append(&log, &format!("record {size}")).await;
        for shown in &earlier {
            stage.earlier.lock().unwrap().clone_from(shown);
            assert!(gatherer.round(&stage.configuration, &stage).await.is_empty());
        }
        earlier.push(log.latest_checkpoint());
    }
    assert_eq!(alarms(&stage.dir.path().join("ours-own")).count(), 0);
    assert!(gatherer.warnings()[0].contains("shows no reason"), "{:?}", gatherer.warnings());
    log.close().await;
}

#[tokio::test]
async fn log_restored_from_an_old_copy_is_told_so() {
    let stage = Stage::new(1);
    let (ours, old) = (stage.log("ours"), stage.log("old"));
    append(&old, "one").await;
    for text in ["one", "two", "three"] {
        append(&ours, text).await;
    }
    stage.gatherer(&ours, "ours").round(&stage.configuration, &stage).await;
    let restored = stage.gatherer(&old, "old");
    restored.round(&stage.configuration, &stage).await;
    let warnings = restored.warnings();
    assert!(warnings.iter().any(|text| text.contains("restored from an old copy")), "{warnings:?}");
    assert_eq!(restored.cosigned_size(), 0);
    ours.close().await;
    old.close().await;
}

#[tokio::test]
async fn nobody_is_asked_when_no_witnesses_are_listed() {
    let stage = Stage::new(2);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    append(&log, "one").await;
    let without = in_force(Content::default());
    gatherer.round(&without, &stage).await;
    assert_eq!((stage.take_asked(), gatherer.warnings().len()), (0, 0));
    log.close().await;
}
