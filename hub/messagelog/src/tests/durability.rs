//! A receipt exists only for what is durable, and a disk that fails stops the log.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use schemas::tlog::merkle::leaf_hash;
use tokio::task::JoinSet;

use super::{TestDisk, append, entry, leaf, open, open_with, options};
use crate::{Entry, LogError, LogLimits};

/// What a receipt gives without waiting.
fn at_once<F: IntoFuture>(receipt: F) -> Option<F::Output> {
    match pin!(receipt.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_share_syncs_and_each_gets_its_own_index() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::default();
    let behaviour = disk.behaviour();
    let log = open_with(options(dir.path()), Arc::new(disk)).unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..64_u64 {
        let log = log.clone();
        writers.spawn(async move {
            let mut taken = Vec::new();
            for n in 0..20 {
                let receipt = log.append(entry(writer * 20 + n)).await.unwrap();
                assert_eq!(receipt.leaf_hash(), leaf_hash(&leaf(writer * 20 + n)));
                taken.push((receipt.index(), writer * 20 + n));
            }
            taken
        });
    }
    let mut taken: Vec<_> = writers.join_all().await.concat();
    taken.sort_unstable();
    assert!(taken.iter().map(|(index, _)| *index).eq(0..1280));
    for (index, n) in taken {
        let record = log.read(index).unwrap();
        assert_eq!((record.leaf, record.attachment), (entry(n).leaf, entry(n).attachment));
    }
    let syncs = behaviour.syncs.load(Ordering::SeqCst);
    assert!(syncs < 640, "{syncs} syncs for 1280 records of 64 writers");
    log.close().await;
}

#[tokio::test]
async fn no_receipt_before_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::default();
    let behaviour = disk.behaviour();
    let log = open_with(options(dir.path()), Arc::new(disk)).unwrap();
    let shut = behaviour.shut();
    let mut receipt = log.submit_soon(entry(0)).into_future();
    behaviour.wait_for_appends(1);
    assert!(at_once(&mut receipt).is_none(), "written, not synced");
    assert_eq!(log.size(), 0);
    assert!(matches!(log.read(0), Err(LogError::NoSuchRecord { .. })));
    drop(shut);
    assert_eq!(receipt.await.unwrap().index(), 0);
    assert_eq!(log.size(), 1);
}

#[tokio::test]
async fn a_failed_sync_or_write_refuses_everything_until_the_log_is_opened_again() {
    for (failing_sync, failing_append) in [(3, 0), (0, 3)] {
        let dir = tempfile::tempdir().unwrap();
        let disk = TestDisk::default();
        let behaviour = disk.behaviour();
        behaviour.failing_sync.store(failing_sync, Ordering::SeqCst);
        behaviour.failing_append.store(failing_append, Ordering::SeqCst);
        let log = open_with(options(dir.path()), Arc::new(disk)).unwrap();
        log.append(entry(0)).await.unwrap();
        log.append(entry(1)).await.unwrap();
        for n in 2..5 {
            let refused = log.append(entry(n)).await;
            assert!(matches!(refused, Err(LogError::Poisoned { .. })), "{refused:?}");
        }
        assert_eq!(log.size(), 2);
        drop(log);
        let log = open(dir.path());
        // The unacknowledged record may have stayed; the acknowledged ones must have.
        assert!((2..=3).contains(&log.size()));
        for n in 0..log.size() {
            assert_eq!(log.read(n).unwrap().leaf, leaf(n));
        }
        let receipt = log.append(entry(9)).await.unwrap();
        assert_eq!(log.read(receipt.index()).unwrap().leaf, leaf(9));
    }
}

#[tokio::test]
async fn a_full_queue_is_busy_and_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::default();
    let behaviour = disk.behaviour();
    let mut limited = options(dir.path());
    limited.limits = LogLimits { queue_count: 2, ..limited.limits };
    let log = open_with(limited, Arc::new(disk)).unwrap();
    let shut = behaviour.shut();
    let first = log.submit_soon(entry(0));
    behaviour.wait_for_appends(1);
    let queued = [log.submit(entry(1)), log.submit(entry(2))];
    assert!(matches!(at_once(log.submit(entry(3))), Some(Err(LogError::Busy))));
    drop(shut);
    assert_eq!(first.await.unwrap().index(), 0);
    for receipt in queued {
        receipt.await.unwrap();
    }
    assert_eq!(log.append(entry(4)).await.unwrap().index(), 3);
}

#[tokio::test]
async fn a_receipts_failure_is_known_before_it_is_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::default();
    let behaviour = disk.behaviour();
    behaviour.failing_append.store(2, Ordering::SeqCst);
    let log = open_with(options(dir.path()), Arc::new(disk)).unwrap();
    let shut = behaviour.shut();
    let mut stored = log.submit_soon(entry(0));
    behaviour.wait_for_appends(1);
    assert_eq!(stored.failure(), None, "not known yet");
    drop(shut);
    while log.size() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stored.failure(), None);
    assert_eq!(stored.failure(), None, "asked again");
    assert_eq!(stored.await.unwrap().index(), 0, "the receipt is still there");
    let mut lost = log.submit_soon(entry(1));
    while lost.failure().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(lost.await, Err(LogError::Poisoned { .. })));
    let mut refused = log.submit(entry(2));
    assert!(matches!(refused.failure(), Some(LogError::Poisoned { .. })), "at once");
}

#[tokio::test]
async fn queued_bytes_are_limited_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::default();
    let behaviour = disk.behaviour();
    let mut limited = options(dir.path());
    limited.limits = LogLimits { queue_bytes: 1000, ..limited.limits };
    let log = open_with(limited, Arc::new(disk)).unwrap();
    let large = || Entry { leaf: leaf(0), attachment: Bytes::from(vec![7; 900]) };
    let shut = behaviour.shut();
    let first = log.submit_soon(large());
    behaviour.wait_for_appends(1);
    let second = log.submit(large());
    assert!(matches!(at_once(log.submit(large())), Some(Err(LogError::Busy))));
    drop(shut);
    first.await.unwrap();
    second.await.unwrap();
    log.append(large()).await.unwrap();
}

#[tokio::test]
async fn an_append_that_nobody_awaits_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    drop(log.submit(entry(0)));
    log.close().await;
    let log = open(dir.path());
    assert_eq!(log.read(0).unwrap().leaf, leaf(0));
}

#[tokio::test]
async fn a_closed_log_takes_nothing_and_has_a_checkpoint_over_everything() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..10).await;
    log.close().await;
    log.close().await;
    assert!(matches!(log.append(entry(10)).await, Err(LogError::Closed)));
    assert_eq!(log.published_size(), 10);
    assert_eq!(log.audit().unwrap(), 10);
}

#[tokio::test]
async fn an_entry_larger_than_a_frame_takes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let long = |leaf, kept| Entry {
        leaf: Bytes::from(vec![b'a'; leaf]),
        attachment: Bytes::from(vec![b'b'; kept]),
    };
    let limit = LogLimits::default().attachment_bytes;
    for refused in [long(65_536, 0), long(0, limit + 1)] {
        assert!(matches!(log.append(refused).await, Err(LogError::TooLarge { .. })));
    }
    let largest = long(65_535, limit);
    log.append(largest.clone()).await.unwrap();
    let stored = log.read(0).unwrap();
    assert!(stored.leaf == largest.leaf && stored.attachment == largest.attachment);
    let note = log.checkpoint_covering(0).await.unwrap();
    assert!(note.starts_with("TEST/GOV/100/HUB1\n1\n"));
}
