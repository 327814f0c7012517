//! The tree, its tiles and checkpoints, read by the crates `tlog_tiles` and `signed_note`, which
//! are ports of Go's own and know nothing of this code.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use schemas::tlog::merkle::{self, Extension, leaf_hash};
use schemas::tlog::{Checkpoint, tile};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree,
};

use super::{ORIGIN, START, TestKey, append, entry, leaf, open, options};
use crate::{LogError, MessageLog};

/// Reads tiles from the directory that a static server would serve.
struct Served(PathBuf);

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // The crate writes the height of tiles into the path, which C2SP fixes and leaves out.
        let path = |tile: &Tile| self.0.join(tile.path().replace("tile/8/", "tile/"));
        Ok(tiles.iter().map(|tile| fs::read(path(tile)).expect("a served tile")).collect())
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// Verifies a checkpoint as a stranger would; gives size and root.
fn checked(log: &MessageLog, note: &str) -> (u64, Hash) {
    let vkey = log.verifier().to_string();
    let verifier = StandardVerifier::new(&vkey).unwrap();
    let note = Note::from_bytes(note.as_bytes()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let (signed, unknown) = note.verify(&known).unwrap();
    assert_eq!((signed.len(), unknown.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.extension()), (ORIGIN, ""));
    (checkpoint.size(), *checkpoint.hash())
}

#[tokio::test]
async fn a_stranger_reads_every_size_of_the_tree_from_the_served_files() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut last = 0;
    for size in [1, 2, 255, 256, 257, 600] {
        append(&log, last..size).await;
        last = size;
        let note = log.checkpoint_covering(size - 1).await.unwrap();
        assert_eq!(fs::read_to_string(log.published_dir().join("checkpoint")).unwrap(), note);
        let (signed_size, root) = checked(&log, &note);
        assert_eq!(signed_size, size);
        let served = Served(log.published_dir().to_owned());
        let hashes = TileHashReader::new(size, root, &served);
        for index in [0, size / 2, size - 1] {
            let proof = prove_record(size, index, &hashes).unwrap();
            let hash = Hash(leaf_hash(&leaf(index)).0);
            check_record(&proof, size, root, index, hash).unwrap();
            let own: Vec<_> = log.inclusion_proof(index, size).unwrap();
            assert!(own.iter().map(|hash| hash.0).eq(proof.iter().map(|hash| hash.0)));
        }
    }
    // Full tiles have replaced the partial ones of sizes before.
    assert!(!log.published_dir().join("tile/0/000.p").exists());
    assert!(log.published_dir().join("tile/0/001.p/1").exists() || last > 512);
    assert!(log.published_dir().join("tile/entries/002.p/88").exists());
}

#[tokio::test]
async fn entry_bundles_hold_the_leaves_and_no_attachment() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..300).await;
    log.close().await;
    let bundles = ["tile/entries/000", "tile/entries/001.p/44"];
    let bytes = bundles.map(|path| fs::read(log.published_dir().join(path)).unwrap());
    let entries: Vec<_> =
        bytes.iter().flat_map(|bundle| tile::entries_of(bundle).unwrap()).collect();
    assert!(entries.into_iter().eq((0..300).map(leaf)));
}

#[test]
fn proofs_are_those_of_the_other_implementation_for_any_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let log = open(dir.path());
    runtime.block_on(async {
        append(&log, 0..1100).await;
        log.checkpoint_covering(1099).await.unwrap();
    });
    let hashes = Hashes((0..1100).map(|n| Hash(leaf_hash(&leaf(n)).0)).collect());
    proptest!(|(new in 1_u64..=1100, old in 1_u64..=1100, at in 0_u64..1100)| {
        let (old, index) = (old.min(new), at % new);
        let root = |size: u64| tlog_tiles::tree_hash(size, &hashes).unwrap();
        let own = log.inclusion_proof(index, new).unwrap();
        let theirs = prove_record(new, index, &hashes).unwrap();
        prop_assert!(own.iter().map(|hash| hash.0).eq(theirs.iter().map(|hash| hash.0)));
        let leaf_hash = leaf_hash(&leaf(index));
        let new_root = schemas::digest::Sha256(root(new).0);
        prop_assert_eq!(merkle::verify_inclusion(&leaf_hash, index, new, &own, &new_root), Ok(()));

        let own = log.consistency_proof(old, new).unwrap();
        let theirs = prove_tree(new, old, &hashes).unwrap();
        prop_assert!(own.iter().map(|hash| hash.0).eq(theirs.iter().map(|hash| hash.0)));
        check_tree(&theirs, new, root(new), old, root(old)).unwrap();
        let old_root = schemas::digest::Sha256(root(old).0);
        let states = Extension {
            old_size: old, old_root: &old_root, new_size: new, new_root: &new_root,
        };
        prop_assert_eq!(merkle::verify_consistency(states, &own), Ok(()));
    });
    let beyond = log.inclusion_proof(0, 1101);
    assert!(matches!(beyond, Err(LogError::NotPublished { .. })));
    assert!(matches!(log.inclusion_proof(9, 9), Err(LogError::NoSuchRecord { .. })));
}

/// The other implementation's hashes of all subtrees, computed from leaf hashes when asked.
struct Hashes(Vec<Hash>);

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        fn subtree(leaves: &[Hash]) -> Hash {
            match leaves {
                [only] => *only,
                many => {
                    let (left, right) = many.split_at(many.len() / 2);
                    tlog_tiles::node_hash(subtree(left), subtree(right))
                }
            }
        }
        let hash = |stored: &u64| {
            let (level, index) = tlog_tiles::split_stored_hash_index(*stored);
            let start = usize::try_from(index << level).unwrap();
            subtree(&self.0[start..start + (1 << level)])
        };
        Ok(indexes.iter().map(hash).collect())
    }
}

#[tokio::test]
async fn checkpoints_extend_each_other_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut known: Option<Checkpoint> = None;
    for (round, close) in [true, false, false, true].into_iter().enumerate() {
        let log = open(dir.path());
        let first = log.size();
        append(&log, first..first + 130).await;
        let note = log.checkpoint_covering(first + 100).await.unwrap();
        append(&log, first + 130..first + 150).await;
        let next = Checkpoint::open(&note, ORIGIN, log.verifier()).unwrap();
        if let Some(old) = &known {
            let proof = log.consistency_proof(old.size, next.size).unwrap();
            let states = Extension {
                old_size: old.size,
                old_root: &old.root,
                new_size: next.size,
                new_root: &next.root,
            };
            assert_eq!(merkle::verify_consistency(states, &proof), Ok(()), "round {round}");
        }
        known = Some(next);
        if close {
            log.close().await;
        }
    }
}

async fn published(dir: &Path, records: u64) {
    let log = open(dir);
    append(&log, 0..records).await;
    log.close().await;
}

#[tokio::test]
async fn a_log_is_refused_with_a_checkpoint_of_another_key_tree_or_origin() {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), 300).await;
    let checkpoint = dir.path().join("tlog/checkpoint");
    let refused = |what: &str, options| {
        let opened = MessageLog::open(options);
        assert!(matches!(opened, Err(LogError::Contradiction { .. })), "{what}: {opened:?}");
    };
    let mut other_key = options(dir.path());
    other_key.key = TestKey::new(2);
    refused("another key", other_key);
    let mut other_origin = options(dir.path());
    other_origin.origin = "TEST/GOV/100/HUB2".to_owned();
    refused("another origin", other_origin);

    // The same key signed another history of the same length.
    let other = tempfile::tempdir().unwrap();
    let log = open(other.path());
    append(&log, 0..299).await;
    log.append(entry(0)).await.unwrap();
    log.close().await;
    let own = fs::read(&checkpoint).unwrap();
    fs::copy(other.path().join("tlog/checkpoint"), &checkpoint).unwrap();
    refused("another tree", options(dir.path()));
    // A longer one: this directory would be a rollback.
    let log = open(other.path());
    append(&log, 300..310).await;
    log.close().await;
    fs::copy(other.path().join("tlog/checkpoint"), &checkpoint).unwrap();
    refused("more records", options(dir.path()));
    fs::write(&checkpoint, own).unwrap();
    assert_eq!(open(dir.path()).published_size(), 300);
}

/// The unfinished tiles of the old checkpoint are gone by then: their full ones are there.
#[tokio::test]
async fn a_kill_between_a_full_tile_and_its_checkpoint_costs_no_reading_of_the_whole_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options(dir.path());
    small.limits.segment_bytes = 4_000;
    let log = MessageLog::open(small).unwrap();
    // A batch lies in one segment.
    for range in [0..200, 200..300] {
        append(&log, range).await;
    }
    let old = log.checkpoint_covering(299).await.unwrap();
    append(&log, 300..600).await;
    log.checkpoint_covering(599).await.unwrap();
    log.close().await;
    drop(log);
    assert!(!dir.path().join("tlog/tile/entries/001.p").exists());
    fs::write(dir.path().join("tlog/checkpoint"), old).unwrap();
    // Who reads from the first record on finds this.
    let first = dir.path().join("segments").join(format!("{:020}.seg", 0));
    let mut damaged = fs::read(&first).unwrap();
    damaged[40] ^= 1;
    fs::write(&first, damaged).unwrap();
    let log = open(dir.path());
    assert_eq!(log.published_size(), 600);
}

#[tokio::test]
async fn tiles_that_are_lost_short_or_changed_are_written_again() {
    let dir = tempfile::tempdir().unwrap();
    published(dir.path(), 700).await;
    let tlog = dir.path().join("tlog");
    let files = ["tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"]
        .into_iter()
        .chain(["tile/entries/001", "tile/entries/002.p/188"]);
    for file in files {
        let path = tlog.join(file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[40] ^= 1;
        // Inside full tiles only the audit of the served files sees a changed byte.
        let full = !file.contains(".p");
        for damage in [Some(vec![]), Some(changed), None].into_iter().skip(usize::from(full)) {
            match damage {
                Some(bytes) if !full => fs::write(&path, bytes).unwrap(),
                Some(_) => fs::write(&path, &whole[..100]).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let log = open(dir.path());
            assert_eq!(fs::read(&path).unwrap(), whole, "{file}");
            assert_eq!(log.published_size(), 700);
        }
    }
    fs::remove_dir_all(tlog.join("tile")).unwrap();
    let log = open(dir.path());
    let proof = log.inclusion_proof(3, 700).unwrap();
    let checkpoint = Checkpoint::open(&log.latest_checkpoint(), ORIGIN, log.verifier()).unwrap();
    let verified = merkle::verify_inclusion(&leaf_hash(&leaf(3)), 3, 700, &proof, &checkpoint.root);
    assert_eq!(verified, Ok(()));
}

#[tokio::test]
async fn a_key_that_does_not_sign_is_reported_and_the_next_checkpoint_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let key = TestKey::new(1);
    let mut options = options(dir.path());
    options.key = key.clone();
    let log = MessageLog::open(options).unwrap();
    append(&log, 0..300).await;
    *key.failing.lock().unwrap() = true;
    let failed = log.checkpoint_covering(299).await;
    assert!(matches!(failed, Err(LogError::Signer { .. })), "{failed:?}");
    assert_eq!(log.published_size(), 0);
    append(&log, 300..310).await;
    *key.failing.lock().unwrap() = false;
    let note = log.checkpoint_covering(309).await.unwrap();
    assert_eq!(checked(&log, &note).0, 310);
    assert_eq!(log.audit().unwrap(), 310);
    let early = log.checkpoint_covering(310).await;
    assert!(matches!(early, Err(LogError::NoSuchRecord { .. })));
    assert_eq!(START.year(), 2026);
}
