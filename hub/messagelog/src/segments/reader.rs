//! Segments read frame by frame, and the durable records in order, from segment to segment.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use schemas::tlog::merkle::leaf_hash;

use super::{Leaf, Segments, damaged, offset_u32};
use crate::bundles::Bundles;
use crate::frame::{Frame, HEADER_BYTES, Header};
use crate::{LogError, StoredRecord};

const READ_BUFFER_BYTES: usize = 64 * 1024;

/// A segment read frame by frame.
pub(crate) struct SegmentReader {
    file: BufReader<File>,
    /// Where the next frame begins, bytes.
    pub(crate) offset: u64,
    next: u64,
}

/// What stands at the next place of a segment.
pub(crate) enum Next {
    /// A whole frame.
    Frame(Frame),
    /// The end of the file.
    End,
    /// Bytes that are no frame of the next record; its offset is [`SegmentReader::offset`].
    Damaged,
}

impl SegmentReader {
    /// A reader from the frame of the record `next`, which begins at `offset`.
    pub(crate) fn open_from(path: &Path, next: u64, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file: BufReader::with_capacity(READ_BUFFER_BYTES, file), offset, next })
    }

    /// Forgets what was read ahead.
    fn read_anew(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.offset)).map(drop)
    }

    /// Reads one frame.
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        let mut head = [0; HEADER_BYTES];
        match read_fully(&mut self.file, &mut head)? {
            0 => return Ok(Next::End),
            HEADER_BYTES => (),
            _ => return Ok(Next::Damaged),
        }
        let Some(header) = Header::parse(&head).filter(|header| header.seq == self.next) else {
            return Ok(Next::Damaged);
        };
        let mut payload = vec![0; header.payload_bytes];
        if read_fully(&mut self.file, &mut payload)? < header.payload_bytes {
            return Ok(Next::Damaged);
        }
        let Some(frame) = header.open(&Bytes::from(payload)) else {
            return Ok(Next::Damaged);
        };
        let frame_bytes = header.payload_bytes.saturating_add(HEADER_BYTES);
        self.offset = self.offset.saturating_add(u64::try_from(frame_bytes).unwrap_or(u64::MAX));
        self.next = self.next.saturating_add(1);
        Ok(Next::Frame(frame))
    }
}

/// Reads until the buffer is full or the file ends; gives the bytes read.
fn read_fully(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(again) if again.kind() == io::ErrorKind::Interrupted => (),
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

/// Where the frames of a sealed segment begin. Reads it through; every frame of it was durable, so
/// any damage is refused.
pub(crate) fn scan_segment(path: &Path, first: u64) -> Result<Vec<u32>, LogError> {
    let failed = |cause: io::Error| LogError::io("reading", path, &cause);
    let mut reader = SegmentReader::open_from(path, first, 0).map_err(failed)?;
    let mut offsets = Vec::new();
    loop {
        let offset = reader.offset;
        match reader.next().map_err(failed)? {
            Next::End => return Ok(offsets),
            Next::Frame(_) => offsets.push(offset_u32(path, offset)?),
            Next::Damaged => {
                let place = format!("{}, offset {offset}", path.display());
                return Err(damaged(place, "a sealed segment holds bytes that are no record"));
            }
        }
    }
}

/// Follows the durable records in order, from segment to segment.
pub(crate) struct RecordReader {
    segments: Arc<Segments>,
    next: u64,
    open: Option<SegmentReader>,
    /// Records below this were durable before anything was read ahead. Behind them stands what may have been cut
    /// since: zeros, half a frame, or whole frames of a batch that was refused.
    durable: u64,
    /// Fresh leaves from `next` on.
    taken: VecDeque<Leaf>,
    bundles: Bundles,
}

impl RecordReader {
    /// Reads from the record `next` on.
    pub(super) fn new(segments: Arc<Segments>, next: u64) -> Self {
        let bundles = segments.bundles();
        Self { segments, next, open: None, durable: 0, taken: VecDeque::new(), bundles }
    }

    /// The next record's index.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// The next record's leaf, from memory while it is fresh; `None` when all durable ones have been given.
    pub(crate) fn next_leaf(&mut self) -> Result<Option<(u64, Leaf)>, LogError> {
        if self.taken.is_empty() && self.next < self.segments.size() {
            self.taken = self.segments.fresh().from(self.next);
        }
        let Some(leaf) = self.taken.pop_front() else {
            let record = self.next()?;
            return Ok(record.map(|(index, StoredRecord { leaf: bytes, .. })| {
                let hash = leaf_hash(&bytes);
                (index, Leaf { bytes, hash })
            }));
        };
        let index = self.next;
        self.next = index.saturating_add(1);
        self.open = None;
        Ok(Some((index, leaf)))
    }

    /// The next record, or `None` when all durable ones have been given.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, StoredRecord)>, LogError> {
        let size = self.segments.size();
        if self.next >= size {
            return Ok(None);
        }
        // After a failure the next call begins anew.
        let mut reader = match self.open.take() {
            Some(reader) if !self.segments.begins_segment(self.next) => reader,
            _ => {
                self.durable = size;
                self.open_at_next()?
            }
        };
        if self.next >= self.durable {
            self.durable = size;
            reader.read_anew().map_err(|cause| self.failed(&cause))?;
        }
        let index = self.next;
        match reader.next().map_err(|cause| self.failed(&cause))? {
            Next::Frame(frame) => {
                let record = self.bundles.record(index, frame);
                let record = record.map_err(|fault| self.bundles.failed(index, &fault))?;
                self.next = index.saturating_add(1);
                self.open = Some(reader);
                Ok(Some((index, record)))
            }
            Next::End | Next::Damaged => {
                let place = format!("{}, record {index}", self.segments.dir.display());
                Err(damaged(place, "its checksum does not match its bytes"))
            }
        }
    }

    fn open_at_next(&self) -> Result<SegmentReader, LogError> {
        let missing = LogError::NoSuchRecord { index: self.next, size: self.segments.size() };
        let place = self.segments.place(self.next).ok_or(missing)?;
        if let Some(offset) = place.offset {
            let opened = SegmentReader::open_from(&place.path, self.next, u64::from(offset));
            return opened.map_err(|cause| self.failed(&cause));
        }
        let mut reader = SegmentReader::open_from(&place.path, place.first, 0)
            .map_err(|cause| self.failed(&cause))?;
        for _ in place.first..self.next {
            if !matches!(reader.next().map_err(|cause| self.failed(&cause))?, Next::Frame(_)) {
                let at = format!("{}, offset {}", place.path.display(), reader.offset);
                return Err(damaged(at, "bytes before a durable record are no record"));
            }
        }
        Ok(reader)
    }

    fn failed(&self, cause: &io::Error) -> LogError {
        LogError::io("reading", &self.segments.dir, cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entry;
    use crate::disk::OsDisk;
    use crate::frame::push_frame;
    use crate::segments::{Tail, segment_path};

    fn frame(seq: u64, leaf: &'static str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let entry = Entry { leaf: leaf.into(), attachment: Bytes::new() };
        push_frame(&mut bytes, seq, seq, &entry).unwrap();
        bytes
    }

    #[test]
    fn a_batch_that_was_read_ahead_and_then_cut_is_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = segment_path(dir.path(), 0);
        let stored = [frame(0, "first"), frame(1, "second")];
        let write = |third| std::fs::write(&path, [stored.concat(), frame(2, third)].concat());
        write("refused").unwrap();
        let offset = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let tail = Tail { first: 0, offsets: vec![0, offset(&stored[0])] };
        let disk = Arc::new(OsDisk);
        let segments = Arc::new(Segments::new(dir.path().to_owned(), disk, Vec::new(), tail));
        let mut records = segments.reader(0);
        let mut leaf = || records.next().unwrap().map(|(_, record)| record.leaf);
        assert_eq!([leaf(), leaf(), leaf()], [Some("first".into()), Some("second".into()), None]);
        write("a later").unwrap();
        segments.extend(&[offset(&stored.concat())], std::iter::empty());
        assert_eq!([leaf(), leaf()], [Some("a later".into()), None]);
    }
}
