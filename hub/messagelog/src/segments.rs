//! The segment files as they are read: where each record lies, and the way back to it.
//!
//! A segment `00000000000000000000.seg` is named by its first record and holds frames without
//! gaps. All but the last are sealed: nothing is appended to them any more. Beside a sealed one
//! lies its offset file, `.off`: where each frame begins, u32 little-endian each. It is derived: a
//! frame that is not where it says makes it being written anew. A sealed segment may be compact: its
//! leaves stand in their entry bundles only (`compactor.rs`).

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use schemas::digest::Sha256;
use schemas::tlog::merkle::leaf_hash;
use tokio::sync::watch;

use crate::bundles::Bundles;
use crate::disk::{Disk, Last, replace, sync_parent};
use crate::frame::{Frame, HEADER_BYTES, Header};
use crate::{LogError, StoredRecord};

const READ_BUFFER_BYTES: usize = 64 * 1024;
const RESTORE: &str = "restore the log's directory from a backup or another node, and keep this \
                       one for the investigation";

/// Leaves that are kept in memory for the followers, bytes. 4 MiB: more than a second of a busy hub.
const FRESH_BYTES: usize = 4 << 20;
/// Leaves that a follower takes at a time.
const FRESH_TAKE_COUNT: usize = 256;

/// Where the records lie. The committer tells it what has become durable; everyone reads.
pub(crate) struct Segments {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    layout: RwLock<Layout>,
    fresh: Mutex<Fresh>,
    durable: watch::Sender<u64>,
    /// Held while a sealed segment or its offset file is replaced, so that they come to fit each other.
    replacing: Mutex<()>,
}

struct Layout {
    /// First records of the sealed segments, ascending.
    sealed: Vec<u64>,
    tail: Tail,
}

/// A leaf with its hash.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) bytes: Bytes,
    pub(crate) hash: Sha256,
}

/// The newest leaves, so that the followers need not read back, check and hash what was hashed a moment ago.
#[derive(Default)]
struct Fresh {
    leaves: VecDeque<Leaf>,
    bytes: usize,
    /// The index that follows the last of them.
    next: u64,
}

impl Fresh {
    fn extend(&mut self, leaves: impl Iterator<Item = Leaf>) {
        for leaf in leaves {
            self.bytes += leaf.bytes.len();
            self.next = self.next.saturating_add(1);
            self.leaves.push_back(leaf);
        }
        while self.bytes > FRESH_BYTES
            && let Some(oldest) = self.leaves.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
    }

    /// The leaves from `index` on, as many as a follower takes; none when it is not here any more.
    fn from(&self, index: u64) -> VecDeque<Leaf> {
        let first = self.next.saturating_sub(u64::try_from(self.leaves.len()).unwrap_or(u64::MAX));
        let skip = index.checked_sub(first).and_then(|skip| usize::try_from(skip).ok());
        skip.map_or_else(VecDeque::new, |skip| {
            self.leaves.iter().skip(skip).take(FRESH_TAKE_COUNT).cloned().collect()
        })
    }
}

/// The last segment: its first record and where its frames begin.
pub(crate) struct Tail {
    pub(crate) first: u64,
    pub(crate) offsets: Vec<u32>,
}

/// Where one record lies.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    first: u64,
    position: usize,
    /// `None` in a sealed segment: its offset file knows.
    offset: Option<u32>,
}

impl Segments {
    /// Takes what recovery found.
    pub(crate) fn new(dir: PathBuf, disk: Arc<dyn Disk>, sealed: Vec<u64>, tail: Tail) -> Self {
        let size = tail.first.saturating_add(count(&tail.offsets));
        let durable = watch::Sender::new(size);
        let fresh = Mutex::new(Fresh { next: size, ..Fresh::default() });
        let (layout, replacing) = (RwLock::new(Layout { sealed, tail }), Mutex::default());
        Self { dir, disk, layout, fresh, durable, replacing }
    }

    /// Durable records.
    pub(crate) fn size(&self) -> u64 {
        *self.durable.borrow()
    }

    /// The path of the segment that begins with this record.
    pub(crate) fn path(&self, first: u64) -> PathBuf {
        segment_path(&self.dir, first)
    }

    /// Frames that have been synced to the tail begin at these offsets and hold these leaves.
    pub(crate) fn extend(&self, offsets: &[u32], leaves: impl Iterator<Item = Leaf>) {
        self.fresh().extend(leaves);
        let mut layout = self.layout.write().unwrap_or_else(PoisonError::into_inner);
        layout.tail.offsets.extend_from_slice(offsets);
        let size = layout.tail.first.saturating_add(count(&layout.tail.offsets));
        drop(layout);
        self.durable.send_replace(size);
    }

    /// The tail is full: seals it, and begins a new one with the next record.
    pub(crate) fn seal(&self) {
        let mut layout = self.layout.write().unwrap_or_else(PoisonError::into_inner);
        let first = layout.tail.first.saturating_add(count(&layout.tail.offsets));
        let full = std::mem::replace(&mut layout.tail, Tail { first, offsets: Vec::new() });
        write_offsets(&*self.disk, &self.path(full.first), &full.offsets);
        layout.sealed.push(full.first);
    }

    /// Reads a durable record back. Two reads of the file, three in a sealed segment, and of a compact one its
    /// bundle.
    pub(crate) fn read(&self, index: u64) -> Result<StoredRecord, LogError> {
        let size = self.size();
        let missing = LogError::NoSuchRecord { index, size };
        if index >= size {
            return Err(missing);
        }
        let place = self.place(index).ok_or(missing)?;
        let mut frame = read_frame(&place, index);
        if frame.is_none() && place.offset.is_none() {
            frame = self.read_searching(&place, index)?;
        }
        let Some(frame) = frame else {
            let path = place.path.display();
            let place = format!("{path}, record {index}");
            return Err(damaged(place, "its checksum does not match its bytes"));
        };
        let mut bundles = self.bundles();
        let record = bundles.record(index, frame);
        record.map_err(|cause| damaged_bundle(&bundles, index, &cause))
    }

    /// Reads a record of a sealed segment whose offset file does not tell where it lies.
    fn read_searching(&self, place: &Place, index: u64) -> Result<Option<Frame>, LogError> {
        let _replacing = self.replacing();
        // The segment may just have been replaced.
        if let Some(frame) = read_frame(place, index) {
            return Ok(Some(frame));
        }
        tracing::warn!(segment = %place.path.display(), "writing the segment's offset file again");
        let offsets = scan_segment(&place.path, place.first)?;
        write_offsets(&*self.disk, &place.path, &offsets);
        // From memory: on a full disk the file was not written, and reads go on.
        let found = Place { offset: offsets.get(place.position).copied(), ..place.clone() };
        Ok(read_frame(&found, index))
    }

    /// Gives a sealed segment new bytes, those of the file `unfinished`, which are durable; `offsets` are
    /// where its frames begin now. Durable on return.
    ///
    /// | cut short | on disk | afterwards |
    /// |---|---|---|
    /// | before the rename is durable | the old segment or the new one, no offset file | both are whole; the offset file is written again |
    /// | after it | the new segment, an offset file in any state | where it does not tell the frames it is written again |
    pub(crate) fn replace_sealed(
        &self,
        first: u64,
        unfinished: &Path,
        offsets: &[u32],
    ) -> io::Result<()> {
        let _replacing = self.replacing();
        let path = self.path(first);
        match self.disk.remove_file(&path.with_extension("off")) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => sync_parent(&*self.disk, &path)?,
        }
        self.disk.rename(unfinished, &path)?;
        sync_parent(&*self.disk, &path)?;
        write_offsets(&*self.disk, &path, offsets);
        Ok(())
    }

    /// The records of the first sealed segment that begins with `index` or later.
    pub(crate) fn sealed_from(&self, index: u64) -> Option<Range<u64>> {
        let layout = self.layout.read().unwrap_or_else(PoisonError::into_inner);
        let at = layout.sealed.partition_point(|first| *first < index);
        let first = *layout.sealed.get(at)?;
        Some(first..layout.sealed.get(at + 1).copied().unwrap_or(layout.tail.first))
    }

    /// A reader of the entry bundles.
    pub(crate) fn bundles(&self) -> Bundles {
        Bundles::beside(&self.dir)
    }

    fn replacing(&self) -> MutexGuard<'_, ()> {
        self.replacing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of all records from `index` on.
    pub(crate) fn reader(self: &Arc<Self>, index: u64) -> RecordReader {
        let (open, taken, bundles) = (None, VecDeque::new(), self.bundles());
        RecordReader { segments: self.clone(), next: index, open, taken, bundles }
    }

    fn place(&self, index: u64) -> Option<Place> {
        let layout = self.layout.read().unwrap_or_else(PoisonError::into_inner);
        let tail = &layout.tail;
        let (first, in_tail) = if index >= tail.first {
            (tail.first, true)
        } else {
            let after = layout.sealed.partition_point(|first| *first <= index);
            (*layout.sealed.get(after.checked_sub(1)?)?, false)
        };
        let position = usize::try_from(index - first).ok()?;
        let offset = if in_tail { Some(*tail.offsets.get(position)?) } else { None };
        Some(Place { path: self.path(first), first, position, offset })
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins_segment(&self, index: u64) -> bool {
        let layout = self.layout.read().unwrap_or_else(PoisonError::into_inner);
        layout.tail.first == index || layout.sealed.binary_search(&index).is_ok()
    }
}

fn count(offsets: &[u32]) -> u64 {
    u64::try_from(offsets.len()).unwrap_or(u64::MAX)
}

/// The path of a segment.
pub(crate) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

fn damaged(place: String, cause: &str) -> LogError {
    LogError::Corrupt { place, cause: cause.to_owned(), repair: RESTORE }
}

/// The leaf of a record of a compact segment cannot be read from its bundle.
pub(crate) fn damaged_bundle(bundles: &Bundles, index: u64, cause: &str) -> LogError {
    let path = bundles.path_of(index);
    damaged(format!("{}, record {index}", path.display()), cause)
}

/// `None` when the bytes there are not this record's frame, for whatever reason.
fn read_frame(place: &Place, index: u64) -> Option<Frame> {
    let offset = match place.offset {
        Some(offset) => offset,
        None => {
            let mut bytes = [0; 4];
            let at = u64::try_from(place.position).ok()?.checked_mul(4)?;
            let offsets = File::open(place.path.with_extension("off")).ok()?;
            offsets.read_exact_at(&mut bytes, at).ok()?;
            u32::from_le_bytes(bytes)
        }
    };
    let file = File::open(&place.path).ok()?;
    let mut head = [0; HEADER_BYTES];
    file.read_exact_at(&mut head, u64::from(offset)).ok()?;
    let header = Header::parse(&head).filter(|header| header.seq == index)?;
    let mut payload = vec![0; header.payload_bytes];
    let payload_at = u64::from(offset) + u64::try_from(HEADER_BYTES).ok()?;
    file.read_exact_at(&mut payload, payload_at).ok()?;
    header.open(&Bytes::from(payload))
}

/// Derived, so a failure costs a scan later and is only logged.
pub(crate) fn write_offsets(disk: &dyn Disk, segment: &Path, offsets: &[u32]) {
    let bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let path = segment.with_extension("off");
    if let Err(cause) = replace(disk, &path, &bytes, Last::Derived) {
        tracing::warn!(path = %path.display(), %cause, "the segment's offset file was not written");
    }
}

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

    /// Reads one frame of a record that is durable. What was read ahead before it was durable may be zeros or half
    /// a frame, so what is no frame is read once more.
    fn next_durable(&mut self) -> io::Result<Next> {
        match self.next()? {
            Next::End | Next::Damaged => {
                self.file.seek(SeekFrom::Start(self.offset))?;
                self.next()
            }
            whole => Ok(whole),
        }
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

/// An offset as the offset file holds it.
pub(crate) fn offset_u32(path: &Path, offset: u64) -> Result<u32, LogError> {
    let too_long = |_| damaged(path.display().to_string(), "the segment is longer than 4 GiB");
    u32::try_from(offset).map_err(too_long)
}

/// Follows the durable records in order, from segment to segment.
pub(crate) struct RecordReader {
    segments: Arc<Segments>,
    next: u64,
    open: Option<SegmentReader>,
    /// Fresh leaves from `next` on.
    taken: VecDeque<Leaf>,
    bundles: Bundles,
}

impl RecordReader {
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
        if self.next >= self.segments.size() {
            return Ok(None);
        }
        if self.open.is_none() || self.segments.begins_segment(self.next) {
            self.open = Some(self.open_at_next()?);
        }
        let Some(reader) = self.open.as_mut() else { return Ok(None) };
        let index = self.next;
        match reader.next_durable().map_err(|cause| self.failed(&cause))? {
            Next::Frame(frame) => {
                let record = self.bundles.record(index, frame);
                let record = record.map_err(|cause| {
                    // The reader stands behind it: the next call begins anew.
                    self.open = None;
                    damaged_bundle(&self.bundles, index, &cause)
                })?;
                self.next = index.saturating_add(1);
                Ok(Some((index, record)))
            }
            Next::End | Next::Damaged => {
                self.open = None;
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

/// The first records of the segments in a directory, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, LogError> {
    let failed = |cause: io::Error| LogError::io("listing", dir, &cause);
    let mut firsts = Vec::new();
    for file in fs::read_dir(dir).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|extension| extension == "seg") {
            let first = stem.and_then(|stem| stem.parse().ok());
            let stray = || damaged(path.display().to_string(), "its name is not a segment's");
            firsts.push(first.ok_or_else(stray)?);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}
