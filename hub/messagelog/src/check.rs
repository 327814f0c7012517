//! The check of a log's directory, offline: every byte that the log answers for is read.
//!
//! Segments are read on several threads; their leaf hashes are taken in order and grow the tree
//! again, whose root is compared with the checkpoint's. What is damaged is named and passed over,
//! with its published hash in its place, so that everything else is still proved.
//!
//! Nothing is changed. The index is not looked at: it is derived, and made again by deleting it.

mod parallel;
mod published;
mod report;
mod segment;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::tlog::tile::TILE_WIDTH;
use schemas::tlog::{Checkpoint, Note, NoteVerifier};

pub use self::report::{Finding, Findings, Report, Root, Signature, Store};

use self::published::{Leaves, Published};
use self::segment::{Place, Scanned, Task};
use crate::disk::OsDisk;
use crate::edge::Edge;
use crate::segments::{list, segment_path};
use crate::tiles::Tiles;
use crate::{LogError, StoredRecord};

/// What is checked, and how.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The log's directory, of a hub that is stopped, or a copy.
    pub dir: PathBuf,
    /// The log's verifier key; without it the checkpoint's signature is not checked.
    pub verifier: Option<NoteVerifier>,
    /// Whether a record and the evidence beside it are in good form; the reason in words if not.
    pub record: fn(&StoredRecord) -> Result<(), String>,
    /// Threads that read segments.
    pub threads: usize,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records that were read.
    pub records: u64,
    /// Bytes of segments that were read.
    pub bytes: u64,
    /// Bytes of all segments.
    pub total_bytes: u64,
}

/// Checks a log. Cost: reads every file of the log once; memory for a few segments' hashes.
///
/// # Errors
/// There is no log in the directory; a process has it open; a file cannot be read. Damage is no
/// error: it stands in the report.
pub fn check(
    options: &CheckOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Report, LogError> {
    let dir = &options.dir;
    let segments = dir.join("segments");
    let firsts = list(&segments)?;
    let _lock = lock(dir)?;
    let mut findings = Findings::default();
    let (checkpoint, signature) = read_checkpoint(dir, options.verifier.as_ref(), &mut findings)?;
    let covered = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let published =
        Published { tiles: Tiles::new(dir.join("tlog"), Arc::new(OsDisk)), size: covered };
    let last = firsts.last().copied();
    let tasks: Vec<Task> = firsts
        .into_iter()
        .map(|first| Task {
            path: segment_path(&segments, first),
            dir: segments.clone(),
            first,
            place: if Some(first) == last { Place::Last } else { Place::Sealed },
            covered,
            record: options.record,
        })
        .collect();
    let bytes_of = |task: &Task| fs::metadata(&task.path).map_or(0, |file| file.len());
    let mut done =
        Progress { total_bytes: tasks.iter().map(bytes_of).sum(), ..Progress::default() };
    let mut growing = Growing::new(&published, findings);
    let mut failure = None;
    let work = |task: &Task| {
        let mut scanned = task.scan()?;
        let tiles = published.compare(&mut scanned.leaves, &mut scanned.findings);
        Ok((scanned, tiles))
    };
    parallel::in_order(&tasks, options.threads, work, |read: Result<_, LogError>| match read {
        Ok((scanned, tiles)) => {
            growing.tiles += tiles;
            done.records += scanned.records;
            done.bytes += scanned.bytes;
            growing.take(scanned);
            progress(done);
        }
        Err(error) => failure = failure.take().or(Some(error)),
    });
    failure.map_or(Ok(()), Err)?;
    growing.finish(&checkpoint);
    let Growing { findings, notes, tiles, root, .. } = growing;
    Ok(Report {
        records: done.records,
        segments: u64::try_from(tasks.len()).unwrap_or(u64::MAX),
        bytes: done.bytes,
        tiles,
        checkpoint,
        signature,
        root,
        findings,
        notes,
    })
}

/// The tree that is made again, record by record.
struct Growing<'a> {
    published: &'a Published,
    /// `None` when a record is missing of which not even the hash is left.
    edge: Option<Edge>,
    /// The next record's index.
    next: u64,
    /// Records whose hash was taken from a tile.
    filled: u64,
    root_at_checkpoint: Option<schemas::digest::Sha256>,
    findings: Findings,
    notes: Vec<String>,
    tiles: u64,
    root: Root,
}

impl<'a> Growing<'a> {
    fn new(published: &'a Published, findings: Findings) -> Self {
        let mut growing = Self {
            published,
            edge: Some(Edge::default()),
            next: 0,
            filled: 0,
            root_at_checkpoint: None,
            findings,
            notes: Vec::new(),
            tiles: 0,
            root: Root::NotMade,
        };
        growing.look_at_size();
        growing
    }

    /// Takes the next segment.
    fn take(&mut self, scanned: Scanned) {
        let first = scanned.leaves.first;
        self.findings.append(scanned.findings);
        self.notes.extend(scanned.note);
        if first > self.next {
            self.missing(first);
        }
        let again = usize::try_from(self.next.saturating_sub(first)).unwrap_or(usize::MAX);
        let again = again.min(scanned.leaves.hashes.len());
        if again > 0 {
            let last = self.next.saturating_sub(1);
            self.find((first, last), "these records stand in an earlier segment too");
        }
        self.grow(scanned.leaves, again);
    }

    fn grow(&mut self, leaves: Leaves, skip: usize) {
        self.filled = self.filled.saturating_add(leaves.filled);
        for hash in leaves.hashes.into_iter().skip(skip) {
            self.next = self.next.saturating_add(1);
            let Some((edge, hash)) = self.edge.as_mut().zip(hash) else {
                self.edge = None;
                continue;
            };
            for full in edge.push(hash) {
                let upper = full.level > 0 && self.next <= self.published.size;
                if upper {
                    let at = (full.level, full.index);
                    let findings = &mut self.findings;
                    self.tiles += self.published.compare_upper(at, &full.hashes, findings);
                }
            }
            self.look_at_size();
        }
    }

    /// At the checkpoint's size: keeps the root and compares the unfinished upper tiles.
    fn look_at_size(&mut self) {
        let Some(edge) = self.edge.as_ref().filter(|edge| edge.size() == self.published.size)
        else {
            return;
        };
        self.root_at_checkpoint = Some(edge.root());
        for (level, hashes) in edge.partial().filter(|(level, _)| *level > 0) {
            let shift = schemas::tlog::tile::TILE_HEIGHT * (u32::from(level) + 1);
            let index = edge.size().checked_shr(shift).unwrap_or(0);
            let findings = &mut self.findings;
            self.tiles += self.published.compare_upper((level, index), hashes, findings);
        }
    }

    /// Records up to `end` are in no segment: their published hashes take their places.
    fn missing(&mut self, end: u64) {
        let (first, last) = (self.next, end - 1);
        self.find((first, last), "the records are in no segment");
        while self.next < end && self.edge.is_some() {
            // A tile at a time: a damaged name may speak of any number of records.
            let tile_end = (self.next / u64::from(TILE_WIDTH) + 1) * u64::from(TILE_WIDTH);
            let count = usize::try_from(end.min(tile_end) - self.next).unwrap_or(usize::MAX);
            let mut leaves = Leaves::unknown(self.next, count);
            self.tiles += self.published.compare(&mut leaves, &mut self.findings);
            self.grow(leaves, 0);
        }
        self.next = end;
    }

    fn find(&mut self, records: (u64, u64), cause: &str) {
        self.findings.push(Finding {
            store: Store::Segments,
            file: "segments".to_owned(),
            records: Some(records),
            bytes: None,
            cause: cause.to_owned(),
        });
    }

    /// Compares the root with the checkpoint's.
    fn finish(&mut self, checkpoint: &Option<Checkpoint>) {
        let Some(checkpoint) = checkpoint else { return };
        if self.next < checkpoint.size {
            self.missing(checkpoint.size);
        }
        self.root = match self.root_at_checkpoint {
            None => Root::NotMade,
            Some(root) if root != checkpoint.root => {
                self.findings.push(checkpoint_finding(format!(
                    "the first {} records do not have the root that it gives",
                    checkpoint.size
                )));
                Root::Other
            }
            Some(_) if self.filled > 0 => Root::SameBut { records: self.filled },
            Some(_) => Root::Same,
        };
    }
}

/// Keeps a hub from starting while its log is checked. A copy may come without the file.
pub(crate) fn lock(dir: &Path) -> Result<Option<File>, LogError> {
    let path = dir.join("lock");
    let failed = |cause: io::Error| LogError::io("locking", &path, &cause);
    let file = match File::open(&path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { dir: dir.display().to_string() }),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

fn checkpoint_finding(cause: String) -> Finding {
    let (store, file) = (Store::Checkpoint, "tlog/checkpoint".to_owned());
    Finding { store, file, records: None, bytes: None, cause }
}

fn read_checkpoint(
    dir: &Path,
    verifier: Option<&NoteVerifier>,
    findings: &mut Findings,
) -> Result<(Option<Checkpoint>, Signature), LogError> {
    let path = dir.join("tlog/checkpoint");
    let unread = |cause: io::Error| LogError::io("reading", &path, &cause);
    let bytes = match fs::read(&path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let cause = "it is missing: nothing signed says how many records there were";
            findings.push(checkpoint_finding(cause.to_owned()));
            return Ok((None, Signature::NotChecked));
        }
        read => read.map_err(unread)?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let checkpoint: Result<Checkpoint, _> = Note::parse(&text)
        .map_err(|cause| cause.to_string())
        .and_then(|note| note.text().parse().map_err(|cause| format!("{cause}")));
    let signature = match verifier.map(|key| Checkpoint::open(&text, key.name(), key)) {
        None => Signature::NotChecked,
        Some(Ok(_)) => Signature::Verified,
        Some(Err(cause)) => {
            findings.push(checkpoint_finding(cause.to_string()));
            Signature::Refused
        }
    };
    match checkpoint {
        Ok(checkpoint) => Ok((Some(checkpoint), signature)),
        Err(cause) => {
            if signature == Signature::NotChecked {
                findings.push(checkpoint_finding(cause));
            }
            Ok((None, signature))
        }
    }
}
