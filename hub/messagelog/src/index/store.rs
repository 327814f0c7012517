//! The index as it lies on disk: runs that follow each other from record 0 on, and the newest records in memory.
//!
//! Each block of records becomes a run (`run.rs`), and each 64 blocks one larger run (`merge.rs`). A run's name says
//! which records it holds, its bytes follow from them, and it is durable before it has its name. So the files
//! themselves say how far the index has come, a crash costs the records of the last block, which are read again, and
//! what one more record costs does not grow with the log:
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | before a block is full | nothing of it | its records are read again |
//! | while a run is written | a `.tmp` file | it is removed |
//! | large run has its name, small ones are still there | both | the small ones are removed |
//!
//! A file that is lost, cut or changed is seen by its checksums when it is opened or read, and the index is made
//! again. (Why this is not in sled: ARCHITECTURE.md, "Where we left the design".)

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

use super::merge::{Merge, Step};
use super::run::{Extent, Run, RunWriter, Span};
use super::search::Search;
use super::{IndexKeys, KeyDigest, Order, Query};
use crate::LogError;
use crate::disk::{Disk, make_dirs};

/// Most answers to one query, whatever it asks for.
pub(crate) const ANSWERS_MAX_COUNT: usize = 100_000;
/// Blocks that become one large run. 64: ten million records lie in at most 74 files.
const MERGED_BLOCKS: usize = 64;

/// What is wrong with the index.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it holds what this program does not write")]
    Unreadable,
    /// What is there is whole; what came since waits in memory.
    #[error("its next file cannot be written: {0}")]
    NotWritten(io::Error),
    /// A record cannot be read at the moment.
    #[error("{0}")]
    NotRead(LogError),
}

impl IndexFault {
    /// Whether another attempt may do: nothing says that what is there is wrong. A file that is missing, short, or
    /// in the way of another stays so; a process without free descriptors, or a disk without room, does not.
    pub(crate) fn waits(&self) -> bool {
        match self {
            Self::NotWritten(_) | Self::NotRead(_) => true,
            Self::Io(cause) => !matches!(
                cause.kind(),
                ErrorKind::NotFound
                    | ErrorKind::UnexpectedEof
                    | ErrorKind::AlreadyExists
                    | ErrorKind::NotADirectory
                    | ErrorKind::IsADirectory
            ),
            Self::Unreadable => false,
        }
    }
}

/// How far the files have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// Records in files.
    pub(crate) count: u64,
    /// Leaf hash of the last of them.
    pub(crate) last: Sha256,
}

/// An open index. One thread owns it.
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    block_count: u32,
    runs: Vec<Arc<Run>>,
    tail: Tail,
    merge: Option<Merge>,
}

/// The records behind the last run.
pub(crate) struct Tail {
    pub(crate) first: u64,
    pub(crate) times: Vec<UnixMillis>,
    /// Keys with the number of their record behind `first`, in the order of records.
    pub(crate) keys: Vec<(KeyDigest, u32)>,
    last_leaf: Sha256,
}

impl Tail {
    fn at(first: u64) -> Self {
        Self { first, times: Vec::new(), keys: Vec::new(), last_leaf: Sha256([0; 32]) }
    }

    /// How many.
    pub(crate) fn count(&self) -> u32 {
        // Safe because: a block's count is one of 32 bits.
        u32::try_from(self.times.len()).unwrap_or(u32::MAX)
    }
}

impl Store {
    /// Opens or makes the index.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        block_count: u32,
    ) -> Result<Self, IndexFault> {
        make_dirs(&**disk, dir)?;
        let mut files = list(&**disk, dir)?;
        let mut runs: Vec<Arc<Run>> = Vec::new();
        let mut next = 0;
        // Of two that begin with one record the larger comes first.
        files.sort_unstable_by_key(|(first, count)| (*first, u32::MAX - *count));
        for (first, count) in files {
            let path = dir.join(name(first, count));
            if first != next {
                // Covered by a large run, or behind a gap that a power cut has left.
                disk.remove_file(&path)?;
                continue;
            }
            let run = Run::open(&path)?;
            if (run.head.first, run.head.count) != (first, count) {
                return Err(IndexFault::Unreadable);
            }
            next = run.end();
            runs.push(Arc::new(run));
        }
        let tail = Tail::at(next);
        let (disk, dir, block_count) = (disk.clone(), dir.to_owned(), block_count.max(1));
        let mut store = Self { disk, dir, block_count, runs, tail, merge: None };
        store.begin_merge()?;
        Ok(store)
    }

    /// How far the files have come; `None` when there is none.
    pub(crate) fn watermark(&self) -> Option<Watermark> {
        let last = self.runs.last()?;
        Some(Watermark { count: last.end(), last: last.head.last_leaf })
    }

    /// Makes room for the next record: writes the block if it is full. What fails is tried again.
    pub(crate) fn make_room(&mut self) -> Result<(), IndexFault> {
        if self.tail.count() < self.block_count {
            return Ok(());
        }
        let run = self.write_block()?;
        self.tail = Tail::at(run.end());
        self.runs.push(Arc::new(run));
        self.begin_merge()
    }

    /// Adds the next record, for which there is room.
    pub(crate) fn add(&mut self, leaf_hash: Sha256, keys: &IndexKeys) {
        let record = self.tail.count();
        self.tail.times.push(keys.time);
        self.tail.keys.extend(keys.digests.iter().map(|key| (*key, record)));
        self.tail.last_leaf = leaf_hash;
    }

    /// Does a little of what makes later searches cheaper.
    pub(crate) fn work(&mut self) -> Result<(), IndexFault> {
        let Some(mut merge) = self.merge.take() else { return Ok(()) };
        if merge.step()? == Step::More {
            self.merge = Some(merge);
            return Ok(());
        }
        let large = Arc::new(merge.end()?);
        let covered = |run: &Arc<Run>| (large.head.first..large.end()).contains(&run.head.first);
        let at = self.runs.partition_point(|run| run.head.first < large.head.first);
        let small: Vec<_> = self.runs.extract_if(at.., |run| covered(run)).collect();
        self.runs.insert(at, large);
        for run in small {
            // One that stays is removed at the next start.
            let _ = self.disk.remove_file(&run.path);
        }
        self.begin_merge()
    }

    /// Whether [`Store::work`] has something to do.
    pub(crate) fn works(&self) -> bool {
        self.merge.is_some()
    }

    fn write_block(&mut self) -> Result<Run, IndexFault> {
        let Tail { first, times, keys, last_leaf } = &mut self.tail;
        let count = u32::try_from(times.len()).map_err(|_| IndexFault::Unreadable)?;
        // A record that has a key twice is found by it once.
        keys.sort_unstable();
        keys.dedup();
        let extent = Extent {
            first: *first,
            count,
            block_count: self.block_count,
            keys_most: u64::try_from(keys.len()).unwrap_or(u64::MAX),
        };
        let path = self.dir.join(name(*first, count));
        let mut writer = RunWriter::create(&self.disk, path, extent)?;
        for time in times.iter() {
            writer.time(*time)?;
        }
        let mut records = Vec::new();
        for same in keys.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((key, _)) = same.first() else { continue };
            records.clear();
            records.extend(same.iter().map(|(_, record)| *record));
            writer.key(*key, &records)?;
        }
        writer.end(*last_leaf, vec![Span::of(times)])
    }

    /// Begins to make a large run if all its blocks are there. Large ones stand before small ones, so the first
    /// blocks that follow each other are those of one large run.
    fn begin_merge(&mut self) -> Result<(), IndexFault> {
        let is_block = |run: &&Arc<Run>| run.head.count == self.block_count;
        let blocks = self.runs.iter().skip_while(|run| !is_block(run)).take_while(is_block);
        let blocks: Vec<_> = blocks.take(MERGED_BLOCKS).cloned().collect();
        let Some(first) = blocks.first().filter(|_| blocks.len() == MERGED_BLOCKS) else {
            return Ok(());
        };
        if self.merge.is_some() {
            return Ok(());
        }
        let records = blocks.iter().map(|run| run.head.count).sum();
        let path = self.dir.join(name(first.head.first, records));
        match Merge::begin(&self.disk, path, &blocks) {
            Ok(merge) => self.merge = Some(merge),
            // Searches stay right without it; the next block tries again.
            Err(IndexFault::NotWritten(cause)) => {
                tracing::warn!(%cause, "files of the message log's index are not merged");
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// The records that a query asks for, in its order. Cost: two or three pages for each run, and what stands
    /// in the blocks whose times overlap the time asked for.
    pub(crate) fn find(&self, query: &Query) -> Result<Vec<u64>, IndexFault> {
        let mut search = Search::new(query);
        match query.order {
            Order::NewestFirst => {
                search.tail(&self.tail);
                for run in self.runs.iter().rev() {
                    search.run(run)?;
                }
            }
            Order::OldestFirst => {
                for run in &self.runs {
                    search.run(run)?;
                }
                search.tail(&self.tail);
            }
        }
        Ok(search.found)
    }
}

fn name(first: u64, count: u32) -> String {
    format!("{first:020}-{count}.run")
}

/// First record and number of records of every run, by the names of the files. Removes what was not finished.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, u32)>, IndexFault> {
    let mut runs = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            disk.remove_file(&path)?;
            continue;
        }
        let text = path.file_name().and_then(|text| text.to_str()).unwrap_or_default();
        let parts = text.strip_suffix(".run").and_then(|text| text.split_once('-'));
        let run = parts.and_then(|(first, count)| Some((first.parse().ok()?, count.parse().ok()?)));
        runs.push(run.filter(|(f, c)| name(*f, *c) == text).ok_or(IndexFault::Unreadable)?);
    }
    Ok(runs)
}
