//! `kill -9` on a real process in the middle of its appends and checkpoints (promise P5).
//!
//! ```text
//!  this test ──spawns──► the same test binary, running only `appends_until_it_is_killed`
//!      ▲                        │ a line for each receipt, a line for each checkpoint
//!      └── kills after n lines ─┘ then opens the directory and holds it to every line
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use schemas::encoding::{from_hex, hex};
use schemas::tlog::Checkpoint;
use schemas::tlog::merkle::{Extension, verify_consistency};

use super::{ORIGIN, entry, leaf, open};

const MARKER: &str = "to-be-killed";

#[tokio::test]
#[ignore = "the child of kill_9_loses_no_acknowledged_record_and_contradicts_no_checkpoint"]
async fn appends_until_it_is_killed() {
    if !Path::new(MARKER).exists() {
        return;
    }
    let log = open(Path::new("log"));
    let mut out = std::io::stdout();
    for n in log.size().. {
        let pending: Vec<_> = (0..3).map(|_| log.submit(entry(n))).collect();
        for receipt in pending {
            writeln!(out, "\nreceipt {} {n}", receipt.await.unwrap().index()).unwrap();
        }
        if n % 5 == 0 {
            let note = log.checkpoint_covering(log.size() - 1).await.unwrap();
            writeln!(out, "\ncheckpoint {}", hex(note.as_bytes())).unwrap();
        }
    }
}

/// Runs the child until it has said `lines` things; gives what it said.
fn run_and_kill(dir: &Path, lines: usize) -> Vec<String> {
    let child = "tests::killed::appends_until_it_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = said.filter(|line| line.starts_with("receipt ") || line.starts_with("checkpoint "));
    let said: Vec<_> = said.take(lines).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said.len(), lines, "the child ended by itself");
    said
}

#[test]
fn kill_9_loses_no_acknowledged_record_and_contradicts_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(MARKER), b"").unwrap();
    let mut said = Vec::new();
    for lines in [1, 7, 40, 95] {
        said.extend(run_and_kill(dir.path(), lines));
        let log = open(&dir.path().join("log"));
        let latest = log.latest_checkpoint();
        let latest = Checkpoint::open(&latest, ORIGIN, log.verifier()).unwrap();
        for line in &said {
            let mut words = line.split(' ').skip(1);
            if line.starts_with("receipt ") {
                let [index, n] = [0, 1].map(|_| words.next().unwrap().parse().unwrap());
                assert_eq!(log.read(index).unwrap().leaf, leaf(n), "record {index}");
                continue;
            }
            let note = String::from_utf8(from_hex(words.next().unwrap()).unwrap()).unwrap();
            let earlier = Checkpoint::open(&note, ORIGIN, log.verifier()).unwrap();
            let proof = log.consistency_proof(earlier.size, latest.size).unwrap();
            let states = Extension {
                old_size: earlier.size,
                old_root: &earlier.root,
                new_size: latest.size,
                new_root: &latest.root,
            };
            assert_eq!(verify_consistency(states, &proof), Ok(()), "after {lines} lines");
        }
        assert_eq!(log.audit().unwrap(), log.size());
    }
}
