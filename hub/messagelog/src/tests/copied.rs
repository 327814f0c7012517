//! A log that is copied while it is in use, with the commands that the operator is given.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use schemas::tlog::{Checkpoint, Note};

use super::{append, entry, options};
use crate::check::{CheckOptions, check};
use crate::{LogError, LogLimits, LogOptions, MessageLog, StoredRecord};

/// Copies of one log, each made while it grows.
const COPIES: usize = 4;
/// Records that the log grows to at most, so that the copies end, however slow the machine.
const GROWN: u64 = 12_000;
/// How often a copy is begun again: one that has a record as it was being written is rare.
const ATTEMPTS: usize = 10;

fn growing(dir: &Path) -> LogOptions {
    let mut growing = options(dir);
    let checkpoint_interval = Duration::from_millis(4);
    growing.limits = LogLimits { segment_bytes: 4000, checkpoint_interval, ..growing.limits };
    growing
}

/// The commands of OPERATING.md.
fn commands() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../OPERATING.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## A backup of the log\n").unwrap();
    let (_, commands) = section.split_once("\n```sh\n").unwrap();
    commands.split_once("\n```\n").unwrap().0.to_owned()
}

fn is_good(log: &Path) -> bool {
    let record = |_: &StoredRecord| Ok(());
    let options = CheckOptions { dir: log.to_owned(), verifier: None, record, threads: 1 };
    check(&options, |_| ()).is_ok_and(|report| report.is_good())
}

/// Copies the log in `data`; gives how many records the copied checkpoint covers.
fn copy(data: &Path, to: &Path) -> u64 {
    for _ in 0..ATTEMPTS {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(commands()).env("COPY", to).current_dir(data);
        // What vanishes meanwhile makes it fail, and is named.
        shell.output().unwrap();
        if is_good(&to.join("log")) {
            let note = fs::read_to_string(to.join("log/tlog/checkpoint")).unwrap();
            let note = Note::parse(&note).unwrap();
            return note.text().parse::<Checkpoint>().unwrap().size;
        }
        if let Err(contradiction @ LogError::Contradiction { .. }) =
            MessageLog::open(growing(&to.join("log")))
        {
            panic!("{contradiction}");
        }
        fs::remove_dir_all(to).unwrap();
    }
    panic!("no good copy in {ATTEMPTS} attempts");
}

#[tokio::test]
async fn a_log_is_copied_while_it_grows_and_becomes_compact_and_the_copy_opens() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let log = MessageLog::open(growing(&data.path().join("log"))).unwrap();
    for start in (0..600).step_by(20) {
        append(&log, start..start + 20).await;
    }
    log.checkpoint_covering(599).await.unwrap();
    let held = data.clone();
    let copying = std::thread::spawn(move || {
        for _ in 0..COPIES {
            let to = tempfile::tempdir().unwrap();
            let covered = copy(held.path(), to.path());
            let log = MessageLog::open(growing(&to.path().join("log"))).unwrap();
            assert!(log.size() >= covered && covered > 0);
            for n in 0..log.size() {
                let stored = log.read(n).unwrap();
                assert_eq!((stored.leaf, stored.attachment), (entry(n).leaf, entry(n).attachment));
            }
        }
    });
    while !copying.is_finished() {
        let size = log.size();
        if size >= GROWN {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        for start in (size..size + 200).step_by(20) {
            append(&log, start..start + 20).await;
        }
        log.wait_compact().await.unwrap();
    }
    copying.join().unwrap();
    log.close().await;
}
