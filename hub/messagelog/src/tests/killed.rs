//! `kill -9` on a real process in the middle of its appends and checkpoints (promise P5).
//!
//! ```text
//!  this test ──spawns──► the same test binary, running only `appends_until_it_is_killed`
//!      ▲                        │ a line for each receipt, a line for each checkpoint
//!      └── kills after n lines ─┘ then opens the directory and holds it to every line
//! ```

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use schemas::encoding::{from_hex, hex};
use schemas::tlog::Checkpoint;
use schemas::tlog::merkle::{Extension, verify_consistency};

use super::{ORIGIN, entry, leaf, open, options};
use crate::{LogLimits, MessageLog};

/// The child works in a directory that has this file.
pub(crate) const MARKER: &str = "to-be-killed";

#[tokio::test]
#[ignore = "the child of tests that kill it or cut its power"]
async fn appends_until_it_is_killed() {
    if !Path::new(MARKER).exists() {
        return;
    }
    let mut options = options(Path::new("log"));
    options.limits = LogLimits { segment_bytes: 20_000, ..options.limits };
    let log = MessageLog::open(options).unwrap();
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

/// What a child has said.
pub(crate) enum Said {
    /// The index and the test record of a receipt.
    Receipt(u64, u64),
    Checkpoint(String),
}

impl Said {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        match (words.next()?, words.next()) {
            ("receipt", Some(index)) => {
                Some(Self::Receipt(index.parse().ok()?, words.next()?.parse().ok()?))
            }
            ("checkpoint", Some(note)) => {
                Some(Self::Checkpoint(String::from_utf8(from_hex(note)?).ok()?))
            }
            _ => None,
        }
    }
}

/// A child at work.
pub(crate) struct Working {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Starts the child in a directory.
pub(crate) fn start_child(dir: &Path) -> Working {
    let child = "tests::killed::appends_until_it_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Working { child, lines }
}

impl Working {
    /// What it says, until it ends.
    pub(crate) fn said(&mut self) -> impl Iterator<Item = Said> {
        self.lines.by_ref().map(Result::unwrap).filter_map(|line| Said::parse(&line))
    }

    /// Kills it, if it has not ended.
    pub(crate) fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Holds a log to everything that was said.
pub(crate) fn hold_to(log: &MessageLog, said: &[Said]) {
    let latest = Checkpoint::open(&log.latest_checkpoint(), ORIGIN, log.verifier()).unwrap();
    for said in said {
        match said {
            Said::Receipt(index, n) => {
                assert_eq!(log.read(*index).unwrap().leaf, leaf(*n), "record {index}");
            }
            Said::Checkpoint(note) => {
                let earlier = Checkpoint::open(note, ORIGIN, log.verifier()).unwrap();
                let proof = log.consistency_proof(earlier.size, latest.size).unwrap();
                let states = Extension {
                    old_size: earlier.size,
                    old_root: &earlier.root,
                    new_size: latest.size,
                    new_root: &latest.root,
                };
                assert_eq!(verify_consistency(states, &proof), Ok(()), "{}", earlier.size);
            }
        }
    }
    assert_eq!(log.audit().unwrap(), log.size());
}

#[test]
fn kill_9_loses_no_acknowledged_record_and_contradicts_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(MARKER), b"").unwrap();
    let mut said = Vec::new();
    for lines in [1, 7, 40, 95] {
        let mut child = start_child(dir.path());
        let before = said.len();
        said.extend(child.said().take(lines));
        child.end();
        assert_eq!(said.len() - before, lines, "the child ended by itself");
        hold_to(&open(&dir.path().join("log")), &said);
    }
}
