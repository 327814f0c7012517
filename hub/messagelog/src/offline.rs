//! The records of a log that nobody has open: of a hub that is stopped, or of a copy.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use schemas::tlog::{Checkpoint, Note};

use crate::bundles::Bundles;
use crate::check::lock;
use crate::frame::was_durable;
use crate::recovery::read_behind;
use crate::segments::{Next, SegmentReader, list, segment_path};
use crate::{LogError, StoredRecord};

const CHECK: &str = "run `koprik log check` on the directory: it names every damage";

/// Gives every whole record of the log in `dir`, in order, until `take` breaks. Holds one record at
/// a time. It proves nothing about them: that is what [`crate::check::check`] does. Where it ends well, it has
/// given every record that was acknowledged, as far as the files tell.
///
/// # Errors
/// A process has the log open; a file cannot be read; a record that was durable is damaged or missing.
pub fn scan_stopped(
    dir: &Path,
    mut take: impl FnMut(u64, StoredRecord) -> ControlFlow<()>,
) -> Result<(), LogError> {
    let segments = dir.join("segments");
    let firsts = list(&segments)?;
    let _lock = lock(dir)?;
    let covered = covered(dir)?;
    let last = firsts.last().copied();
    let mut bundles = Bundles::beside(&segments);
    let mut next = 0;
    for first in firsts {
        if first != next {
            return Err(missing(&segments, next, first));
        }
        let path = segment_path(&segments, first);
        let failed = |cause: io::Error| LogError::io("reading", &path, &cause);
        let mut reader = SegmentReader::open_from(&path, first, 0).map_err(failed)?;
        loop {
            match reader.next().map_err(failed)? {
                Next::Frame(frame) => {
                    let record = bundles.record(next, frame);
                    let record = record.map_err(|fault| bundles.failed(next, &fault))?;
                    if take(next, record).is_break() {
                        return Ok(());
                    }
                    next += 1;
                }
                Next::End => break,
                Next::Damaged => {
                    let torn = Some(first) == last
                        && next >= covered
                        && !was_durable(next, &read_behind(&path, reader.offset)?);
                    if torn {
                        break;
                    }
                    return Err(LogError::Corrupt {
                        place: format!("{}, record {next}", path.display()),
                        cause: "its checksum does not match its bytes".to_owned(),
                        repair: CHECK,
                    });
                }
            }
        }
    }
    if next < covered { Err(missing(&segments, next, covered)) } else { Ok(()) }
}

/// Records that the checkpoint covers: so many were durable, whatever the segments hold.
fn covered(dir: &Path) -> Result<u64, LogError> {
    let path = dir.join("tlog/checkpoint");
    let note = match fs::read_to_string(&path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(0),
        read => read.map_err(|cause| LogError::io("reading", &path, &cause))?,
    };
    let checkpoint =
        Note::parse(&note).ok().and_then(|note| note.text().parse::<Checkpoint>().ok());
    checkpoint.map(|checkpoint| checkpoint.size).ok_or_else(|| LogError::Corrupt {
        place: path.display().to_string(),
        cause: "it is no checkpoint, so nothing says how many records there were".to_owned(),
        repair: CHECK,
    })
}

fn missing(segments: &Path, from: u64, end: u64) -> LogError {
    LogError::Corrupt {
        place: segments.display().to_string(),
        cause: format!("records {from} to {} are in no segment", end - 1),
        repair: CHECK,
    }
}
