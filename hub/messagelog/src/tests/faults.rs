//! Disks that are full or failing, and bits that rot: what the log says, what goes on, and what repairs itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemas::clock::{Clock, UnixMillis};
use schemas::tlog::Checkpoint;
use schemas::tlog::merkle::{leaf_hash, verify_inclusion};

use super::simulated::{Call, Faults, Model, Seeded, SimulatedDisk};
use super::{ORIGIN, append, copy_dir, entry, leaf, open, open_with, options};
use crate::bundles::read_bundle;
use crate::segments::Leaf;
use crate::tiles::{Tiles, Tree};
use crate::vault::{Class, KeyName, Vault};
use crate::{IndexKey, IndexKind, LogError, LogLimits, MessageLog, Order, Query};

const FULL: Faults = Faults { full: 1, sync: 0 };
const HEALTHY: Faults = Faults { full: 0, sync: 0 };

fn simulated(root: &Path, seed: u64) -> SimulatedDisk {
    SimulatedDisk::new(root, Model::default(), Seeded(seed))
}

/// Holds the proof of a record against the latest checkpoint.
fn proved(log: &MessageLog, index: u64) -> bool {
    let latest = Checkpoint::open(&log.latest_checkpoint(), ORIGIN, log.verifier()).unwrap();
    let proof = log.inclusion_proof(index, latest.size).unwrap();
    let hash = leaf_hash(&leaf(index));
    verify_inclusion(&hash, index, latest.size, &proof, &latest.root).is_ok()
}

#[tokio::test]
async fn a_full_disk_refuses_records_while_reads_and_proofs_go_on_until_there_is_room_again() {
    for (seed, segment_bytes) in [(1, 400), (2, 1 << 20)] {
        let root = tempfile::tempdir().unwrap();
        let disk = simulated(root.path(), seed);
        let mut options = options(&root.path().join("log"));
        options.limits = LogLimits { segment_bytes, ..options.limits };
        let log = open_with(options, Arc::new(disk.clone())).unwrap();
        append(&log, 0..300).await;
        log.checkpoint_covering(299).await.unwrap();
        disk.set_faults(FULL);
        for n in 1000..1020 {
            let refused = log.append(entry(n)).await.unwrap_err();
            assert!(matches!(refused, LogError::Full { .. }), "{refused}");
            assert!(refused.to_string().contains("make room"), "{refused}");
            assert_eq!(log.failure(), Some(refused));
        }
        assert_eq!(log.size(), 300);
        assert!((0..300).all(|n| log.read(n).unwrap() == stored(n) && proved(&log, n)));
        let client = IndexKey::new(IndexKind::Client, "client-1");
        assert_eq!(log.find(&Query::by_key(client)).unwrap().len(), 100);
        disk.set_faults(HEALTHY);
        append(&log, 300..310).await;
        assert_eq!(log.failure(), None);
        log.close().await;
        drop(log);
        let log = open(&root.path().join("log"));
        assert_eq!(log.size(), 310, "nothing that was refused is stored");
        assert!((0..310).all(|n| log.read(n).unwrap() == stored(n)));
        assert_eq!(log.audit(), Ok(310));
    }
}

fn stored(n: u64) -> crate::StoredRecord {
    crate::StoredRecord { leaf: entry(n).leaf, attachment: entry(n).attachment }
}

#[tokio::test]
async fn a_full_disk_that_cannot_be_cut_back_and_a_failed_sync_stop_the_log_until_the_restart() {
    for faults in [Faults { full: 1, sync: 1 }, Faults { full: 0, sync: 1 }] {
        let root = tempfile::tempdir().unwrap();
        let disk = simulated(root.path(), 3);
        let dir = root.path().join("log");
        let log = open_with(options(&dir), Arc::new(disk.clone())).unwrap();
        append(&log, 0..5).await;
        disk.set_faults(faults);
        let refused = log.append(entry(5)).await.unwrap_err();
        disk.set_faults(HEALTHY);
        for _ in 0..3 {
            assert!(matches!(refused, LogError::Poisoned { .. }), "{refused}");
            assert!(refused.to_string().contains("restart the hub"), "{refused}");
            assert_eq!(log.append(entry(6)).await.unwrap_err(), refused);
        }
        assert_eq!(log.failure(), Some(refused));
        assert_eq!(log.read(4).unwrap(), stored(4));
        drop(log);
        let log = open(&dir);
        let receipt = log.append(entry(9)).await.unwrap();
        assert_eq!(log.read(receipt.index()).unwrap(), stored(9));
    }
}

#[tokio::test]
async fn checkpoints_follow_by_themselves_when_there_is_room_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = simulated(root.path(), 4);
    let log = open_with(options(&root.path().join("log")), Arc::new(disk.clone())).unwrap();
    append(&log, 0..250).await;
    log.checkpoint_covering(249).await.unwrap();
    append(&log, 250..520).await;
    disk.set_faults(FULL);
    let failed = log.checkpoint_covering(519).await.unwrap_err();
    assert!(failed.to_string().contains("space"), "{failed}");
    assert!(proved(&log, 100), "what is published goes on");
    disk.set_faults(HEALTHY);
    log.checkpoint_covering(519).await.unwrap();
    assert!((0..520).all(|n| proved(&log, n)));
}

#[tokio::test]
async fn a_hub_that_is_restarted_on_a_full_disk_reads_and_proves_and_goes_on_when_there_is_room() {
    for behind in [0, 12, 300] {
        let root = tempfile::tempdir().unwrap();
        let (disk, dir) = (simulated(root.path(), 6), root.path().join("log"));
        let log = open_with(options(&dir), Arc::new(disk.clone())).unwrap();
        append(&log, 0..300).await;
        log.checkpoint_covering(299).await.unwrap();
        append(&log, 300..300 + behind).await;
        drop(log);
        disk.set_filled(true);
        let log = open_with(options(&dir), Arc::new(disk.clone())).unwrap();
        let size = 300 + behind;
        assert_eq!((log.size(), log.published_size()), (size, 300));
        assert!((0..size).all(|n| log.read(n).unwrap() == stored(n)));
        assert!((0..300).all(|n| proved(&log, n)), "{behind}");
        let client = Query::by_key(IndexKey::new(IndexKind::Client, "client-1"));
        let third = usize::try_from(size / 3).unwrap();
        assert_eq!(log.find(&client).unwrap().len(), third);
        if behind > 0 {
            let refused = log.checkpoint_covering(size - 1).await.unwrap_err();
            assert!(matches!(refused, LogError::NoRoom { .. }), "{refused}");
        }
        disk.set_filled(false);
        append(&log, size..size + 5).await;
        log.checkpoint_covering(size + 4).await.unwrap();
        assert!((0..size + 5).all(|n| proved(&log, n)), "{behind}");
        assert_eq!(log.audit(), Ok(size + 5));
        assert_eq!(log.find(&Query::all()).unwrap().len(), third * 3 + 5);
    }
}

#[tokio::test]
async fn a_log_that_has_not_grown_is_opened_without_writing_what_is_published() {
    let root = tempfile::tempdir().unwrap();
    let disk = simulated(root.path(), 5);
    let dir = root.path().join("log");
    let log = open_with(options(&dir), Arc::new(disk.clone())).unwrap();
    append(&log, 0..300).await;
    log.close().await;
    drop(log);
    let note = fs::read_to_string(dir.join("tlog/checkpoint")).unwrap();
    let before = disk.calls_count();
    let log = open_with(options(&dir), Arc::new(disk.clone())).unwrap();
    assert_eq!((log.latest_checkpoint(), log.published_size()), (note, 300));
    let published =
        |call: &Call| matches!(call, Call::Make(path, _) if path.starts_with("log/tlog"));
    assert_eq!(disk.calls()[before..].iter().filter(|call| published(call)).count(), 0);
}

#[tokio::test]
async fn queries_read_the_records_while_there_is_no_index_and_it_comes_back_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..120).await;
    log.wait_indexed(119).await.unwrap();
    let minute = |n: u64| UnixMillis(super::START.0 + n * 60_000);
    let queries = [
        Query::all(),
        Query { limit: 7, ..Query::by_key(IndexKey::new(IndexKind::Client, "client-1")) },
        Query { limit: 7, order: Order::OldestFirst, ..Query::all() },
        Query { within: 12..15, ..Query::all() },
        Query { within: 12..19, limit: 3, order: Order::OldestFirst, ..Query::all() },
        Query { from: minute(30), to: minute(41), ..Query::all() },
    ];
    let answers = |log: &MessageLog| queries.each_ref().map(|query| log.find(query).unwrap());
    let expected = answers(&log);
    log.close().await;
    drop(log);
    // No index can be here, and nothing can be moved aside to there.
    let index = dir.path().join("index");
    fs::remove_dir_all(&index).unwrap();
    fs::write(&index, b"").unwrap();
    let in_the_way = dir.path().join("index.damaged");
    fs::write(&in_the_way, b"").unwrap();
    let log = open(dir.path());
    log.wait_indexed(119).await.unwrap();
    assert_eq!(answers(&log), expected);
    assert!(index.is_file(), "there was no index");
    fs::remove_file(&in_the_way).unwrap();
    let watch = Clock::machine().stopwatch();
    while !index.is_dir() {
        assert!(watch.elapsed() < Duration::from_secs(10), "the index does not come back");
        assert_eq!(log.find(&queries[1]).unwrap().len(), 7);
    }
    log.wait_indexed(119).await.unwrap();
    assert_eq!(answers(&log), expected);
}

#[tokio::test]
async fn rotten_bits_in_published_tiles_are_seen_at_the_start_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..1100).await;
    log.close().await;
    drop(log);
    let tiles = ["tile/0/000", "tile/0/003", "tile/1/000.p/4", "tile/0/004.p/76"];
    let bundles = ["tile/entries/000", "tile/entries/003", "tile/entries/004.p/76"];
    for (number, file) in tiles.into_iter().chain(bundles).enumerate() {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let path = copy.path().join("tlog").join(file);
        let whole = fs::read(&path).unwrap();
        let mut rotten = whole.clone();
        let at = number * 17 + 2;
        rotten[at] ^= 4;
        fs::write(&path, rotten).unwrap();
        let log = open(copy.path());
        assert_eq!(fs::read(&path).unwrap(), whole, "{file}");
        assert!([0, 300, 900, 1099].into_iter().all(|n| proved(&log, n)), "{file}");
    }
}

#[test]
fn a_bundle_that_cannot_be_read_is_replaced_durably() {
    let root = tempfile::tempdir().unwrap();
    let (disk, tlog) = (simulated(root.path(), 7), root.path().join("tlog"));
    let entries = tlog.join("tile/entries");
    fs::create_dir_all(&entries).unwrap();
    // A link to itself is there, and nobody can read it.
    std::os::unix::fs::symlink("000", entries.join("000")).unwrap();
    let mut tree = Tree::empty(Tiles::new(tlog, Arc::new(disk.clone())));
    for n in 0..256 {
        tree.push(&Leaf { hash: leaf_hash(&leaf(n)), bytes: leaf(n) }).unwrap();
    }
    assert_eq!(read_bundle(&entries.join("000")).unwrap(), (0..256).map(leaf).collect::<Vec<_>>());
    let calls = disk.calls();
    let renamed = calls
        .iter()
        .position(|call| matches!(call, Call::Rename(_, to) if to.ends_with("entries/000")));
    let renamed = renamed.unwrap();
    assert!(matches!(calls[renamed - 1], Call::Sync(_)), "{calls:?}");
    assert!(matches!(&calls[renamed + 1], Call::SyncDir(dir) if dir.ends_with("entries")));
}

#[tokio::test]
async fn rotten_bits_in_offsets_cost_a_scan_and_in_a_checkpoint_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.limits = LogLimits { segment_bytes: 400, ..small.limits };
    let log = MessageLog::open(small).unwrap();
    for n in 0..30 {
        log.append(entry(n)).await.unwrap();
    }
    log.close().await;
    drop(log);
    let segments = fs::read_dir(dir.path().join("segments")).unwrap();
    let offsets = segments.map(|file| file.unwrap().path());
    let offsets: Vec<_> =
        offsets.filter(|path| path.extension().is_some_and(|e| e == "off")).collect();
    assert!(offsets.len() > 3);
    for path in &offsets {
        let mut rotten = fs::read(path).unwrap();
        let last = rotten.len() - 1;
        rotten[0] ^= 64;
        rotten[last] ^= 1;
        fs::write(path, rotten).unwrap();
    }
    let log = open(dir.path());
    assert!((0..30).all(|n| log.read(n).unwrap() == stored(n)));
    drop(log);
    let checkpoint = dir.path().join("tlog/checkpoint");
    let whole = fs::read(&checkpoint).unwrap();
    for at in 0..whole.len() {
        let mut rotten = whole.clone();
        rotten[at] ^= 1;
        fs::write(&checkpoint, rotten).unwrap();
        let Err(refused) = MessageLog::open(options(dir.path())) else { panic!("byte {at}") };
        assert!(refused.to_string().contains("checkpoint"), "byte {at}: {refused}");
    }
}

#[test]
fn a_key_is_durable_before_it_seals_and_gone_once_its_destruction_has_begun() {
    for seed in 0..40 {
        let root = tempfile::tempdir().unwrap();
        let disk = simulated(root.path(), seed);
        let vault = Vault::open_on(&root.path().join("keys"), Arc::new(disk.clone())).unwrap();
        let sealed = vault.seal(&Class::default(), 2026, b"", &[b"evidence"]).unwrap();
        let (before, mut model) = (disk.calls_count(), Model::default());
        vault.destroy(&KeyName::evidence(&Class::default(), 2026)).unwrap();
        let calls = disk.calls();
        calls[..before].iter().for_each(|call| model.apply(call));
        let mut seeded = Seeded(seed);
        let mut opened = Vec::new();
        for call in std::iter::once(None).chain(calls[before..].iter().map(Some)) {
            call.into_iter().for_each(|call| model.apply(call));
            let after = tempfile::tempdir().unwrap();
            model.after(super::simulated::Crash::PowerCut, &mut seeded).lay_out(after.path());
            let dir = after.path().join("keys");
            fs::read_dir(&dir).unwrap().for_each(|file| private(&file.unwrap().path()));
            let zeros = fs::read(dir.join("evidence-2026.key")).is_ok_and(|key| key == [0; 32]);
            let vault = Vault::open(&dir).unwrap();
            opened.push(vault.open_sealed(&Class::default(), 2026, b"", &sealed).is_ok());
            assert!(!zeros || vault.destroyed().unwrap().len() == 1, "its end is recorded");
            // A key of zeros must never seal.
            let fresh = vault.seal(&Class::default(), 2026, b"", &[b"later"]).unwrap();
            assert_eq!(*vault.open_sealed(&Class::default(), 2026, b"", &fresh).unwrap(), b"later");
            let key = fs::read(dir.join("evidence-2026.key")).unwrap();
            assert_ne!(key, [0; 32], "seed {seed}");
        }
        assert!(opened[0], "durable before it sealed");
        assert!(!opened[opened.len() - 1], "destroyed");
        // Open, overwrite, sync: from the sync on it is gone.
        assert!(opened[2..].iter().all(|opens| !opens), "seed {seed}: {opened:?}");
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
