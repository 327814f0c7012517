//! What opening a log makes of files that a crash, a disk or a person has changed.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{TestDisk, append, copy_dir, entry, leaf, open, open_with, options};
use crate::disk::{Disk, OsDisk};
use crate::frame::frame_bytes;
use crate::recovery::recover;
use crate::{Entry, LogError, LogLimits, MessageLog};

fn tail(dir: &Path) -> PathBuf {
    dir.join("segments/00000000000000000000.seg")
}

/// Five acknowledged records, each in a batch of its own; the checkpoint covers none. Gives where each ends.
async fn five(dir: &Path) -> Vec<u64> {
    let log = open(dir);
    let mut ends = Vec::new();
    for n in 0..5 {
        log.append(entry(n)).await.unwrap();
        let end = ends.last().copied().unwrap_or(0) + bytes_of(&entry(n));
        ends.push(end);
    }
    ends
}

fn bytes_of(entry: &Entry) -> u64 {
    frame_bytes(entry).try_into().unwrap()
}

/// The segment without the zeros behind its last record.
fn records(dir: &Path, ends: &[u64]) -> Vec<u8> {
    let mut bytes = fs::read(tail(dir)).unwrap();
    let zeros = bytes.split_off(ends.last().copied().unwrap_or(0).try_into().unwrap());
    assert!(zeros.iter().all(|byte| *byte == 0));
    bytes
}

fn recovered_size(dir: &Path, covered: u64) -> Result<u64, LogError> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    recover(&dir.join("segments"), covered, &disk).map(|recovered| recovered.segments.size())
}

#[tokio::test]
async fn a_tail_cut_at_any_byte_keeps_every_whole_record_and_takes_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let ends = five(dir.path()).await;
    let whole = records(dir.path(), &ends);
    for cut in 0..=whole.len() {
        fs::write(tail(dir.path()), &whole[..cut]).unwrap();
        let bytes = u64::try_from(cut).unwrap();
        let kept: Vec<u64> = ends.iter().copied().filter(|end| *end <= bytes).collect();
        let size = recovered_size(dir.path(), 0).unwrap();
        assert_eq!(usize::try_from(size).unwrap(), kept.len(), "cut at {cut}");
        let left = fs::metadata(tail(dir.path())).unwrap().len();
        assert_eq!(left, kept.last().copied().unwrap_or(0), "torn bytes go");
    }
    fs::write(tail(dir.path()), &whole[..whole.len() - 3]).unwrap();
    let log = open(dir.path());
    assert_eq!(log.append(entry(7)).await.unwrap().index(), 4);
    assert_eq!(log.read(4).unwrap().leaf, leaf(7));
}

#[tokio::test]
async fn a_tail_cut_below_the_checkpoint_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let ends = five(dir.path()).await;
    let whole = records(dir.path(), &ends);
    for cut in 0..whole.len() {
        fs::write(tail(dir.path()), &whole[..cut]).unwrap();
        let refused = recovered_size(dir.path(), 5);
        assert!(matches!(refused, Err(LogError::Contradiction { .. })), "cut at {cut}");
        assert_eq!(fs::read(tail(dir.path())).unwrap(), &whole[..cut]);
    }
}

#[tokio::test]
async fn a_changed_byte_before_the_last_batch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ends = five(dir.path()).await;
    let whole = records(dir.path(), &ends);
    let last_batch = usize::try_from(ends[3]).unwrap();
    for at in 0..last_batch {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(tail(dir.path()), &changed).unwrap();
        let refused = recovered_size(dir.path(), 0);
        assert!(matches!(refused, Err(LogError::Corrupt { .. })), "byte {at}: {refused:?}");
        assert_eq!(fs::read(tail(dir.path())).unwrap(), changed, "nothing is cut");
    }
    // The last batch looks like a torn one, unless the checkpoint covers it.
    let mut changed = whole;
    changed[last_batch + 20] ^= 0x10;
    fs::write(tail(dir.path()), &changed).unwrap();
    assert!(matches!(recovered_size(dir.path(), 5), Err(LogError::Contradiction { .. })));
    assert_eq!(recovered_size(dir.path(), 0).unwrap(), 4);
}

#[tokio::test]
async fn a_batch_that_reached_the_disk_in_parts_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::default();
    let behaviour = disk.behaviour();
    let log = open_with(options(dir.path()), Arc::new(disk)).unwrap();
    let shut = behaviour.shut();
    let first = log.submit_soon(entry(0));
    behaviour.wait_for_appends(1);
    let before = bytes_of(&entry(0));
    let batch = [1, 2, 3].map(|n| log.submit(entry(n)));
    drop(shut);
    first.await.unwrap();
    for receipt in batch {
        receipt.await.unwrap();
    }
    assert_eq!(behaviour.appends.load(Ordering::SeqCst), 2, "three records in one write");
    drop(log);
    // Before its sync a batch may be on the disk with its first page missing.
    let mut torn = fs::read(tail(dir.path())).unwrap();
    let start = usize::try_from(before).unwrap();
    torn[start..start + 30].fill(0);
    fs::write(tail(dir.path()), torn).unwrap();
    assert_eq!(recovered_size(dir.path(), 1).unwrap(), 1);
    assert_eq!(fs::metadata(tail(dir.path())).unwrap().len(), before);
}

#[tokio::test]
async fn zeros_that_lie_ahead_are_no_records_and_go_when_the_log_ends() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let large = |n| Entry { leaf: leaf(n), attachment: Bytes::from(vec![7; 40_000]) };
    for n in 0..6 {
        log.append(large(n)).await.unwrap();
        // The publisher reads ahead into the zeros before the next record takes their place.
        log.checkpoint_covering(n).await.unwrap();
    }
    let records = (0..6).map(|n| frame_bytes(&large(n))).sum::<usize>().try_into().unwrap();
    let length = |dir: &Path| fs::metadata(tail(dir)).unwrap().len();
    assert!(length(dir.path()) > records, "the next sync needs no new size");
    let crashed = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), crashed.path());
    assert_eq!(recovered_size(crashed.path(), 6).unwrap(), 6);
    assert_eq!(length(crashed.path()), records);
    log.close().await;
    assert_eq!(length(dir.path()), records);
    assert_eq!(log.audit().unwrap(), 6);
}

/// Sixty records in segments of about five.
async fn many_segments(dir: &Path) -> MessageLog {
    let mut small = options(dir);
    small.limits = LogLimits { segment_bytes: 400, ..small.limits };
    let log = MessageLog::open(small).unwrap();
    for n in 0..60 {
        log.append(entry(n)).await.unwrap();
    }
    log
}

fn segment_files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("segments")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().unwrap() == extension).collect();
    files.sort();
    files
}

#[tokio::test]
async fn records_are_read_across_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let log = many_segments(dir.path()).await;
    assert!(segment_files(dir.path(), "seg").len() > 5);
    log.close().await;
    for log in [log, open(dir.path())] {
        for n in 0..60 {
            assert_eq!(log.read(n).unwrap().leaf, leaf(n));
        }
        let mut seen = Vec::new();
        log.scan(13, |index, record| {
            assert_eq!(record.leaf, leaf(index));
            seen.push(index);
            if index < 50 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        assert!(seen.into_iter().eq(13..=50));
    }
}

#[tokio::test]
async fn a_lost_or_wrong_offset_file_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    many_segments(dir.path()).await.close().await;
    let offsets = segment_files(dir.path(), "off");
    let kept: Vec<_> = offsets.iter().map(|path| fs::read(path).unwrap()).collect();
    fs::remove_file(&offsets[0]).unwrap();
    fs::write(&offsets[1], b"").unwrap();
    let log = open(dir.path());
    fs::write(&offsets[2], vec![0xff; kept[2].len()]).unwrap();
    for n in 0..60 {
        assert_eq!(log.read(n).unwrap().leaf, leaf(n));
    }
    let again: Vec<_> = offsets.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(again, kept);
    // What can be neither read nor written again costs time and no record.
    fs::remove_file(&offsets[0]).unwrap();
    fs::create_dir(&offsets[0]).unwrap();
    for n in 0..60 {
        assert_eq!(log.read(n).unwrap().leaf, leaf(n));
    }
}

#[tokio::test]
async fn a_missing_or_shortened_sealed_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    many_segments(dir.path()).await.close().await;
    for (at, change) in [(0, None), (2, None), (2, Some(3)), (3, Some(100))] {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let segment = &segment_files(copy.path(), "seg")[at];
        match change {
            None => fs::remove_file(segment).unwrap(),
            Some(bytes) => {
                let whole = fs::read(segment).unwrap();
                fs::write(segment, &whole[..whole.len() - bytes]).unwrap();
            }
        }
        let refused = MessageLog::open(options(copy.path()));
        assert!(matches!(refused, Err(LogError::Corrupt { .. })), "{at}: {refused:?}");
    }
}

#[tokio::test]
async fn a_changed_byte_in_a_sealed_segment_is_seen_when_it_is_read_and_by_the_audit() {
    let dir = tempfile::tempdir().unwrap();
    let log = many_segments(dir.path()).await;
    log.close().await;
    assert_eq!(log.audit().unwrap(), 60);
    let segment = &segment_files(dir.path(), "seg")[1];
    let mut changed = fs::read(segment).unwrap();
    changed[40] ^= 1;
    fs::write(segment, changed).unwrap();
    let damaged = (0..60).filter(|n| log.read(*n).is_err()).count();
    assert_eq!(damaged, 1);
    assert!(matches!(log.audit(), Err(LogError::Corrupt { .. })));
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    assert!(matches!(MessageLog::open(options(dir.path())), Err(LogError::InUse { .. })));
    drop(log);
    append(&open(dir.path()), 0..1).await;
}
