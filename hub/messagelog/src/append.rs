//! A file that only grows: the last segment.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::disk::{Disk, DiskFile, Open, is_full, sync_parent};

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// There is no room. The file is as it was, durably: nothing of this is stored.
    Full(io::Error),
    /// What is on the disk is not known until it is read back.
    Unknown(io::Error),
}

/// A file that lies ahead of its end in blocks of zeros, so that a sync writes the data only: with
/// a new size or new blocks it would write the file's metadata too, and wait for each.
///
/// It is written in whole blocks past the page cache, where the file system can: a sync then has no pages to
/// find and to wait for, which is a quarter of what it costs the processor. The block that the last
/// bytes end in is written again with the next ones; the bytes that it already has stay the same, so a write
/// that a power cut tears leaves them as they were.
pub(crate) struct AppendFile {
    file: Box<dyn DiskFile>,
    /// Where the next bytes go.
    end: u64,
    /// The bytes from the last border of a block to `end`.
    begun: Vec<u8>,
    /// Zeros from `end` to here were written, as far as there was room.
    prepared: u64,
    blocks: Blocks,
}

/// Bytes of a block: a multiple of every disk's sector and the page of most machines.
const BLOCK: usize = 4096;
/// The same as an offset.
const BLOCK_BYTES: u64 = 4096;
/// A file shorter than this has nothing ahead, bytes. 64 KiB: a quiet log stays small.
const PREPARE_FROM: u64 = 64 * 1024;
/// Zeros written ahead at most, bytes. 1 MiB: one sync in some hundred takes a few milliseconds more.
const PREPARE_MOST: u64 = 1 << 20;
/// A batch of as many bytes lets the file grow instead: zeros ahead of it would double what the disk writes, and
/// its metadata is a small part of what its sync takes. 64 KiB.
const LARGE: usize = 64 * 1024;
/// What the memory for blocks keeps between writes, bytes.
const KEEP_BYTES: usize = 256 * 1024;

impl AppendFile {
    /// Makes an empty file that is durable under its name: file and directory are synced. It may
    /// exist already, empty, from a start that was cut short.
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, AppendError> {
        let file =
            disk.open_in_blocks(path, Open::Made).map_err(|cause| match is_full(&cause) {
                true => AppendError::Full(cause),
                false => AppendError::Unknown(cause),
            })?;
        let ready = file.sync_all().and_then(|()| sync_parent(disk, path));
        ready.map_err(AppendError::Unknown)?;
        Ok(Self { file, end: 0, begun: Vec::new(), prepared: 0, blocks: Blocks::default() })
    }

    /// Opens an existing file for appending, cut to `len`. What is left is durable on return:
    /// after a killed process it may so far have stood in the page cache only. Nothing proves the bytes from
    /// `unproven` on durable: they are written again, since a sync is not
    /// enough after one that failed: the kernel may hold them in memory as if they were on disk.
    pub(crate) fn open_at(
        disk: &dyn Disk,
        path: &Path,
        len: u64,
        unproven: u64,
    ) -> io::Result<Self> {
        let again = unproven.min(len) / BLOCK_BYTES * BLOCK_BYTES;
        let tail = read_range(path, again..len)?;
        let file = disk.open_in_blocks(path, Open::Existing)?;
        if file.len()? != len {
            file.set_len(len)?;
        }
        let (begun, blocks) = (Vec::new(), Blocks::default());
        let mut opened = Self { file, end: again, begun, prepared: len, blocks };
        if unproven < len {
            opened.write(&tail)?;
        }
        opened.step(&tail)?;
        if opened.file.len()? != len {
            opened.file.set_len(len)?;
        }
        opened.file.sync_all()?;
        sync_parent(disk, path)?;
        Ok(opened)
    }

    /// Writes all bytes at the end; they are durable after the next [`AppendFile::sync`].
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        if let Err(cause) = self.write(bytes) {
            return Err(if is_full(&cause) {
                self.cut(cause)
            } else {
                AppendError::Unknown(cause)
            });
        }
        self.step(bytes).map_err(AppendError::Unknown)?;
        let written = self.end.next_multiple_of(BLOCK_BYTES);
        if written > self.prepared {
            self.prepared = written;
            if bytes.len() < LARGE {
                self.prepare()?;
            }
        }
        Ok(())
    }

    /// Writes bytes behind those that are there, and zeros up to the border of a block.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let begun = u64::try_from(self.begun.len()).map_err(io::Error::other)?;
        self.file.write_at(self.blocks.of(&[&self.begun, bytes]), self.end - begun)
    }

    /// Moves the end behind bytes that were written.
    fn step(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.end += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        let begun = usize::try_from(self.end % BLOCK_BYTES).map_err(io::Error::other)?;
        match bytes.len().checked_sub(begun).and_then(|from| bytes.get(from..)) {
            Some(last) => {
                self.begun.clear();
                self.begun.extend_from_slice(last);
            }
            None => self.begun.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Makes everything appended durable. After an error none of it may be, and asking again proves
    /// nothing.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Ends the file with the last byte appended, durably.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if self.prepared == self.end {
            return Ok(());
        }
        self.file.set_len(self.end)?;
        self.prepared = self.end;
        self.file.sync_all()
    }

    /// Takes back what a write without room has left. Synced, so that what was refused does not
    /// come back with a crash.
    fn cut(&mut self, cause: io::Error) -> AppendError {
        self.prepared = self.end;
        match self.file.set_len(self.end).and_then(|()| self.file.sync_all()) {
            Ok(()) => AppendError::Full(cause),
            Err(_) => AppendError::Unknown(cause),
        }
    }

    /// Writes zeros behind the last block, as many as the file has bytes up to there. Where there is no
    /// room for them the next records find out.
    fn prepare(&mut self) -> Result<(), AppendError> {
        let written = self.prepared;
        let ahead = if self.end < PREPARE_FROM { 0 } else { written.min(PREPARE_MOST) };
        self.prepared += ahead;
        if ahead == 0 {
            return Ok(());
        }
        let zeros = vec![0; usize::try_from(ahead).unwrap_or_default()];
        match self.file.write_at(self.blocks.of(&[&zeros]), written) {
            Err(cause) if !is_full(&cause) => Err(AppendError::Unknown(cause)),
            _ => Ok(()),
        }
    }
}

fn read_range(path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length =
        usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    File::open(path)?.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// Memory that begins at the border of a block, as a write past the page cache needs it.
#[derive(Default)]
struct Blocks {
    memory: Vec<u8>,
}

impl Blocks {
    /// The parts one behind the other, with zeros up to the border of a block.
    fn of(&mut self, parts: &[&[u8]]) -> &[u8] {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let whole = bytes.next_multiple_of(BLOCK);
        self.memory.clear();
        self.memory.shrink_to(KEEP_BYTES);
        self.memory.reserve(whole + BLOCK);
        let start = self.memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        self.memory.resize(start, 0);
        parts.iter().for_each(|part| self.memory.extend_from_slice(part));
        self.memory.resize(start + whole, 0);
        self.memory.get(start..).unwrap_or_default()
    }
}
