//! The journal: one frame for each commit, in segment files that only grow. All numbers are
//! little-endian:
//!
//! ```text
//! "KRS1" · payload length u32 · crc32c u32 · sequence u64 · payload
//! ```
//!
//! The checksum covers length, sequence and payload. A segment `00000000000000000007.seg` is named by
//! the sequence of its first frame. A frame is synced before the next one is written, so damage with a
//! whole frame behind it is damage; damage at the very end is a commit that was cut short.
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | writing a frame | a part of it at the end | cut off; the commit is not stored |
//! | before its sync has returned | the frame, a part, or nothing | stored or not, whole; nobody was told |
//! | synced, not yet in the view | the frame | replayed into the view |
//! | beginning a segment | an empty file, or none | used, or made |
//! | write or sync failed, process goes on | any of the above | further commits are refused until the restart |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use schemas::limits::{STORE_CHANGES_MAX_COUNT, STORE_COMMIT_MAX_BYTES};

use crate::error::StoreError;

const MAGIC: [u8; 4] = *b"KRS1";
/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 20;
/// No frame has a larger payload: documents, and for each its head with all its keys.
const PAYLOAD_MAX_BYTES: usize = STORE_COMMIT_MAX_BYTES + STORE_CHANGES_MAX_COUNT * 256 * 1024;
/// A segment that has reached this size is followed by another.
const SEGMENT_BYTES: u64 = 256 * 1024 * 1024;

/// Where bytes of the journal lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// First sequence of the segment.
    pub(crate) segment: u64,
    /// Bytes into it.
    pub(crate) offset: u64,
}

/// A frame that is whole.
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    pub(crate) checksum: u32,
    /// Where it begins.
    pub(crate) place: Place,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Where a byte of the payload lies.
    pub(crate) fn place_of(&self, at: u64) -> Place {
        let offset = self.place.offset + HEADER_SIZE + at;
        Place { segment: self.place.segment, offset }
    }

    /// Where the next frame begins.
    pub(crate) fn end(&self) -> u64 {
        let length = u64::try_from(self.payload.len()).unwrap_or(u64::MAX);
        self.place.offset.saturating_add(HEADER_SIZE).saturating_add(length)
    }
}

/// [`HEADER_BYTES`], as files are measured.
const HEADER_SIZE: u64 = 20;

/// The end of the journal, where the one writer appends.
pub(crate) struct Journal {
    dir: PathBuf,
    file: File,
    segment: u64,
    length: u64,
    /// The sequence of the next frame.
    next: u64,
    /// A write has failed: what is at the end is known only after recovery.
    broken: bool,
}

impl Journal {
    /// Opens the journal to append behind `frames` frames, the last of which ends at `end`; what
    /// follows is a commit that was cut short, and is cut off.
    pub(crate) fn open(dir: &Path, end: Place, next: u64) -> Result<Self, StoreError> {
        let failed = StoreError::disk;
        let path = segment_path(dir, end.segment);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed("opening the journal"))?;
        let length = file.metadata().map_err(failed("opening the journal"))?.len();
        if length > end.offset {
            tracing::warn!(segment = %path.display(), bytes = length - end.offset, "cut off a commit that was never acknowledged");
            file.set_len(end.offset).map_err(failed("cutting the journal"))?;
        }
        let synced = file.sync_all().and_then(|()| File::open(dir)?.sync_all());
        synced.map_err(failed("syncing the journal"))?;
        let (segment, length) = (end.segment, end.offset);
        Ok(Self { dir: dir.to_owned(), file, segment, length, next, broken: false })
    }

    /// Appends a commit; durable on return.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; from then on always, until the journal is opened again.
    pub(crate) fn append(&mut self, payload: Vec<u8>) -> Result<Frame, StoreError> {
        if self.broken {
            let cause = "an earlier write failed; restart, which recovers what is durable".into();
            let check = "the disk";
            return Err(StoreError::Unavailable { doing: "writing the journal", check, cause });
        }
        let length =
            u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_MAX_BYTES);
        let length = length.ok_or_else(too_large)?.to_le_bytes();
        self.broken = true;
        if self.length >= SEGMENT_BYTES {
            *self = Self::open(&self.dir, Place { segment: self.next, offset: 0 }, self.next)?;
            self.broken = true;
        }
        let sequence = self.next;
        let checksum = checksum(length, sequence, &payload);
        let header =
            [&MAGIC[..], &length, &checksum.to_le_bytes(), &sequence.to_le_bytes()].concat();
        let place = Place { segment: self.segment, offset: self.length };
        let frame = Frame { sequence, checksum, place, payload };
        let bytes = [&header, frame.payload.as_slice()].concat();
        let written = self.file.write_all_at(&bytes, self.length);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(StoreError::disk("writing the journal"))?;
        self.length = frame.end();
        self.next = sequence.saturating_add(1);
        self.broken = false;
        Ok(frame)
    }
}

/// Reads the journal from a place on.
pub(crate) struct JournalReader {
    dir: PathBuf,
    /// First sequences of the segments, ascending.
    segments: Vec<u64>,
    open: Option<File>,
    at: Place,
    next: u64,
}

impl JournalReader {
    /// Begins at a frame with this sequence.
    pub(crate) fn new(dir: &Path, at: Place, sequence: u64) -> Result<Self, StoreError> {
        let segments = segments(dir)?;
        Ok(Self { dir: dir.to_owned(), segments, open: None, at, next: sequence })
    }

    /// The next frame; `None` at the end, which is then at [`JournalReader::end`].
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, StoreError> {
        let failed = || StoreError::disk("reading the journal");
        loop {
            let file = match self.open.take() {
                Some(file) => file,
                None if !self.segments.contains(&self.at.segment) => return Ok(None),
                None => File::open(segment_path(&self.dir, self.at.segment)).map_err(failed())?,
            };
            let length = file.metadata().map_err(failed())?.len();
            if self.at.offset < length {
                let frame = read_frame(&file, self.at, length).map_err(failed())?;
                let Some(frame) = frame.filter(|frame| frame.sequence == self.next) else {
                    self.refuse_damage(&file, length)?;
                    return Ok(None);
                };
                self.at.offset = frame.end();
                self.next = frame.sequence.saturating_add(1);
                self.open = Some(file);
                return Ok(Some(frame));
            }
            // A full segment is followed by the one that begins with the next frame.
            if self.at.segment == self.next || !self.segments.contains(&self.next) {
                return self.refuse_gap().map(|()| None);
            }
            self.at = Place { segment: self.next, offset: 0 };
        }
    }

    /// Where the next frame would begin, and its sequence.
    pub(crate) fn end(&self) -> (Place, u64) {
        (self.at, self.next)
    }

    /// Nothing may lie behind the end.
    fn refuse_gap(&self) -> Result<(), StoreError> {
        if self.segments.iter().any(|segment| *segment > self.next) {
            let place = self.dir.display().to_string();
            return Err(StoreError::damaged(place, "commits are missing between its segments"));
        }
        Ok(())
    }

    /// Damage is a torn end only when nothing whole follows it.
    fn refuse_damage(&self, file: &File, length: u64) -> Result<(), StoreError> {
        let failed = || StoreError::disk("reading the journal");
        let place = || segment_path(&self.dir, self.at.segment).display().to_string();
        let damaged = || StoreError::damaged(place(), "a commit does not have its checksum");
        if self.segments.iter().any(|segment| *segment > self.at.segment) {
            return Err(damaged());
        }
        let mut offset = self.at.offset + 1;
        let mut window = vec![0; 1 << 20];
        while offset < length {
            let count = read_some(file, &mut window, offset).map_err(failed())?;
            let read = window.get(..count).unwrap_or_default();
            for (at, _) in read.windows(MAGIC.len()).enumerate().filter(|(_, four)| *four == MAGIC)
            {
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                let place = Place { segment: self.at.segment, offset: offset.saturating_add(at) };
                let behind = read_frame(file, place, length).map_err(failed())?;
                if behind.is_some_and(|frame| frame.sequence > self.next) {
                    return Err(damaged());
                }
            }
            let advance = count.saturating_sub(MAGIC.len() - 1).max(1);
            offset = offset.saturating_add(u64::try_from(advance).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

/// Reads bytes of a document.
pub(crate) fn read_bytes(dir: &Path, place: Place, length: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; length];
    File::open(segment_path(dir, place.segment))
        .and_then(|file| file.read_exact_at(&mut bytes, place.offset))
        .map_err(StoreError::disk("reading the journal"))?;
    Ok(bytes)
}

/// Reads the frame at a place; `None` when none stands there whole.
pub(crate) fn frame_at(dir: &Path, place: Place) -> Result<Option<Frame>, StoreError> {
    let read = || {
        let file = File::open(segment_path(dir, place.segment))?;
        let length = file.metadata()?.len();
        read_frame(&file, place, length)
    };
    match read() {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map_err(StoreError::disk("reading the journal")),
    }
}

/// The first sequences of the segments, ascending.
fn segments(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let failed = || StoreError::disk("listing the journal");
    let mut found = Vec::new();
    for file in fs::read_dir(dir).map_err(failed())? {
        let path = file.map_err(failed())?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|extension| extension == "seg") {
            let first = stem.and_then(|stem| stem.parse().ok());
            let stray =
                || StoreError::damaged(path.display().to_string(), "its name is no segment's");
            found.push(first.ok_or_else(stray)?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.seg"))
}

fn read_frame(file: &File, place: Place, file_length: u64) -> io::Result<Option<Frame>> {
    let room = file_length.saturating_sub(place.offset);
    if room < HEADER_SIZE {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, place.offset)?;
    let Some((length, expected, sequence)) = parse_header(&header) else { return Ok(None) };
    let payload_bytes = u32::from_le_bytes(length);
    let fits = u64::from(payload_bytes) <= room - HEADER_SIZE;
    let payload_bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
    if !fits || payload_bytes > PAYLOAD_MAX_BYTES {
        return Ok(None);
    }
    let mut payload = vec![0; payload_bytes];
    file.read_exact_at(&mut payload, place.offset + HEADER_SIZE)?;
    let found = checksum(length, sequence, &payload);
    Ok((found == expected).then_some(Frame { sequence, checksum: found, place, payload }))
}

fn parse_header(header: &[u8; HEADER_BYTES]) -> Option<([u8; 4], u32, u64)> {
    let rest = header.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, sequence) = rest.split_first_chunk::<4>()?;
    let sequence = u64::from_le_bytes(sequence.try_into().ok()?);
    Some((*length, u32::from_le_bytes(*checksum), sequence))
}

fn checksum(length: [u8; 4], sequence: u64, payload: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&length), &sequence.to_le_bytes());
    crc32c::crc32c_append(head, payload)
}

fn read_some(file: &File, window: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(window, offset) {
            Err(again) if again.kind() == io::ErrorKind::Interrupted => (),
            read => return read,
        }
    }
}

fn too_large() -> StoreError {
    let (cause, repair) = ("it is larger than a frame", "commit fewer documents at a time");
    StoreError::Refused { kind: "commit", cause, repair }
}
