//! The log that is measured, opened as a hub opens it, and what the process spends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hub_messagelog::{LogLimits, LogOptions, MessageLog};
use pki::signer::{NoteKey, generate};
use pki::trust::Algorithm;
use rustix::fs::{Advice, fadvise};
use schemas::clock::Clock;
use schemas::tlog::NoteVerifier;

use super::arguments::Evidence;
use super::records::Maker;

/// The log's origin.
const ORIGIN: &str = "koprik/UZ/GOV/TAX/bench";

/// Where a log and its keys lie.
#[derive(Clone)]
pub struct Place {
    options: LogOptions,
    root: PathBuf,
    evidence: Evidence,
}

impl Place {
    /// A log below `root`, with its key, which is made when missing, and the hub's own index keys and limits.
    ///
    /// # Errors
    /// When the key cannot be made or read.
    pub fn new(root: &Path, evidence: Evidence) -> anyhow::Result<Self> {
        let file = root.join("log.key");
        if !file.exists() {
            generate(Algorithm::Ed25519, &file).context("making the log key")?;
        }
        let options = LogOptions {
            dir: root.join("log"),
            origin: ORIGIN.to_owned(),
            key: Arc::new(NoteKey::load(ORIGIN, &file)?),
            clock: Clock::machine(),
            index_keys: hub_server::index_keys,
            limits: LogLimits::default(),
        };
        Ok(Self { options, root: root.to_owned(), evidence })
    }

    /// Where everything lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A maker of the log's records.
    ///
    /// # Errors
    /// When evidence cannot be sealed.
    pub fn maker(&self) -> anyhow::Result<Maker> {
        Maker::new(&self.root.join("keys"), self.evidence)
    }

    /// Whether its records have evidence.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// The log's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// The key that its checkpoints verify under.
    ///
    /// # Errors
    /// When the key is none of a log.
    pub fn verifier(&self) -> anyhow::Result<NoteVerifier> {
        let key = &self.options.key;
        Ok(NoteVerifier::ed25519(key.name(), key.public_key())?)
    }

    /// Opens the log.
    ///
    /// # Errors
    /// Those of the log.
    pub fn open(&self) -> anyhow::Result<MessageLog> {
        Ok(MessageLog::open(self.options.clone())?)
    }
}

/// CPU time of this process so far, user and kernel.
///
/// # Errors
/// When proc(5) does not say.
pub fn cpu() -> anyhow::Result<Duration> {
    crate::process::cpu_of(std::process::id()).context("no CPU time of this process")
}

/// Resident memory of this process, KiB.
///
/// # Errors
/// When proc(5) does not say.
pub fn resident_kib() -> anyhow::Result<u64> {
    Ok(crate::process::memory_of(std::process::id())?.rss_kib)
}

/// Bytes of disk below a directory: blocks, as `du` counts them; entries that vanish meanwhile count nothing.
#[must_use]
pub fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    each_file(dir, &mut |path| bytes += fs::metadata(path).map_or(0, |file| file.blocks() * 512));
    bytes
}

/// Lets the kernel forget the pages of all files below a directory: what is read next comes from the disk.
pub fn forget_pages(dir: &Path) {
    each_file(dir, &mut |path| {
        if let Ok(file) = File::open(path) {
            // Pages that are not on the disk yet would stay.
            let _ = file.sync_data();
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
        }
    });
}

fn each_file(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            each_file(&entry.path(), visit);
        } else {
            visit(&entry.path());
        }
    }
}
