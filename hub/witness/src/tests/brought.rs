//! A log to which the witnesses come by themselves.

use schemas::tlog::witness::WitnessAnswer;

use super::gathering::{Stage, append, published};
use super::*;
use crate::{Asker, Gatherer};

/// What a witness makes of the request that the log gives: the checkpoint with its line.
async fn cosigned_by(stage: &Stage, gatherer: &Gatherer, name: &str) -> Note {
    let witness = stage.witnesses.iter().find(|w| w.verifier().name() == name).unwrap();
    let mut old = 0;
    loop {
        let body = gatherer.request_from(old).await.unwrap();
        let request: AddCheckpoint = body.parse().unwrap();
        let keys = |origin: &str| stage.configuration.log_key(origin).cloned();
        match witness.add_checkpoint(body.as_bytes(), &Asker::Anyone, keys).answer {
            WitnessAnswer::Cosigned(lines) => {
                return Note::new(request.note().text(), lines).unwrap();
            }
            WitnessAnswer::Size(size) if size != old => old = size,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn brought_cosignatures_are_published_with_the_quorum_and_each_counts_once() {
    let stage = Stage::new(2);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    for size in 1..=4 {
        append(&log, &format!("version {size}")).await;
        let a = cosigned_by(&stage, &gatherer, "a").await;
        for _ in 0..2 {
            assert_eq!(gatherer.take(&stage.configuration, &a).await, Some(1));
            assert_ne!(published(&stage, &log).map(|(size, _)| size), Some(size));
        }
        let request: AddCheckpoint = gatherer.request_from(0).await.unwrap().parse().unwrap();
        let seen = |at: usize| stage.witnesses[at].verifier().verify(request.note()).is_ok();
        assert_eq!([seen(0), seen(1)], [true, false], "a witness sees whether its line is missing");
        let b = cosigned_by(&stage, &gatherer, "b").await;
        assert_eq!(gatherer.take(&stage.configuration, &b).await, Some(1));
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(published(&stage, &log), Some((size, names)));
        assert_eq!(gatherer.cosigned_size(), size);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cosignatures_brought_at_once_leave_one_whole_file_with_all_of_them() {
    let stage = Stage::new(1);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    for size in 1..=100 {
        append(&log, &format!("version {size}")).await;
        let a = cosigned_by(&stage, &gatherer, "a").await;
        let b = cosigned_by(&stage, &gatherer, "b").await;
        let (gatherer, configuration) = (&gatherer, &stage.configuration);
        let both = [&a, &b].map(|note| gatherer.take(configuration, note));
        assert_eq!(futures_util::future::join_all(both).await, [Some(1), Some(1)]);
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(published(&stage, &log), Some((size, names)));
        assert_eq!(gatherer.warnings(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_brought_for_another_checkpoint_or_by_a_stranger_counts_nothing() {
    let stage = Stage::new(1);
    let log = stage.log("ours");
    let gatherer = stage.gatherer(&log, "ours");
    append(&log, "version 1").await;
    let old = cosigned_by(&stage, &gatherer, "a").await;
    append(&log, "version 2").await;
    assert_eq!(gatherer.take(&stage.configuration, &old).await, None, "not the newest");
    let good = cosigned_by(&stage, &gatherer, "a").await;
    let mut bytes = good.signatures()[0].bytes().to_vec();
    bytes.reverse();
    let forged = NoteSignature::new("a", good.signatures()[0].key_id(), bytes).unwrap();
    let stranger = NoteSignature::new("nobody", 0x0102_0304, vec![7; 72]).unwrap();
    for line in [forged, stranger] {
        let brought = Note::new(good.text(), vec![line]).unwrap();
        assert_eq!(gatherer.take(&stage.configuration, &brought).await, Some(0));
        assert_eq!(published(&stage, &log), None);
    }
    assert_eq!(gatherer.take(&stage.configuration, &good).await, Some(1));
    assert_eq!(published(&stage, &log).map(|(size, _)| size), Some(2));
}
