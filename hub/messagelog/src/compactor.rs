//! The follower that makes sealed segments compact: once the entry bundles of the published tree hold a
//! segment's leaves durably, it is written again without them, so that a leaf lies on the disk once.
//!
//! A segment is taken when a checkpoint covers all bundles that its records are in. Each bundle is compared
//! with the records, written again in its place with the same bytes, and synced: a sync alone proves nothing
//! after one that failed, and the publisher does not sync. Then their directories are synced, and only then
//! does the segment without leaves, synced too, take the name of the one with them. A bundle that holds
//! anything else than the records is left alone, and so is the segment.
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | while a bundle is written and synced | the same bytes under the old; the segment has its leaves | the publisher looks for tiles to write again; this one begins anew |
//! | while the new segment is written | `.seg.tmp` in any state | it is emptied and written again |
//! | in [`Segments::replace_sealed`] | the old segment or the new one | both are whole, and the new one's bundles are durable |
//!
//! From then on a bundle is part of the truth: [`crate::tiles`] does not write it again with other bytes unless
//! durably. The work waits for a quiet time, as long as few segments do, since it takes a tenth of what the
//! messages themselves take the processor. It rests three times as long as it takes, and syncs each MiB, so that
//! messages need not wait for it.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use schemas::clock::Clock;
use schemas::tlog::tile::TILE_WIDTH;
use tokio::sync::{oneshot, watch};

use crate::LogError;
use crate::bundles::{Bundles, read_bundle};
use crate::disk::{Disk, DiskFile, Open};
use crate::frame::{Frame, FrameLeaf, push_compact_frame};
use crate::publisher::Published;
use crate::segments::{Next, SegmentReader, Segments, offset_u32};

/// Bytes that are written before they are synced. 1 MiB: a few milliseconds of a disk.
const UNSYNCED_BYTES: usize = 1 << 20;
/// How much longer than its work the compactor rests.
const REST: u32 = 3;

/// Records a second below which it is a quiet time: a tenth of what a hub takes on two processors.
const QUIET_PER_SECOND: u64 = 500;
/// Segments that wait for a quiet time at most. 32: 2 GiB of leaves and evidence.
const WAITING_COUNT: usize = 32;

/// What the compactor is asked to do before its interval is over.
pub(crate) enum Compact {
    /// All that can be done, without rest; answered when it is done.
    Now(oneshot::Sender<()>),
    /// End.
    Close,
}

/// Why a segment stays as it is.
enum Left {
    /// The compactor is to end.
    Ending,
    /// It does not fit its bundles.
    Damaged(LogError),
    /// A file operation failed; worth another attempt.
    Failed(LogError),
}

/// The compactor; it lives on a thread of its own.
pub(crate) struct Compactor {
    pub(crate) segments: Arc<Segments>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) published: watch::Receiver<Published>,
    pub(crate) clock: Clock,
    /// Records below are in segments that have been looked at.
    pub(crate) next: u64,
    /// Who waits until all is done.
    pub(crate) waiting: Vec<oneshot::Sender<()>>,
}

/// A segment that is being written again.
struct Rewriting {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Bytes in the file.
    written: u64,
    /// Frames that are not in the file yet.
    buffer: Vec<u8>,
    offsets: Vec<u32>,
}

impl Compactor {
    /// Looks for work each interval, and when asked, until it is told to close or nobody can ask.
    pub(crate) fn run(mut self, asks: &Receiver<Compact>, interval: Duration) {
        let mut known = None;
        loop {
            let (watch, before) = (self.clock.stopwatch(), self.segments.size());
            match asks.recv_timeout(interval) {
                Ok(Compact::Now(reply)) => self.waiting.push(reply),
                Err(RecvTimeoutError::Timeout) => (),
                Ok(Compact::Close) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let records = self.segments.size().saturating_sub(before);
            let segments = self.segments.sealed_count(self.next);
            if self.waiting.is_empty() && !is_time(segments, records, watch.elapsed()) {
                continue;
            }
            let failure = match self.pass(asks) {
                Ok(()) => None,
                Err(Left::Ending) => return,
                Err(Left::Damaged(failure) | Left::Failed(failure)) => Some(failure),
            };
            if let Some(failure) =
                failure.as_ref().filter(|failure| known.as_ref() != Some(*failure))
            {
                tracing::warn!(%failure, "a segment was not made compact; trying again");
            }
            known = failure;
            for reply in self.waiting.drain(..) {
                // Who has gone needs no answer.
                let _ = reply.send(());
            }
        }
    }

    /// Makes every segment compact that can be.
    fn pass(&mut self, asks: &Receiver<Compact>) -> Result<(), Left> {
        let width = u64::from(TILE_WIDTH);
        while let Some(records) = self.segments.sealed_from(self.next) {
            if records.end.div_ceil(width).saturating_mul(width) > self.published.borrow().size {
                break;
            }
            let done = self.compact(&records, asks);
            if done.is_err() {
                // Half a file is of no use, and its room may be what is missing.
                let _ = self.disk.remove_file(&unfinished(&self.segments.path(records.start)));
            }
            match done {
                Err(Left::Damaged(failure)) => {
                    tracing::error!(%failure, "a segment keeps its leaves: they are not those of the bundles");
                }
                done => done?,
            }
            self.next = records.end;
        }
        Ok(())
    }

    /// Writes one segment again without its leaves, unless it has none.
    fn compact(&mut self, records: &Range<u64>, asks: &Receiver<Compact>) -> Result<(), Left> {
        let path = self.segments.path(records.start);
        let read = |cause: io::Error| Left::Failed(LogError::io("reading", &path, &cause));
        let open = || SegmentReader::open_from(&path, records.start, 0);
        // Of one that is compact every frame is.
        let first = open().and_then(|mut reader| reader.next()).map_err(read)?;
        if matches!(first, Next::Frame(Frame { leaf: FrameLeaf::InBundle { .. }, .. })) {
            return Ok(());
        }
        let mut reader = open().map_err(read)?;
        let mut rewriting = Rewriting::begin(&*self.disk, &path)?;
        let bundles = self.segments.bundles();
        let width = u64::from(TILE_WIDTH);
        let mut dirs = BTreeSet::new();
        for number in records.start / width..records.end.div_ceil(width) {
            let watch = self.clock.stopwatch();
            let bundle_path = bundles.path(number);
            let bundle = read_bundle(&bundle_path);
            let bundle = bundle.map_err(|fault| other(&bundle_path, fault.to_string()))?;
            let first = (number * width).max(records.start);
            let last = ((number + 1) * width).min(records.end);
            for index in first..last {
                let Next::Frame(frame) = reader.next().map_err(read)? else {
                    let cause = format!("record {index} is not whole");
                    return Err(other(&path, cause));
                };
                let FrameLeaf::Here(leaf) = &frame.leaf else {
                    return Err(other(&path, format!("record {index} has no leaf")));
                };
                let entry = usize::try_from(index % width).ok().and_then(|at| bundle.get(at));
                if entry != Some(leaf) {
                    let cause = format!("{} has another record {index}", bundle_path.display());
                    return Err(other(&path, cause));
                }
                rewriting.push(index, frame.durable_below, leaf, &frame.attachment)?;
            }
            self.write_again(&bundle_path, &bundle)?;
            dirs.extend(dirs_of(&bundles, &bundle_path));
            self.rest(watch.elapsed().saturating_mul(REST), asks)?;
        }
        rewriting.finish()?;
        for dir in &dirs {
            let synced = self.disk.sync_dir(dir);
            synced.map_err(|cause| Left::Failed(LogError::io("syncing", dir, &cause)))?;
        }
        let replaced =
            self.segments.replace_sealed(records.start, &rewriting.path, &rewriting.offsets);
        replaced.map_err(|cause| Left::Failed(LogError::io("replacing", &path, &cause)))
    }

    /// Makes a bundle durable, whatever became of the writes before.
    fn write_again(&self, path: &Path, bundle: &[Bytes]) -> Result<(), Left> {
        let bytes = bundle_bytes(bundle);
        let write = || {
            let file = self.disk.open(path, Open::Existing)?;
            file.write_at(&bytes, 0)?;
            file.sync_all()
        };
        write().map_err(|cause| Left::Failed(LogError::io("writing", path, &cause)))
    }

    /// Lets the disk and the processors to others for a while, unless somebody waits.
    fn rest(&mut self, rest: Duration, asks: &Receiver<Compact>) -> Result<(), Left> {
        let rest = if self.waiting.is_empty() { rest } else { Duration::ZERO };
        match asks.recv_timeout(rest) {
            Ok(Compact::Now(reply)) => self.waiting.push(reply),
            Err(RecvTimeoutError::Timeout) => (),
            Ok(Compact::Close) | Err(RecvTimeoutError::Disconnected) => return Err(Left::Ending),
        }
        Ok(())
    }
}

impl Rewriting {
    fn begin(disk: &dyn Disk, segment: &Path) -> Result<Self, Left> {
        let path = unfinished(segment);
        let file = disk.open(&path, Open::Emptied);
        let file = file.map_err(|cause| Left::Failed(LogError::io("making", &path, &cause)))?;
        Ok(Self { path, file, written: 0, buffer: Vec::new(), offsets: Vec::new() })
    }

    fn push(
        &mut self,
        index: u64,
        durable_below: u64,
        leaf: &[u8],
        attachment: &[u8],
    ) -> Result<(), Left> {
        let start = self.written.saturating_add(length(&self.buffer));
        self.offsets.push(offset_u32(&self.path, start).map_err(Left::Failed)?);
        // Safe because: it is smaller than the frame that it is made of, but for leaves under four bytes.
        let _ = push_compact_frame(&mut self.buffer, index, durable_below, (leaf, attachment));
        if self.buffer.len() < UNSYNCED_BYTES { Ok(()) } else { self.flush() }
    }

    /// Writes what waits; it is durable on return.
    fn flush(&mut self) -> Result<(), Left> {
        let written = self.file.write_at(&self.buffer, self.written);
        let synced = written.and_then(|()| self.file.sync_data());
        synced.map_err(|cause| Left::Failed(LogError::io("writing", &self.path, &cause)))?;
        self.written = self.written.saturating_add(length(&self.buffer));
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Left> {
        self.flush()?;
        let synced = self.file.sync_all();
        synced.map_err(|cause| Left::Failed(LogError::io("syncing", &self.path, &cause)))
    }
}

/// Whether to work on so many segments, when so many records came in the time since the last look.
fn is_time(segments: usize, records: u64, elapsed: Duration) -> bool {
    let quiet = u128::from(records) * 1000 <= u128::from(QUIET_PER_SECOND) * elapsed.as_millis();
    quiet || segments > WAITING_COUNT
}

/// Where a segment is written again.
fn unfinished(segment: &Path) -> PathBuf {
    segment.with_added_extension("tmp")
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn other(segment: &Path, cause: String) -> Left {
    Left::Damaged(LogError::Corrupt {
        place: segment.display().to_string(),
        cause,
        repair: "stop the hub and run `koprik log check` on the log: it names every damage",
    })
}

/// The bundle's bytes again.
fn bundle_bytes(entries: &[Bytes]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        // Safe because: it was read from a bundle.
        let _ = schemas::tlog::tile::push_entry(&mut bytes, entry);
    }
    bytes
}

/// The directories whose names lead to a bundle, from the published one down.
fn dirs_of(bundles: &Bundles, bundle: &Path) -> impl Iterator<Item = PathBuf> {
    let above = bundle.ancestors().skip(1).map(Path::to_owned);
    above.take_while(|dir| dir.starts_with(bundles.dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_for_a_quiet_time_as_long_as_few_segments_wait() {
        let second = Duration::from_secs(1);
        assert!(is_time(1, 0, Duration::ZERO) && is_time(1, QUIET_PER_SECOND, second));
        assert!(!is_time(1, QUIET_PER_SECOND + 1, second));
        assert!(!is_time(WAITING_COUNT, 10_000, second));
        assert!(is_time(WAITING_COUNT + 1, 10_000, second));
    }
}
