//! One file of the index: the keys and times of a stretch of records, sorted, written once.
//!
//! Pages as `pages.rs` has them; all numbers are little-endian, records are counted from the run's first:
//!
//! ```text
//! page 0   magic 8 bytes · first record u64 · records u32 · records in a block u32 · keys u32
//!          · page of the lists u64 · leaf hash of the last record 32 bytes
//!          · for each block: earliest time u64 · latest u64
//! times    u64 for each record
//! keys     digest 16 bytes · a u32 · b u32, ascending: a record or two of a key (a = b: one); or, with
//!          the highest bit of b set, b records in the lists from cell a on
//! lists    u32 for each record of a key with more than two, ascending
//! ```
//!
//! Digests are evenly spread, so a key is found by guessing its place: two or three pages, whatever the size.

use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::clock::UnixMillis;
use schemas::digest::Sha256;

use super::KeyDigest;
use super::pages::{Column, ColumnWriter, close_page, pages_for, read_page};
use super::store::IndexFault;
use crate::disk::{Disk, DiskFile, Open, sync_parent};

const MAGIC: &[u8; 8] = b"koprik1\n";
const TIMES_PAGE: u64 = 1;
const LISTED: u32 = 1 << 31;

/// The earliest and the latest time in a block of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) earliest: UnixMillis,
    pub(crate) latest: UnixMillis,
}

impl Span {
    /// The span of some times; nothing overlaps that of none.
    pub(crate) fn of(times: &[UnixMillis]) -> Self {
        let earliest = times.iter().min().copied().unwrap_or(UnixMillis(u64::MAX));
        let latest = times.iter().max().copied().unwrap_or(UnixMillis(0));
        Self { earliest, latest }
    }
}

/// What stands in page 0.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: u64,
    pub(crate) count: u32,
    /// Records in a block; each block has its span.
    pub(crate) block_count: u32,
    keys: u32,
    lists_page: u64,
    pub(crate) last_leaf: Sha256,
    pub(crate) spans: Vec<Span>,
}

/// A run that is open.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) head: Head,
    pub(crate) path: PathBuf,
    file: File,
}

/// Where the records of a key stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A record or two, in the key's own cell.
    Few(u32, Option<u32>),
    /// So many cells of the lists.
    List { start: u32, count: u32 },
}

impl Place {
    pub(crate) fn count(self) -> u32 {
        match self {
            Self::Few(_, None) => 1,
            Self::Few(_, Some(_)) => 2,
            Self::List { count, .. } => count,
        }
    }
}

/// What reads a run: a page of each column.
pub(crate) struct Columns {
    times: Column<8>,
    keys: Column<24>,
    lists: Column<4>,
}

impl Run {
    /// Opens a run.
    pub(crate) fn open(path: &Path) -> Result<Self, IndexFault> {
        let file = File::open(path)?;
        let mut page = Vec::new();
        read_page(&file, 0, &mut page)?;
        let head = Head::parse(&page).ok_or(IndexFault::Unreadable)?;
        Ok(Self { head, path: path.to_owned(), file })
    }

    /// The record behind the last.
    pub(crate) fn end(&self) -> u64 {
        self.head.first + u64::from(self.head.count)
    }

    /// Different keys.
    pub(crate) fn keys_count(&self) -> u32 {
        self.head.keys
    }

    /// What reads it.
    pub(crate) fn columns(&self) -> Columns {
        Columns {
            times: Column::at(TIMES_PAGE),
            keys: Column::at(self.head.keys_page()),
            lists: Column::at(self.head.lists_page),
        }
    }

    /// Where the records of a key stand, if it has any.
    pub(crate) fn find(
        &self,
        columns: &mut Columns,
        wanted: KeyDigest,
    ) -> Result<Option<Place>, IndexFault> {
        let number = |key: KeyDigest| u128::from_be_bytes(key.0);
        let (mut low, mut high) = (0, u64::from(self.head.keys));
        let (mut least, mut most) = (0, u128::MAX);
        while low < high {
            let cells = high - low;
            let step = (most.saturating_sub(least) / u128::from(cells)).saturating_add(1);
            let share = number(wanted).saturating_sub(least) / step;
            let guess = low + u64::try_from(share).unwrap_or(u64::MAX).min(cells - 1);
            let (key, place) = self.key(columns, guess)?;
            match wanted.cmp(&key) {
                Ordering::Equal => return Ok(Some(place)),
                Ordering::Less => (high, most) = (guess, number(key)),
                Ordering::Greater => (low, least) = (guess + 1, number(key)),
            }
        }
        Ok(None)
    }

    /// The first position among a key's records that is not before a record. Cost: logarithmic.
    pub(crate) fn position(
        &self,
        columns: &mut Columns,
        place: Place,
        record: u32,
    ) -> Result<u32, IndexFault> {
        let (mut low, mut high) = (0, place.count());
        while low < high {
            let middle = low.midpoint(high);
            if self.record(columns, place, middle)? < record {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// A key by its place among the keys.
    pub(crate) fn key(
        &self,
        columns: &mut Columns,
        cell: u64,
    ) -> Result<(KeyDigest, Place), IndexFault> {
        let cell = columns.keys.get(&self.file, cell)?;
        let parts = cell.split_first_chunk::<16>().and_then(|(key, rest)| {
            let (a, b) = rest.split_first_chunk::<4>()?;
            Some((*key, u32::from_le_bytes(*a), u32::from_le_bytes(b.try_into().ok()?)))
        });
        let (key, a, b) = parts.ok_or(IndexFault::Unreadable)?;
        let place = if b & LISTED == 0 {
            Place::Few(a, (b != a).then_some(b))
        } else {
            Place::List { start: a, count: b & !LISTED }
        };
        Ok((KeyDigest(key), place))
    }

    /// The record at a position of a key's records.
    pub(crate) fn record(
        &self,
        columns: &mut Columns,
        place: Place,
        position: u32,
    ) -> Result<u32, IndexFault> {
        match place {
            Place::Few(first, second) => {
                Ok(if position == 0 { first } else { second.unwrap_or(first) })
            }
            Place::List { start, .. } => {
                let cell = u64::from(start) + u64::from(position);
                Ok(u32::from_le_bytes(columns.lists.get(&self.file, cell)?))
            }
        }
    }

    /// The time of a record.
    pub(crate) fn time(
        &self,
        columns: &mut Columns,
        record: u32,
    ) -> Result<UnixMillis, IndexFault> {
        let cell = columns.times.get(&self.file, record.into())?;
        Ok(UnixMillis(u64::from_le_bytes(cell)))
    }
}

impl Head {
    fn keys_page(&self) -> u64 {
        TIMES_PAGE + pages_for::<8>(self.count.into())
    }

    fn parse(page: &[u8]) -> Option<Self> {
        let mut rest = page.strip_prefix(MAGIC)?;
        let first = take_u64(&mut rest)?;
        let (count, block_count) = (take_u32(&mut rest)?, take_u32(&mut rest)?);
        let keys = take_u32(&mut rest)?;
        let lists_page = take_u64(&mut rest)?;
        let (last_leaf, mut rest) = rest.split_first_chunk()?;
        let mut spans = Vec::new();
        for _ in 0..count.div_ceil(block_count.max(1)) {
            let (earliest, latest) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
            spans.push(Span { earliest: UnixMillis(earliest), latest: UnixMillis(latest) });
        }
        let last_leaf = Sha256(*last_leaf);
        Some(Self { first, count, block_count, keys, lists_page, last_leaf, spans })
    }

    fn page(&self) -> Vec<u8> {
        let mut page = MAGIC.to_vec();
        page.extend_from_slice(&self.first.to_le_bytes());
        page.extend_from_slice(&self.count.to_le_bytes());
        page.extend_from_slice(&self.block_count.to_le_bytes());
        page.extend_from_slice(&self.keys.to_le_bytes());
        page.extend_from_slice(&self.lists_page.to_le_bytes());
        page.extend_from_slice(self.last_leaf.as_bytes());
        for span in &self.spans {
            page.extend_from_slice(&span.earliest.0.to_le_bytes());
            page.extend_from_slice(&span.latest.0.to_le_bytes());
        }
        close_page(&mut page);
        page
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u64::from_le_bytes(*number))
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_le_bytes(*number))
}

/// A run that is being written, under a name that no run has.
pub(crate) struct RunWriter {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    unfinished: PathBuf,
    path: PathBuf,
    head: Head,
    times: ColumnWriter<8>,
    keys: ColumnWriter<24>,
    lists: ColumnWriter<4>,
    listed: u32,
}

/// What a run is about to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) block_count: u32,
    /// No more different keys than this.
    pub(crate) keys_most: u64,
}

impl RunWriter {
    /// Begins a run. Room for keys that do not come stays a hole in the file.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        path: PathBuf,
        extent: Extent,
    ) -> Result<Self, IndexFault> {
        let unfinished = path.with_extension("tmp");
        let file = disk.open(&unfinished, Open::Emptied).map_err(IndexFault::NotWritten)?;
        let disk = disk.clone();
        let Extent { first, count, block_count, keys_most } = extent;
        let (keys, lists_page, last_leaf, spans) = (0, 0, Sha256([0; 32]), Vec::new());
        let mut head = Head { first, count, block_count, keys, lists_page, last_leaf, spans };
        head.lists_page = head.keys_page() + pages_for::<24>(keys_most);
        let times = ColumnWriter::at(TIMES_PAGE);
        let keys = ColumnWriter::at(head.keys_page());
        let lists = ColumnWriter::at(head.lists_page);
        Ok(Self { disk, file, unfinished, path, head, times, keys, lists, listed: 0 })
    }

    /// Adds the time of the next record.
    pub(crate) fn time(&mut self, time: UnixMillis) -> Result<(), IndexFault> {
        self.times.push(&*self.file, time.0.to_le_bytes()).map_err(IndexFault::NotWritten)
    }

    /// Adds the next key with its records, both ascending.
    pub(crate) fn key(&mut self, key: KeyDigest, records: &[u32]) -> Result<(), IndexFault> {
        let (a, b) = match records {
            [] => return Ok(()),
            [one] => (*one, *one),
            [one, two] => (*one, *two),
            more => self.list(more).map_err(IndexFault::NotWritten)?,
        };
        let mut cell = [0; 24];
        let parts = key.0.into_iter().chain(a.to_le_bytes()).chain(b.to_le_bytes());
        cell.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        self.head.keys += 1;
        self.keys.push(&*self.file, cell).map_err(IndexFault::NotWritten)
    }

    fn list(&mut self, records: &[u32]) -> io::Result<(u32, u32)> {
        for record in records {
            self.lists.push(&*self.file, record.to_le_bytes())?;
        }
        let count = u32::try_from(records.len()).map_err(io::Error::other)?;
        let start = self.listed;
        self.listed = start.checked_add(count).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok((start, count | LISTED))
    }

    /// Makes what was written so far durable, so that the end is not one long wait for the disk.
    pub(crate) fn settle(&self) -> Result<(), IndexFault> {
        self.file.sync_data().map_err(IndexFault::NotWritten)
    }

    /// Makes the run durable under its name and opens it.
    pub(crate) fn end(mut self, last_leaf: Sha256, spans: Vec<Span>) -> Result<Run, IndexFault> {
        self.head.last_leaf = last_leaf;
        self.head.spans = spans;
        self.write_out().map_err(IndexFault::NotWritten)?;
        Run::open(&self.path)
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.times.end(&*self.file)?;
        self.keys.end(&*self.file)?;
        self.lists.end(&*self.file)?;
        self.file.write_at(&self.head.page(), 0)?;
        self.file.sync_all()?;
        self.disk.rename(&self.unfinished, &self.path)?;
        sync_parent(&*self.disk, &self.path)
    }
}
