//! One segment read through: every frame, its checksum, its place, and its record.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use schemas::tlog::merkle::leaf_hash;

use super::published::Leaves;
use super::report::{Finding, Findings, Store};
use crate::bundles::Bundles;
use crate::frame::{Frame, FrameLeaf, frames_behind, was_durable};
use crate::recovery::read_behind;
use crate::segments::{Next, SegmentReader};
use crate::{LogError, StoredRecord};

/// Whether a segment is the last: only there may a torn tail stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Sealed,
    Last,
}

/// A segment to read.
pub(super) struct Task {
    pub(super) path: PathBuf,
    pub(super) first: u64,
    pub(super) place: Place,
    /// The log's segments.
    pub(super) dir: PathBuf,
    /// Records that the checkpoint covers.
    pub(super) covered: u64,
    pub(super) record: fn(&StoredRecord) -> Result<(), String>,
}

/// What a segment holds.
pub(super) struct Scanned {
    pub(super) leaves: Leaves,
    /// Whole records.
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) findings: Findings,
    pub(super) note: Option<String>,
    offsets: Vec<u64>,
    file: String,
}

impl Task {
    /// Reads the segment. Damage does not end it: the next whole frame goes on.
    pub(super) fn scan(&self) -> Result<Scanned, LogError> {
        let failed = |cause: std::io::Error| LogError::io("reading", &self.path, &cause);
        let mut reader = SegmentReader::open_from(&self.path, self.first, 0).map_err(failed)?;
        let mut scanned = Scanned {
            leaves: Leaves::unknown(self.first, 0),
            records: 0,
            bytes: 0,
            findings: Findings::default(),
            note: None,
            offsets: Vec::new(),
            file: relative(&self.path),
        };
        let mut bundles = Bundles::beside(&self.dir);
        let mut rest = None;
        loop {
            let start = reader.offset;
            match reader.next().map_err(failed)? {
                Next::Frame(frame) => {
                    scanned.offsets.push(start);
                    self.take(frame, start..reader.offset, (&mut scanned, &mut bundles));
                }
                Next::End => break,
                Next::Damaged => match self.pass_over(start, &mut rest, &mut scanned)? {
                    Some((seq, offset)) => {
                        let opened = SegmentReader::open_from(&self.path, seq, offset);
                        reader = opened.map_err(failed)?;
                    }
                    None => break,
                },
            }
        }
        scanned.bytes = fs::metadata(&self.path).map_err(failed)?.len();
        if self.place == Place::Sealed {
            self.compare_offsets(&mut scanned);
        }
        Ok(scanned)
    }

    /// Takes a whole frame; a leaf that is not in the bundle any more is named.
    fn take(
        &self,
        frame: Frame,
        bytes: std::ops::Range<u64>,
        (scanned, bundles): (&mut Scanned, &mut Bundles),
    ) {
        let index = scanned.next_index();
        scanned.leaves.in_bundles |= matches!(frame.leaf, FrameLeaf::InBundle { .. });
        match bundles.record(index, frame) {
            Ok(record) => {
                if let Err(cause) = (self.record)(&record) {
                    scanned.find((index, index), bytes, cause);
                }
                scanned.leaves.hashes.push(Some(leaf_hash(&record.leaf)));
                scanned.records += 1;
            }
            Err(fault) => {
                let path = bundles.path_of(index);
                let below = self.dir.parent().and_then(|log| path.strip_prefix(log).ok());
                let file = below.unwrap_or(&path).display().to_string();
                scanned.findings.push_record(Store::OnlyBundles, file, index, fault.to_string());
                scanned.leaves.hashes.push(None);
            }
        }
    }

    /// Says what is wrong at `start`, and finds the next whole frame: its record and where it begins.
    /// `rest` is what stood behind the first damage: it is read once, however much there is.
    fn pass_over(
        &self,
        start: u64,
        rest: &mut Option<(u64, Bytes)>,
        scanned: &mut Scanned,
    ) -> Result<Option<(u64, u64)>, LogError> {
        let index = scanned.next_index();
        let (from, rest) = match rest {
            Some(read) => read,
            None => rest.insert((start, read_behind(&self.path, start)?)),
        };
        let passed = usize::try_from(start.saturating_sub(*from)).unwrap_or(usize::MAX);
        let behind = rest.slice(passed.min(rest.len())..);
        let end = start.saturating_add(u64::try_from(behind.len()).unwrap_or(u64::MAX));
        let last = self.place == Place::Last;
        if last && behind.iter().all(|byte| *byte == 0) {
            // Written ahead of records that did not come.
            return Ok(None);
        }
        if last && index >= self.covered && !was_durable(index, &behind) {
            scanned.note = Some(format!(
                "{}, bytes {start} to {end}: a torn tail; nothing in it was acknowledged, and the \
                 hub cuts it at its start",
                scanned.file
            ));
            return Ok(None);
        }
        let Some(next) = frames_behind(index, &behind).next() else {
            let cause = "these bytes are no record, and none follows them".to_owned();
            scanned.find((index, index), start..end, cause);
            if !last || index < self.covered {
                scanned.leaves.hashes.push(None);
            }
            return Ok(None);
        };
        let offset = start.saturating_add(u64::try_from(next.at).unwrap_or(u64::MAX));
        let cause = if next.at == 0 {
            "the records are missing: a later one stands in their place"
        } else {
            "the checksum does not match the bytes"
        };
        scanned.find((index, next.seq - 1), start..offset, cause.to_owned());
        let missing = usize::try_from(next.seq - index).unwrap_or(usize::MAX);
        let known = scanned.leaves.hashes.len();
        scanned.leaves.hashes.resize(known.saturating_add(missing), None);
        Ok(Some((next.seq, offset)))
    }

    /// A missing offset file is written again without a word; a wrong one is named.
    fn compare_offsets(&self, scanned: &mut Scanned) {
        let path = self.path.with_extension("off");
        let Ok(bytes) = fs::read(&path) else { return };
        let (offsets, rest) = bytes.as_chunks::<4>();
        let held = offsets.iter().map(|offset| u64::from(u32::from_le_bytes(*offset)));
        // Beside a damaged segment it tells where the lost records began.
        let whole = scanned.findings.count() == 0;
        if whole && !(rest.is_empty() && held.eq(scanned.offsets.iter().copied())) {
            scanned.findings.push(Finding {
                store: Store::Offsets,
                file: relative(&path),
                records: None,
                bytes: None,
                cause: "it does not say where the records of its segment begin".to_owned(),
            });
        }
    }
}

impl Scanned {
    fn next_index(&self) -> u64 {
        let known = u64::try_from(self.leaves.hashes.len()).unwrap_or(u64::MAX);
        self.leaves.first.saturating_add(known)
    }

    fn find(&mut self, records: (u64, u64), bytes: std::ops::Range<u64>, cause: String) {
        let (file, records, bytes) = (self.file.clone(), Some(records), Some(bytes));
        self.findings.push(Finding { store: Store::Segments, file, records, bytes, cause });
    }
}

/// The name of a file of the segments, below the log's directory.
fn relative(path: &Path) -> String {
    let name = path.file_name().map(Path::new).unwrap_or(path);
    Path::new("segments").join(name).display().to_string()
}
