//! The segment files as they are read: where each record lies, and the way back to it.
//!
//! A segment `00000000000000000000.seg` is named by its first record and holds frames without
//! gaps. All but the last are sealed: nothing is appended to them any more. Beside a sealed one
//! lies its offset file, `.off`: where each frame begins, u32 little-endian each. It is derived: a
//! frame that is not where it says makes it being written anew. A sealed segment may be compact: its
//! leaves stand in their entry bundles only (`compactor.rs`).

mod reader;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use self::reader::{Next, RecordReader, SegmentReader, scan_segment};

use bytes::Bytes;
use schemas::digest::Sha256;
use tokio::sync::watch;

use crate::bundles::Bundles;
use crate::disk::{Disk, Last, replace, sync_parent};
use crate::frame::{Frame, HEADER_BYTES, Header};
use crate::{LogError, StoredRecord};

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
        let unread = |cause: io::Error| LogError::io("reading", &place.path, &cause);
        let mut frame = read_frame(&place, index).map_err(unread)?;
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
        record.map_err(|fault| bundles.failed(index, &fault))
    }

    /// Reads a record of a sealed segment whose offset file does not tell where it lies.
    fn read_searching(&self, place: &Place, index: u64) -> Result<Option<Frame>, LogError> {
        let _replacing = self.replacing();
        let unread = |cause: io::Error| LogError::io("reading", &place.path, &cause);
        // The segment may just have been replaced.
        if let Some(frame) = read_frame(place, index).map_err(unread)? {
            return Ok(Some(frame));
        }
        tracing::warn!(segment = %place.path.display(), "writing the segment's offset file again");
        let offsets = scan_segment(&place.path, place.first)?;
        write_offsets(&*self.disk, &place.path, &offsets);
        // From memory: on a full disk the file was not written, and reads go on.
        let found = Place { offset: offsets.get(place.position).copied(), ..place.clone() };
        read_frame(&found, index).map_err(unread)
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

    /// How many sealed segments begin with `index` or later.
    pub(crate) fn sealed_count(&self, index: u64) -> usize {
        let layout = self.layout.read().unwrap_or_else(PoisonError::into_inner);
        layout.sealed.len() - layout.sealed.partition_point(|first| *first < index)
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
        RecordReader::new(self.clone(), index)
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

pub(crate) fn damaged(place: String, cause: &str) -> LogError {
    LogError::Corrupt { place, cause: cause.to_owned(), repair: RESTORE }
}

/// `None` when the bytes there are not this record's frame.
///
/// # Errors
/// The system does not give the bytes now: that may pass, and says nothing about them.
fn read_frame(place: &Place, index: u64) -> io::Result<Option<Frame>> {
    match find_frame(place, index) {
        Ok(frame) => Ok(frame),
        Err(cause) if [ErrorKind::NotFound, ErrorKind::UnexpectedEof].contains(&cause.kind()) => {
            Ok(None)
        }
        Err(cause) => Err(cause),
    }
}

fn find_frame(place: &Place, index: u64) -> io::Result<Option<Frame>> {
    let Some(offset) = place.offset.or_else(|| told_offset(place)) else { return Ok(None) };
    let file = File::open(&place.path)?;
    let mut head = [0; HEADER_BYTES];
    file.read_exact_at(&mut head, u64::from(offset))?;
    let Some(header) = Header::parse(&head).filter(|header| header.seq == index) else {
        return Ok(None);
    };
    let mut payload = vec![0; header.payload_bytes];
    let payload_at = u64::from(offset) + u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
    file.read_exact_at(&mut payload, payload_at)?;
    Ok(header.open(&Bytes::from(payload)))
}

/// Where the segment's offset file says that a record lies. It is derived: whatever keeps it from being read, the
/// segment tells the same.
fn told_offset(place: &Place) -> Option<u32> {
    let mut bytes = [0; 4];
    let at = u64::try_from(place.position).ok()?.checked_mul(4)?;
    let file = File::open(place.path.with_extension("off")).ok()?;
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(u32::from_le_bytes(bytes))
}

/// Derived, so a failure costs a scan later and is only logged.
pub(crate) fn write_offsets(disk: &dyn Disk, segment: &Path, offsets: &[u32]) {
    let bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let path = segment.with_extension("off");
    if let Err(cause) = replace(disk, &path, &bytes, Last::Derived) {
        tracing::warn!(path = %path.display(), %cause, "the segment's offset file was not written");
    }
}

/// An offset as the offset file holds it.
pub(crate) fn offset_u32(path: &Path, offset: u64) -> Result<u32, LogError> {
    let too_long = |_| damaged(path.display().to_string(), "the segment is longer than 4 GiB");
    u32::try_from(offset).map_err(too_long)
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
