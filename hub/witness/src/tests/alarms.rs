//! Alarms are kept, and there is an end to them.

use schemas::limits::ALARMS_PER_LOG_MAX_COUNT;
use schemas::tlog::SplitView;

use super::*;

fn split(log: &PaperLog, size: u16) -> SplitView {
    let [ours, theirs] = [1, 2].map(|history| log.sign(&leaves(size, 0, history)).to_string());
    SplitView::new(ours, theirs, &[])
}

#[test]
fn alarms_outlast_a_restart_and_are_the_files_themselves() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let store = alarms(dir.path());
    assert!(store.warning().is_none());
    let raised = store.raise(split(&log, 3), log.key.verifier()).unwrap().unwrap();
    assert!(store.raise(split(&log, 3), log.key.verifier()).unwrap().is_none(), "once");
    std::fs::write(dir.path().join("alarms/notes.txt"), "of the operator").unwrap();
    let again = alarms(dir.path());
    let all = again.all();
    assert_eq!((all.len(), all[0].at, all[0].log()), (1, NOW, ORIGIN));
    let text = std::fs::read_to_string(&raised.file).unwrap();
    let read = SplitView::from_text(&text).unwrap();
    assert!(read.verify(log.key.verifier()).unwrap().0.proved());
    assert!(again.warning().unwrap().contains(ORIGIN));
    assert!(again.raise(split(&log, 3), log.key.verifier()).unwrap().is_none());
}

#[test]
fn what_the_log_did_not_sign_raises_nothing() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let store = alarms(dir.path());
    let stranger = PaperLog::new();
    assert!(store.raise(split(&stranger, 3), log.key.verifier()).is_err());
    let same = log.sign(&leaves(3, 3, 0)).to_string();
    let none = SplitView::new(same.clone(), same, &[]);
    assert!(store.raise(none, log.key.verifier()).is_err());
    assert_eq!(store.count(), 0);
}

/// Doubts can be many and are cheap to bring about; a proof is not to find the places taken.
#[test]
fn what_is_proved_takes_the_place_of_a_doubt() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let store = alarms(dir.path());
    let at = |size| log.sign(&leaves(size, size, 0)).to_string();
    for size in 5..40 {
        let doubt = SplitView::new(at(3), at(size), &[]);
        store.raise(doubt, log.key.verifier()).unwrap();
    }
    assert_eq!(store.count(), ALARMS_PER_LOG_MAX_COUNT);
    let forked = |size: u16| {
        let (honest, other) = (leaves(3, 3, 0), leaves(size, 1, 7));
        let notes = [honest, other.clone()].map(|leaves| log.sign(&leaves).to_string());
        let [cosigned, offered] = notes;
        (
            SplitView::new(cosigned.clone(), offered.clone(), &[]),
            SplitView::new(cosigned, offered, &proof(3, &other)),
        )
    };
    let raised = store.raise(split(&log, 7), log.key.verifier()).unwrap();
    assert!(raised.unwrap().contradiction.proved());
    assert_eq!(store.count(), ALARMS_PER_LOG_MAX_COUNT);
    // The same two checkpoints, first without and then with a proof that convicts.
    let other = tempfile::tempdir().unwrap();
    let store = alarms(other.path());
    let (doubt, proved) = forked(6);
    assert!(
        !store.raise(doubt.clone(), log.key.verifier()).unwrap().unwrap().contradiction.proved()
    );
    assert!(store.raise(proved, log.key.verifier()).unwrap().unwrap().contradiction.proved());
    assert!(store.raise(doubt, log.key.verifier()).unwrap().is_none());
    for store in [&store, &alarms(other.path())] {
        assert_eq!(
            store.all().iter().map(|a| a.contradiction.proved()).collect::<Vec<_>>(),
            [true]
        );
    }
}

#[test]
fn a_doubt_stays_on_the_disk_until_the_proof_is_there() {
    let log = PaperLog::new();
    let doubt = |size: u16| {
        let at = |size| log.sign(&leaves(size, size, 0)).to_string();
        SplitView::new(at(3), at(size), &[])
    };
    let raise_all = |dir: &Path| {
        let store = alarms(dir);
        for size in 5..40 {
            store.raise(doubt(size), log.key.verifier()).unwrap();
        }
        store.raise(split(&log, 7), log.key.verifier()).unwrap().unwrap().file
    };
    let [whole, full] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let name = raise_all(whole.path()).file_name().unwrap().to_owned();
    // A directory stands where the proof is to be written.
    std::fs::create_dir_all(full.path().join("alarms").join(name)).unwrap();
    raise_all(full.path());
    let kept = |dir: &Path| {
        let all = alarms(dir).all();
        (all.len(), all.iter().filter(|alarm| alarm.contradiction.proved()).count())
    };
    assert_eq!(kept(whole.path()), (ALARMS_PER_LOG_MAX_COUNT, 1));
    assert_eq!(kept(full.path()), (ALARMS_PER_LOG_MAX_COUNT, 0), "all doubts");
}

#[test]
fn forked_log_fills_no_disk() {
    let (dir, log) = (tempfile::tempdir().unwrap(), PaperLog::new());
    let store = alarms(dir.path());
    for size in 1..40 {
        store.raise(split(&log, size), log.key.verifier()).unwrap();
    }
    assert_eq!(store.count(), ALARMS_PER_LOG_MAX_COUNT);
    assert_eq!(alarms(dir.path()).count(), ALARMS_PER_LOG_MAX_COUNT);
}
