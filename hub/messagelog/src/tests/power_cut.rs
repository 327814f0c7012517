//! A simulated power cut under a real file system, in the long form only (`KOPRIK_POWER_CUTS=N`, as root).
//!
//! ```text
//!  child appends and publishes on ext4 on a loop device ── a line for each receipt and checkpoint ──► this test
//!  EXT4_IOC_SHUTDOWN without a flush of the journal: dirty pages and uncommitted metadata are gone
//!  mount again (the journal is replayed) ──► open the log and hold it to every line of all rounds
//! ```
//!
//! Milder than a real cut on a disk with a volatile cache: what the device was given stays. The simulated disk of
//! `crashes` is harsher, this one is real.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::killed::{MARKER, Said, hold_to, start_child};
use super::simulated::Seeded;

const IMAGE_BYTES: u64 = 512 << 20;
const SHUTDOWN: &str = "\
import fcntl, os, struct, sys
# EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, fs/ext4/ext4.h
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// Runs a program that must succeed.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program}: {error}; apt-get install e2fsprogs mount python3-minimal")
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {complaint}; KOPRIK_POWER_CUTS needs root, loop devices and ext4"
    );
}

/// An ext4 on a loop device; unmounted when dropped.
struct Ext4 {
    mounted: PathBuf,
    image: PathBuf,
    _dir: tempfile::TempDir,
}

impl Ext4 {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (image, mounted) = (dir.path().join("image"), dir.path().join("mounted"));
        std::fs::File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
        std::fs::create_dir(&mounted).unwrap();
        run("mkfs.ext4", &["-q", image.to_str().unwrap()]);
        let made = Self { mounted, image, _dir: dir };
        made.mount();
        made
    }

    fn mount(&self) {
        run("mount", &["-o", "loop", self.image.to_str().unwrap(), self.path()]);
    }

    fn path(&self) -> &str {
        self.mounted.to_str().unwrap()
    }

    fn cut_the_power(&self) {
        run("python3", &["-c", SHUTDOWN, self.path()]);
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.mounted).output();
    }
}

#[test]
fn a_power_cut_loses_no_acknowledged_record_and_contradicts_no_checkpoint() {
    #[allow(clippy::disallowed_methods, reason = "the length of a test is not configuration")]
    let Ok(rounds) = std::env::var("KOPRIK_POWER_CUTS") else {
        println!("long form only: KOPRIK_POWER_CUTS=N as root");
        return;
    };
    let rounds: u64 = rounds.parse().expect("KOPRIK_POWER_CUTS is a number");
    let disk = Ext4::make();
    let home = disk.mounted.join("hub");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join(MARKER), b"").unwrap();
    run("sync", &["-f", disk.path()]);
    let (mut said, mut seeded) = (Vec::new(), Seeded(rounds));
    for round in 1..=rounds {
        said.extend(cut_under_work(&disk, &home, 1 + seeded.below(3000)));
        let log = super::open(&home.join("log"));
        hold_to(&log, &said);
        println!("round {round}: {} lines held, {} records", said.len(), log.size());
    }
}

/// Cuts the power after so many lines; gives them.
fn cut_under_work(disk: &Ext4, home: &Path, lines: u64) -> Vec<Said> {
    let mut child = start_child(home);
    let said: Vec<Said> = child.said().take(usize::try_from(lines).unwrap()).collect();
    // What comes from here on does not count: of a sync that is under way as ext4 aborts its journal, Linux may
    // say that it succeeded (jbd2_complete_transaction finds the transaction gone). No power cut can say so.
    disk.cut_the_power();
    child.end();
    run("umount", &[disk.path()]);
    disk.mount();
    said
}
