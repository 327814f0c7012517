//! The records of a log that nobody has open: of a hub that is stopped, or of a copy.

use std::ops::ControlFlow;
use std::path::Path;

use crate::bundles::Bundles;
use crate::check::lock;
use crate::segments::{Next, SegmentReader, damaged_bundle, list, segment_path};
use crate::{LogError, StoredRecord};

/// Gives every whole record of the log in `dir`, in order, until `take` breaks. Holds one record at
/// a time. It proves nothing about them: that is what [`crate::check::check`] does.
///
/// # Errors
/// A process has the log open; a file cannot be read; a record before the tail is damaged.
pub fn scan_stopped(
    dir: &Path,
    mut take: impl FnMut(u64, StoredRecord) -> ControlFlow<()>,
) -> Result<(), LogError> {
    let segments = dir.join("segments");
    let firsts = list(&segments)?;
    let _lock = lock(dir)?;
    let last = firsts.last().copied();
    let mut bundles = Bundles::beside(&segments);
    for first in firsts {
        let path = segment_path(&segments, first);
        let failed = |cause: std::io::Error| LogError::io("reading", &path, &cause);
        let mut reader = SegmentReader::open_from(&path, first, 0).map_err(failed)?;
        for index in first.. {
            match reader.next().map_err(failed)? {
                Next::Frame(frame) => {
                    let record = bundles.record(index, frame);
                    let record = record.map_err(|cause| damaged_bundle(&bundles, index, &cause))?;
                    if take(index, record).is_break() {
                        return Ok(());
                    }
                }
                Next::End => break,
                // What lies behind the last record of the tail is not judged here.
                Next::Damaged if Some(first) == last => break,
                Next::Damaged => {
                    return Err(LogError::Corrupt {
                        place: format!("{}, record {index}", path.display()),
                        cause: "its checksum does not match its bytes".to_owned(),
                        repair: "run `koprik log check` on the directory: it names every damage",
                    });
                }
            }
        }
    }
    Ok(())
}
