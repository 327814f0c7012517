//! Columns of equal cells in pages of 4 KiB, each page with its checksum: what the index's files are made of.
//!
//! A cell never crosses a page. What is behind the last cell of a page is zeros; its last four bytes are the
//! crc32c of the others, little-endian. So a page that was cut, lost or changed is seen when it is read, and a
//! search reads the pages that it needs and no others.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::store::IndexFault;
use crate::disk::DiskFile;

/// Bytes of a page.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Bytes of a page without its checksum.
pub(crate) const ROOM_BYTES: usize = PAGE_BYTES - 4;
/// Pages that are written at once. 64: 256 KiB.
const WRITE_PAGES: usize = 64;

/// Pages that so many cells take.
pub(crate) fn pages_for<const WIDTH: usize>(cells: u64) -> u64 {
    cells.div_ceil(per_page::<WIDTH>())
}

fn per_page<const WIDTH: usize>() -> u64 {
    // Safe because: a page has far fewer cells than 2^64.
    u64::try_from(ROOM_BYTES / WIDTH).unwrap_or(1)
}

/// Reads a page and gives it without its checksum.
pub(crate) fn read_page(file: &File, page: u64, into: &mut Vec<u8>) -> Result<(), IndexFault> {
    into.resize(PAGE_BYTES, 0);
    file.read_exact_at(into, page * 4096)?;
    let sum = into.split_last_chunk::<4>().map(|(room, sum)| (crc32c::crc32c(room), *sum));
    if sum.is_none_or(|(computed, sum)| computed != u32::from_le_bytes(sum)) {
        return Err(IndexFault::Unreadable);
    }
    into.truncate(ROOM_BYTES);
    Ok(())
}

/// Fills a page up with zeros and puts its checksum behind it.
pub(crate) fn close_page(page: &mut Vec<u8>) {
    page.resize(ROOM_BYTES, 0);
    page.extend_from_slice(&crc32c::crc32c(page).to_le_bytes());
}

/// A column that is read. It keeps the page of the last cell.
pub(crate) struct Column<const WIDTH: usize> {
    first_page: u64,
    held: Option<u64>,
    page: Vec<u8>,
}

impl<const WIDTH: usize> Column<WIDTH> {
    /// The column that begins with a page of a file.
    pub(crate) fn at(first_page: u64) -> Self {
        Self { first_page, held: None, page: Vec::new() }
    }

    /// A cell. Reads at most one page of `file`, which is the column's.
    pub(crate) fn get(&mut self, file: &File, cell: u64) -> Result<[u8; WIDTH], IndexFault> {
        let page = self.first_page + cell / per_page::<WIDTH>();
        if self.held != Some(page) {
            self.held = None;
            read_page(file, page, &mut self.page)?;
            self.held = Some(page);
        }
        let place = usize::try_from(cell % per_page::<WIDTH>()).unwrap_or(usize::MAX);
        self.page.as_chunks().0.get(place).copied().ok_or(IndexFault::Unreadable)
    }
}

/// A column that is written, from its first cell to its last.
pub(crate) struct ColumnWriter<const WIDTH: usize> {
    next_page: u64,
    page: Vec<u8>,
    /// Whole pages that are not written yet.
    whole: Vec<u8>,
}

impl<const WIDTH: usize> ColumnWriter<WIDTH> {
    /// A column that will begin with a page of a file.
    pub(crate) fn at(first_page: u64) -> Self {
        Self { next_page: first_page, page: Vec::with_capacity(PAGE_BYTES), whole: Vec::new() }
    }

    /// Adds a cell.
    pub(crate) fn push(&mut self, file: &dyn DiskFile, cell: [u8; WIDTH]) -> io::Result<()> {
        self.page.extend_from_slice(&cell);
        if self.page.len() + WIDTH > ROOM_BYTES {
            self.end_page();
        }
        if self.whole.len() >= WRITE_PAGES * PAGE_BYTES { self.write(file) } else { Ok(()) }
    }

    /// Writes what is left.
    pub(crate) fn end(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        if !self.page.is_empty() {
            self.end_page();
        }
        self.write(file)
    }

    fn end_page(&mut self) {
        close_page(&mut self.page);
        self.whole.append(&mut self.page);
    }

    fn write(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        if self.whole.is_empty() {
            return Ok(());
        }
        file.write_at(&self.whole, self.next_page * 4096)?;
        self.next_page += u64::try_from(self.whole.len() / PAGE_BYTES).map_err(io::Error::other)?;
        self.whole.clear();
        Ok(())
    }
}
