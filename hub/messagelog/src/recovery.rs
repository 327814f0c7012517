//! Reading the segments when the log is opened: what is whole stays, a torn tail is cut, and
//! everything else is refused before a byte is changed.
//!
//! Zeros behind the last record were written ahead of records that did not come; they are cut.
//! A tail is torn when a batch was under way as the process or the power went: its bytes are after
//! the last fdatasync, in any state. Nothing in it was acknowledged. Damage to a record that a
//! checkpoint or a later frame proves durable is never cut: that would lose an acknowledged record.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::LogError;
use crate::append::{AppendError, AppendFile};
use crate::disk::{Disk, make_dirs};
use crate::frame::was_durable;
use crate::segments::{Next, SegmentReader, Segments, Tail};
use crate::segments::{list, offset_u32, scan_segment, segment_path, write_offsets};

const RESTORE: &str = "restore the log's directory from a backup or another node; to look at the \
                       damage, copy the file first";

/// What the committer and the readers start from.
pub(crate) struct Recovered {
    pub(crate) segments: Segments,
    /// The tail, positioned at its end, durable.
    pub(crate) file: AppendFile,
    /// Bytes in the tail.
    pub(crate) bytes: u64,
}

/// Reads the segments in `dir`. `covered` is the size of the last checkpoint: so many records
/// were durable, whatever the files say. Cost: the last segment is read through; of the sealed
/// ones, names and ends are checked.
pub(crate) fn recover(
    dir: &Path,
    covered: u64,
    disk: &Arc<dyn Disk>,
) -> Result<Recovered, LogError> {
    make_dirs(&**disk, dir).map_err(|cause| LogError::io("making", dir, &cause))?;
    let mut firsts = list(dir)?;
    let Some(tail_first) = firsts.pop() else {
        return begin(dir, covered, disk);
    };
    check_sealed(&**disk, dir, &firsts, tail_first)?;
    let path = segment_path(dir, tail_first);
    let scanned = scan_tail(&path, tail_first)?;
    let count = u64::try_from(scanned.offsets.len()).unwrap_or(u64::MAX);
    let size = tail_first.saturating_add(count);
    if size < covered {
        return Err(LogError::Contradiction {
            cause: format!(
                "{} holds whole records up to {size} of the {covered} that the checkpoint covers",
                path.display()
            ),
            repair: RESTORE,
        });
    }
    let behind = read_behind(&path, scanned.bytes)?;
    if behind.iter().any(|byte| *byte != 0) {
        let torn_bytes = behind.len();
        refuse_damage(&path, size, scanned.bytes, &behind)?;
        tracing::warn!(
            segment = %path.display(), size, torn_bytes,
            "cutting the torn tail of the message log; no acknowledged record is in it"
        );
    }
    let opened = AppendFile::open_at(&**disk, &path, scanned.bytes, scanned.unproven);
    let file = opened.map_err(|cause| LogError::io("opening", &path, &cause))?;
    let tail = Tail { first: tail_first, offsets: scanned.offsets };
    let segments = Segments::new(dir.to_owned(), disk.clone(), firsts, tail);
    Ok(Recovered { segments, file, bytes: scanned.bytes })
}

fn begin(dir: &Path, covered: u64, disk: &Arc<dyn Disk>) -> Result<Recovered, LogError> {
    if covered > 0 {
        return Err(LogError::Contradiction {
            cause: format!(
                "{} holds no segment, but the checkpoint covers {covered} records",
                dir.display()
            ),
            repair: RESTORE,
        });
    }
    let path = segment_path(dir, 0);
    let made = AppendFile::create(&**disk, &path);
    let (AppendError::Full(cause) | AppendError::Unknown(cause)) = match made {
        Ok(file) => {
            let tail = Tail { first: 0, offsets: Vec::new() };
            let segments = Segments::new(dir.to_owned(), disk.clone(), Vec::new(), tail);
            return Ok(Recovered { segments, file, bytes: 0 });
        }
        Err(failed) => failed,
    };
    Err(LogError::io("making", &path, &cause))
}

/// Each sealed segment must end with the record before the next one's first.
fn check_sealed(
    disk: &dyn Disk,
    dir: &Path,
    sealed: &[u64],
    tail_first: u64,
) -> Result<(), LogError> {
    let all: Vec<u64> = sealed.iter().copied().chain([tail_first]).collect();
    if all.first() != Some(&0) {
        return Err(gap(dir, "the segment of the first records is missing".to_owned()));
    }
    for pair in all.windows(2) {
        let &[first, next] = pair else { continue };
        let path = segment_path(dir, first);
        if ends_with_record(&path, next - 1) {
            continue;
        }
        let offsets = scan_segment(&path, first)?;
        let count = u64::try_from(offsets.len()).unwrap_or(u64::MAX);
        let found = first.saturating_add(count);
        if found != next {
            let cause = format!("records {found} to {} are in no segment", next - 1);
            return Err(gap(&path, cause));
        }
        write_offsets(disk, &path, &offsets);
    }
    Ok(())
}

fn gap(place: &Path, cause: String) -> LogError {
    LogError::Corrupt { place: place.display().to_string(), cause, repair: RESTORE }
}

/// Whether the last frame that the offset file knows is the record `last` and ends the segment.
fn ends_with_record(path: &PathBuf, last: u64) -> bool {
    let check = || -> std::io::Result<bool> {
        let mut offsets = File::open(path.with_extension("off"))?;
        offsets.seek(SeekFrom::End(-4))?;
        let mut offset = [0; 4];
        offsets.read_exact(&mut offset)?;
        let mut reader = SegmentReader::open_from(path, last, u32::from_le_bytes(offset).into())?;
        let whole = matches!(reader.next()?, Next::Frame(_));
        Ok(whole && reader.offset == fs::metadata(path)?.len())
    };
    check().unwrap_or(false)
}

struct ScannedTail {
    offsets: Vec<u32>,
    /// Bytes of whole records.
    bytes: u64,
    /// Where the records begin that no later one calls durable: those of the last batch.
    unproven: u64,
}

fn scan_tail(path: &Path, first: u64) -> Result<ScannedTail, LogError> {
    let failed = |cause: std::io::Error| LogError::io("reading", path, &cause);
    let mut reader = SegmentReader::open_from(path, first, 0).map_err(failed)?;
    let mut offsets: Vec<u32> = Vec::new();
    let mut durable_below = first;
    loop {
        let bytes = reader.offset;
        match reader.next().map_err(failed)? {
            Next::Frame(frame) => {
                offsets.push(offset_u32(path, bytes)?);
                durable_below = frame.durable_below;
            }
            Next::End | Next::Damaged => {
                let proven = usize::try_from(durable_below.saturating_sub(first)).ok();
                let unproven = proven.and_then(|proven| offsets.get(proven));
                let unproven = unproven.map_or(bytes, |offset| u64::from(*offset));
                return Ok(ScannedTail { offsets, bytes, unproven });
            }
        }
    }
}

/// What stands in a segment from this offset on.
pub(crate) fn read_behind(path: &Path, offset: u64) -> Result<Bytes, LogError> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut behind = Vec::new();
        file.read_to_end(&mut behind)?;
        Ok(behind.into())
    };
    read().map_err(|cause: std::io::Error| LogError::io("reading", path, &cause))
}

/// Refuses to cut when a frame behind the damage says that the damaged record was durable.
fn refuse_damage(path: &Path, seq: u64, offset: u64, behind: &Bytes) -> Result<(), LogError> {
    if !was_durable(seq, behind) {
        return Ok(());
    }
    Err(LogError::Corrupt {
        place: format!("{}, offset {offset}", path.display()),
        cause: format!("record {seq} was durable and its bytes have changed"),
        repair: RESTORE,
    })
}
