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
