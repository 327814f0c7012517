//! Segments whose leaves stand in the entry bundles only: they read, prove, check and survive as before.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::crashes::fast_dir;
use super::simulated::{Crash, Faults, Model, Seeded, SimulatedDisk};
use super::{append, copy_dir, entry, open, open_with, options};
use crate::check::{CheckOptions, Report, Root, Store, check};
use crate::frame::{HEADER_BYTES, Header};
use crate::{IndexKey, IndexKind, LogError, LogLimits, LogOptions, MessageLog, Query};
use crate::{StoredRecord, scan_stopped};

/// Two full bundles and the beginning of a third.
const COUNT: u64 = 600;
/// Records in segments that can be compact: those before the last full bundle's end.
const COVERED: u64 = 512;

fn small(dir: &Path) -> LogOptions {
    let mut small = options(dir);
    small.limits = LogLimits { segment_bytes: 4000, ..small.limits };
    small
}

async fn fill(log: &MessageLog) {
    for start in (0..COUNT).step_by(20) {
        append(log, start..start + 20).await;
    }
    log.checkpoint_covering(COUNT - 1).await.unwrap();
}

/// A log with compact segments, closed.
async fn compact(dir: &Path) {
    let log = MessageLog::open(small(dir)).unwrap();
    fill(&log).await;
    log.wait_compact().await.unwrap();
    log.close().await;
}

/// Records that a scan gives, each compared.
fn scanned(log: &MessageLog) -> u64 {
    let mut next = 0;
    let scanned = log.scan(0, |index, record| {
        assert_eq!((index, record), (next, stored(next)));
        next += 1;
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    next
}

fn stored(n: u64) -> StoredRecord {
    StoredRecord { leaf: entry(n).leaf, attachment: entry(n).attachment }
}

/// The first records of the segments, and whether each is compact.
fn forms(dir: &Path) -> Vec<(u64, bool)> {
    let files = fs::read_dir(dir.join("segments")).unwrap().map(|file| file.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|e| e == "seg"));
    let mut forms: Vec<_> = segments
        .map(|path| {
            let first = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let bytes = fs::read(&path).unwrap();
            let leaf_length = bytes.get(HEADER_BYTES + 8..HEADER_BYTES + 12);
            (first, leaf_length == Some(&[0xff; 4]))
        })
        .collect();
    forms.sort_unstable();
    forms
}

fn checked(dir: &Path) -> Report {
    let record = |stored: &StoredRecord| -> Result<(), String> {
        if stored.attachment.starts_with(b"sealed ") { Ok(()) } else { Err("not sealed".into()) }
    };
    let options = CheckOptions { dir: dir.to_owned(), verifier: None, record, threads: 2 };
    check(&options, |_| ()).unwrap()
}

#[tokio::test]
async fn sealed_segments_under_full_bundles_lose_their_leaves_and_nothing_else() {
    let dir = fast_dir();
    let log = MessageLog::open(small(dir.path())).unwrap();
    fill(&log).await;
    let before = forms(dir.path());
    assert!(before.len() > 6 && before.iter().all(|(_, compact)| !compact));
    let audited = log.audit();
    log.wait_compact().await.unwrap();
    let forms = forms(dir.path());
    assert_eq!(forms.len(), before.len());
    for pair in forms.windows(2) {
        assert_eq!(pair[0].1, pair[1].0 <= COVERED, "{pair:?}");
    }
    assert!(!forms.last().unwrap().1, "the tail holds its leaves");
    assert!((0..COUNT).all(|n| log.read(n).unwrap() == stored(n)));
    assert_eq!(log.audit(), audited);
    log.close().await;
    drop(log);
    // Without offset files and index, too.
    for (first, _) in &forms {
        let _ = fs::remove_file(dir.path().join(format!("segments/{first:020}.off")));
    }
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let log = MessageLog::open(small(dir.path())).unwrap();
    assert!((0..COUNT).rev().all(|n| log.read(n).unwrap() == stored(n)));
    log.wait_indexed(COUNT - 1).await.unwrap();
    let client = Query::by_key(IndexKey::new(IndexKind::Client, "client-1"));
    assert_eq!(log.find(&client).unwrap().len(), 200);
    append(&log, COUNT..COUNT + 300).await;
    log.checkpoint_covering(COUNT + 299).await.unwrap();
    log.wait_compact().await.unwrap();
    log.close().await;
    let mut next = 0;
    let take = |index, record| {
        assert_eq!((index, record), (next, stored(next)));
        next += 1;
        ControlFlow::Continue(())
    };
    scan_stopped(dir.path(), take).unwrap();
    assert_eq!(next, COUNT + 300);
    assert!(checked(dir.path()).is_good());
}

#[tokio::test]
async fn records_are_read_while_their_segments_are_replaced() {
    let dir = fast_dir();
    let log = MessageLog::open(small(dir.path())).unwrap();
    fill(&log).await;
    let reading = log.clone();
    let reader = std::thread::spawn(move || {
        for round in 0..4 {
            assert!((0..COUNT).all(|n| reading.read(n).unwrap() == stored(n)), "{round}");
        }
        assert_eq!(reading.audit(), Ok(COUNT));
    });
    log.wait_compact().await.unwrap();
    reader.join().unwrap();
    assert!(forms(dir.path())[0].1);
    log.close().await;
    assert!(checked(dir.path()).is_good());
}

#[tokio::test]
async fn segment_keeps_its_leaves_while_a_bundle_has_others() {
    let dir = fast_dir();
    let log = MessageLog::open(small(dir.path())).unwrap();
    fill(&log).await;
    let bundle = dir.path().join("tlog/tile/entries/001");
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[10] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    log.wait_compact().await.unwrap();
    assert!((0..COUNT).all(|n| log.read(n).unwrap() == stored(n)));
    for pair in forms(dir.path()).windows(2) {
        // The changed record is the 256th; what begins behind it fits its bundle.
        assert_eq!(pair[0].1, pair[1].0 <= 256 || (256 < pair[0].0 && pair[1].0 <= COVERED));
    }
}

#[tokio::test]
async fn a_bundle_that_compact_segments_share_with_another_is_repaired_as_the_check_says() {
    let dir = fast_dir();
    let log = MessageLog::open(small(dir.path())).unwrap();
    fill(&log).await;
    let bundle = dir.path().join("tlog/tile/entries/001");
    let whole = fs::read(&bundle).unwrap();
    let mut rotten = whole.clone();
    rotten[10] ^= 1;
    fs::write(&bundle, rotten).unwrap();
    log.wait_compact().await.unwrap();
    log.close().await;
    drop(log);
    assert!(forms(dir.path()).iter().any(|(first, compact)| *compact && *first > 256));
    let report = checked(dir.path());
    let [found] = report.findings.named() else { panic!("{:?}", report.findings) };
    assert_eq!((found.store, found.records), (Store::EntryBundles, Some((256, 256))));
    let repair = found.store.repair();
    assert!(repair.contains("the folders 0, 1, … of log/tlog/tile (nothing of tile/entries"));
    for level in ["0", "1"] {
        fs::remove_dir_all(dir.path().join("tlog/tile").join(level)).unwrap();
    }
    let log = MessageLog::open(small(dir.path())).unwrap();
    assert!((0..COUNT).all(|n| log.read(n).unwrap() == stored(n)));
    log.close().await;
    assert_eq!(fs::read(&bundle).unwrap(), whole);
    assert!(checked(dir.path()).is_good());
}

/// The published files that hold the records of compact segments.
fn bundles(dir: &Path) -> [PathBuf; 2] {
    ["000", "001"].map(|name| dir.join("tlog/tile/entries").join(name))
}

#[tokio::test]
async fn damage_to_the_only_copy_is_named_by_the_check_and_by_every_read() {
    let made = fast_dir();
    compact(made.path()).await;
    let damages: [fn(&Path); 3] = [
        |bundle| {
            let mut bytes = fs::read(bundle).unwrap();
            bytes[5] ^= 1;
            fs::write(bundle, bytes).unwrap();
        },
        |bundle| fs::remove_file(bundle).unwrap(),
        |bundle| fs::write(bundle, b"").unwrap(),
    ];
    for (damage, records) in damages.into_iter().zip([(0, 0), (0, 255), (0, 255)]) {
        let dir = fast_dir();
        copy_dir(made.path(), dir.path());
        damage(&bundles(dir.path())[0]);
        let report = checked(dir.path());
        let found = report.findings.named();
        assert!(found.iter().all(|finding| finding.store == Store::OnlyBundles), "{found:?}");
        assert_eq!(found.first().and_then(|finding| finding.records.map(|r| r.0)), Some(0));
        assert_eq!(found.last().and_then(|finding| finding.records.map(|r| r.1)), Some(records.1));
        assert_eq!(found[0].file, "tlog/tile/entries/000");
        assert!(found[0].store.repair().contains("backup"));
        assert_eq!(report.root, Root::SameBut { records: records.1 + 1 });
        let refused = scan_stopped(dir.path(), |_, _| ControlFlow::Continue(())).unwrap_err();
        assert!(refused.to_string().contains("tile/entries/000"), "{refused}");
        // The tiles of the newest records are looked at when it is opened, and cannot be made again.
        let Err(refused) = MessageLog::open(small(dir.path())) else { panic!("it was opened") };
        assert!(matches!(refused, LogError::Corrupt { .. }), "{refused}");
        assert!(refused.to_string().contains("backup"), "{refused}");
    }
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_for_a_moment_is_no_damage() {
    let dir = fast_dir();
    compact(dir.path()).await;
    let log = open(dir.path());
    let [bundle, ..] = bundles(dir.path());
    let aside = bundle.with_extension("aside");
    fs::rename(&bundle, &aside).unwrap();
    // A directory is there and cannot be read, as a file when no descriptor is free.
    fs::create_dir(&bundle).unwrap();
    let refused =
        [log.read(5).unwrap_err(), log.scan(0, |_, _| ControlFlow::Continue(())).unwrap_err()];
    assert!(refused.iter().all(|error| matches!(error, LogError::Io { .. })), "{refused:?}");
    fs::remove_dir(&bundle).unwrap();
    fs::rename(&aside, &bundle).unwrap();
    assert_eq!(log.read(5), Ok(stored(5)));
    assert_eq!(scanned(&log), COUNT);
}

#[tokio::test]
async fn hash_tiles_are_made_again_and_bundles_left_alone() {
    let dir = fast_dir();
    compact(dir.path()).await;
    let held = bundles(dir.path()).map(|path| fs::read(path).unwrap());
    fs::remove_dir_all(dir.path().join("tlog/tile/0")).unwrap();
    fs::remove_dir_all(dir.path().join("tlog/tile/1")).unwrap();
    let log = open(dir.path());
    assert_eq!(log.audit(), Ok(COUNT));
    log.close().await;
    assert_eq!(bundles(dir.path()).map(|path| fs::read(path).unwrap()), held);
    assert!(checked(dir.path()).is_good());
}

#[tokio::test]
async fn no_crash_between_any_two_system_calls_of_it_loses_a_leaf() {
    let root = fast_dir();
    let disk = SimulatedDisk::new(root.path(), Model::default(), Seeded(7));
    let log = open_with(small(&root.path().join("log")), Arc::new(disk.clone())).unwrap();
    fill(&log).await;
    let before = disk.calls_count();
    log.wait_compact().await.unwrap();
    drop(log);
    let (calls, mut model, mut seeded) = (disk.calls(), Model::default(), Seeded(8));
    calls[..before].iter().for_each(|call| model.apply(call));
    assert!(calls.len() > before + 40);
    for (number, call) in calls[before..].iter().enumerate() {
        model.apply(call);
        // What a power cut takes is drawn again each time: a leaf that is not durable is soon lost.
        for _ in 0..2 {
            let after = fast_dir();
            model.after(Crash::PowerCut, &mut seeded).lay_out(after.path());
            let log = MessageLog::open(small(&after.path().join("log")));
            let log = log.unwrap_or_else(|refused| panic!("call {number} {call:?}: {refused}"));
            assert_eq!(scanned(&log), COUNT, "call {number} {call:?}");
        }
    }
}

#[tokio::test]
async fn full_disk_and_failed_syncs_leave_segments_as_they_are_until_the_next_attempt() {
    for (seed, faults) in [(1, Faults { full: 3, sync: 0 }), (2, Faults { full: 0, sync: 3 })] {
        let root = fast_dir();
        let disk = SimulatedDisk::new(root.path(), Model::default(), Seeded(seed));
        let dir = root.path().join("log");
        let log = open_with(small(&dir), Arc::new(disk.clone())).unwrap();
        fill(&log).await;
        disk.set_faults(faults);
        for _ in 0..20 {
            log.wait_compact().await.unwrap();
            assert!((0..COUNT).all(|n| log.read(n).unwrap() == stored(n)));
        }
        disk.set_faults(Faults::default());
        log.wait_compact().await.unwrap();
        assert!(forms(&dir).windows(2).all(|pair| pair[0].1 == (pair[1].0 <= COVERED)));
        // What a failed sync left in memory only is on the disk by now.
        let mut model = Model::default();
        disk.calls().iter().for_each(|call| model.apply(call));
        let after = fast_dir();
        model.after(Crash::PowerCut, &mut Seeded(seed)).lay_out(after.path());
        let log = MessageLog::open(small(&after.path().join("log"))).unwrap();
        assert!((0..COUNT).all(|n| log.read(n).unwrap() == stored(n)));
    }
}

#[test]
fn a_header_of_a_compact_frame_is_one_of_any_frame() {
    let mut bytes = Vec::new();
    crate::frame::push_compact_frame(&mut bytes, 3, 1, (b"leaf", b"kept")).unwrap();
    let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
    assert_eq!((header.seq, header.payload_bytes), (3, bytes.len() - HEADER_BYTES));
}
