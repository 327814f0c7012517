//! A published log as golang.org/x/mod reads it: signed note, root, tiles, entries, proofs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use conformance::programs::{Checklog, Said, asked, run};
use conformance::published::{self, ORIGIN};
use hub_messagelog::{Entry, MessageLog};
use schemas::tlog::tile::{Tile, TileKind};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sizes around the edges of tiles: one record, a full tile, two levels, three (256² = 65 536).
/// `KOPRIK_LOG_SIZE` adds a larger one; from 256 001 on paths of tiles have two parts.
const SIZES: [u64; 8] = [0, 1, 2, 255, 256, 257, 700, 66_000];

/// The Go program; built once.
pub(crate) fn checklog() -> &'static Checklog {
    static BUILT: OnceLock<Checklog> = OnceLock::new();
    BUILT.get_or_init(|| Checklog::build(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap())
}

fn check(key: &str, dir: &Path, more: &[(&str, &Path)]) -> Said {
    let mut command = checklog().command();
    command.args(["-key", key, "-dir"]).arg(dir);
    for (flag, file) in more {
        command.arg(flag).arg(file);
    }
    run(&mut command).unwrap()
}

fn accepted(said: &Said, what: &str) {
    assert_eq!(said.code, Some(0), "{what}: {}", said.text);
    assert!(said.text.ends_with("VERIFIED\n"), "{what}: {}", said.text);
}

fn refused(said: &Said, step: &str, what: &str) {
    assert_eq!(said.code, Some(1), "{what} went unseen: {}", said.text);
    let line = said.text.lines().last().unwrap();
    assert!(line.starts_with(&format!("REFUSED {step}")), "{what}: {line}");
}

/// Proofs of a log as its API gives them, for records and sizes at the edges of tiles.
fn proofs(log: &MessageLog, size: u64) -> Value {
    let edges: Vec<u64> = [1, 2, 3, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537]
        .into_iter()
        .chain([size / 3, size - 1, size])
        .filter(|edge| (1..=size).contains(edge))
        .collect();
    let mut inclusion = Vec::new();
    let mut consistency = Vec::new();
    for new in &edges {
        for old in edges.iter().filter(|old| *old <= new) {
            let (index, proof) = (old - 1, log.inclusion_proof(old - 1, *new).unwrap());
            inclusion.push(json!({ "index": index, "size": new, "proof": proof }));
            let proof = log.consistency_proof(*old, *new).unwrap();
            consistency.push(json!({ "old": old, "new": new, "proof": proof }));
        }
    }
    json!({ "inclusion": inclusion, "consistency": consistency })
}

#[tokio::test]
async fn go_verifies_the_published_log_at_every_size_and_each_extends_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let log = published::open(&dir.path().join("log"), published::log_key().unwrap()).unwrap();
    let key = log.verifier().to_string();
    let (old, given) = (dir.path().join("old"), dir.path().join("given"));
    for size in SIZES.into_iter().chain(asked("KOPRIK_LOG_SIZE").unwrap()) {
        let note = published::grow(&log, size).await.unwrap();
        assert_eq!(fs::read_to_string(log.published_dir().join("checkpoint")).unwrap(), note);
        let mut more = vec![];
        if size > 0 {
            fs::write(&given, proofs(&log, size).to_string()).unwrap();
            more = vec![("-old", old.as_path()), ("-proofs", given.as_path())];
        } else {
            assert!(!log.published_dir().join("tile").exists(), "an empty log has no tiles");
        }
        let said = check(&key, log.published_dir(), &more);
        accepted(&said, &format!("{size} records"));
        let steps = if size > 0 { 6 } else { 4 };
        assert_eq!(said.text.matches("holds ").count(), steps, "{}", said.text);
        assert!(said.text.contains(&format!("{size} records")), "{}", said.text);
        fs::write(&old, note).unwrap();
    }
    let top = Tile::in_tree(TileKind::Hashes(2), 0, log.published_size()).unwrap();
    assert!(log.published_dir().join(top.to_string()).exists(), "three levels of tiles");
}

/// A log of 700 records with an earlier checkpoint, of 300, and proofs; it is published and closed.
struct Sample {
    dir: TempDir,
    key: String,
}

impl Sample {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = published::open(&dir.path().join("log"), published::log_key().unwrap()).unwrap();
        fs::write(dir.path().join("old"), published::grow(&log, 300).await.unwrap()).unwrap();
        published::grow(&log, 700).await.unwrap();
        fs::write(dir.path().join("given"), proofs(&log, 700).to_string()).unwrap();
        log.close().await;
        Self { key: log.verifier().to_string(), dir }
    }

    fn tlog(&self) -> PathBuf {
        self.dir.path().join("log/tlog")
    }

    fn check(&self) -> Said {
        let (old, given) = (self.dir.path().join("old"), self.dir.path().join("given"));
        check(&self.key, &self.tlog(), &[("-old", &old), ("-proofs", &given)])
    }

    /// Changes a file, lets Go look, and puts the file back.
    fn damaged(&self, path: &Path, damage: impl FnOnce(&mut Vec<u8>)) -> Said {
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        damage(&mut bytes);
        assert_ne!(bytes, whole, "{}", path.display());
        fs::write(path, bytes).unwrap();
        let said = self.check();
        fs::write(path, whole).unwrap();
        said
    }
}

#[tokio::test]
async fn go_refuses_a_damaged_log_and_names_the_step() {
    let sample = Sample::new().await;
    accepted(&sample.check(), "the log as published");
    // Where the damage is, and the step that sees it first.
    let cases = [
        ("checkpoint", "checkpoint"),
        ("tile/entries/000", "root"),
        ("tile/entries/002.p/188", "root"),
        ("tile/0/000", "tiles"),
        ("tile/0/001", "tiles"),
        ("tile/0/002.p/188", "tiles"),
        ("tile/1/000.p/2", "tiles"),
    ];
    for (file, step) in cases {
        let path = sample.tlog().join(file);
        let half = fs::read(&path).unwrap().len() / 2;
        // Near the end: within a record, a hash or a signature, and in no length. Not the last
        // letter of the signature: Go does not look at the bits that base64 leaves over there.
        let changed = sample.damaged(&path, |bytes| {
            let at = bytes.len() - 10;
            bytes[at] ^= 1;
        });
        refused(&changed, step, file);
        let cut = sample.damaged(&path, |bytes| bytes.truncate(half));
        let cut_step = if step == "root" { "entries" } else { step };
        refused(&cut, cut_step, &format!("{file} cut"));
        let longer = sample.damaged(&path, |bytes| bytes.push(0));
        refused(&longer, cut_step, &format!("{file} longer"));
        let hidden = sample.dir.path().join("hidden");
        fs::rename(&path, &hidden).unwrap();
        let missing = sample.check();
        fs::rename(&hidden, &path).unwrap();
        refused(&missing, cut_step, &format!("{file} missing"));
    }
    fs::write(sample.tlog().join("tile/0/notes"), "").unwrap();
    refused(&sample.check(), "tiles", "a file that is no tile");
    fs::remove_file(sample.tlog().join("tile/0/notes")).unwrap();
    accepted(&sample.check(), "the log put back");
}

#[tokio::test]
async fn go_refuses_another_key_another_history_and_false_proofs() {
    let sample = Sample::new().await;
    let other = Sample::new().await;
    assert!(sample.key.starts_with(ORIGIN));
    refused(&check(&other.key, &sample.tlog(), &[]), "checkpoint", "another log's key");
    // The same key and origin with another history: what a log would do that forks.
    let old = sample.dir.path().join("old");
    let rewritten = sample.damaged(&old, |note| {
        let text = String::from_utf8(note.clone()).unwrap();
        *note = text.replacen("\n300\n", "\n299\n", 1).into_bytes();
    });
    refused(&rewritten, "earlier checkpoint", "an earlier checkpoint that nobody signed");
    let forked =
        sample.damaged(&old, |note| *note = fs::read(other.dir.path().join("old")).unwrap());
    refused(&forked, "earlier checkpoint", "an earlier checkpoint of another key");
    let given = sample.dir.path().join("given");
    for (list, name) in [("inclusion", "given inclusion"), ("consistency", "given consistency")] {
        let text: Value = serde_json::from_slice(&fs::read(&given).unwrap()).unwrap();
        let count = text[list].as_array().unwrap().len();
        for nth in (0..count).filter(|nth| text[list][nth]["proof"][0].is_string()).step_by(7) {
            let changed = |change: fn(&mut Value)| {
                let mut text = text.clone();
                change(&mut text[list][nth]["proof"]);
                sample.damaged(&given, |bytes| *bytes = text.to_string().into_bytes())
            };
            let other_hash = changed(|proof| proof[0] = json!("00".repeat(32)));
            refused(&other_hash, name, &format!("{list} {nth} with another hash"));
            let shorter = changed(|proof| drop(proof.as_array_mut().unwrap().pop()));
            refused(&shorter, name, &format!("{list} {nth} shorter"));
            let longer =
                changed(|proof| proof.as_array_mut().unwrap().push(json!("00".repeat(32))));
            refused(&longer, name, &format!("{list} {nth} longer"));
        }
    }
    accepted(&sample.check(), "the log put back");
}

#[tokio::test]
async fn go_sees_a_fork_under_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = published::log_key().unwrap();
    let log = published::open(&dir.path().join("log"), key.clone()).unwrap();
    published::grow(&log, 700).await.unwrap();
    let fork = published::open(&dir.path().join("fork"), key).unwrap();
    let first = Entry { leaf: published::leaf(9_999).into(), attachment: Bytes::new() };
    fork.append(first).await.unwrap();
    let old = dir.path().join("old");
    fs::write(&old, published::grow(&fork, 300).await.unwrap()).unwrap();
    let said = check(&log.verifier().to_string(), log.published_dir(), &[("-old", &old)]);
    refused(&said, "consistency", "an earlier checkpoint with another root");
}
