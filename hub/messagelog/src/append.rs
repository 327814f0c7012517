//! A file that only grows: the last segment.

use std::io;
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
pub(crate) struct AppendFile {
    file: Box<dyn DiskFile>,
    /// Where the next bytes go.
    end: u64,
    /// Zeros from `end` to here were written, as far as there was room.
    prepared: u64,
}

/// A file shorter than this has nothing ahead, bytes. 64 KiB: a quiet log stays small.
const PREPARE_FROM: u64 = 64 * 1024;
/// Zeros written ahead at most, bytes. 1 MiB: one sync in some hundred takes a few milliseconds more.
const PREPARE_MOST: u64 = 1 << 20;

impl AppendFile {
    /// Makes an empty file that is durable under its name: file and directory are synced. It may
    /// exist already, empty, from a start that was cut short.
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, AppendError> {
        let file = disk.open(path, Open::Made).map_err(|cause| match is_full(&cause) {
            true => AppendError::Full(cause),
            false => AppendError::Unknown(cause),
        })?;
        let end = file.sync_all().and_then(|()| sync_parent(disk, path)).and_then(|()| file.len());
        let end = end.map_err(AppendError::Unknown)?;
        Ok(Self { file, end, prepared: end })
    }

    /// Opens an existing file for appending, cut to `len`. What is left is durable on return:
    /// after a killed process it may so far have stood in the page cache only. `last` are its last
    /// bytes, as far as nothing proves them durable. They are written again, since a sync is not
    /// enough after one that failed: the kernel may hold them in memory as if they were on disk.
    pub(crate) fn open_at(disk: &dyn Disk, path: &Path, len: u64, last: &[u8]) -> io::Result<Self> {
        let file = disk.open(path, Open::Existing)?;
        if file.len()? != len {
            file.set_len(len)?;
        }
        let last_bytes = u64::try_from(last.len()).map_err(io::Error::other)?;
        file.write_at(last, len.saturating_sub(last_bytes))?;
        file.sync_all()?;
        sync_parent(disk, path)?;
        Ok(Self { file, end: len, prepared: len })
    }

    /// Writes all bytes at the end; they are durable after the next [`AppendFile::sync`].
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        if let Err(cause) = self.file.write_at(bytes, self.end) {
            return Err(if is_full(&cause) {
                self.cut(cause)
            } else {
                AppendError::Unknown(cause)
            });
        }
        let bytes = u64::try_from(bytes.len()).map_err(io::Error::other);
        self.end += bytes.map_err(AppendError::Unknown)?;
        if self.end > self.prepared { self.prepare() } else { Ok(()) }
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

    /// Writes zeros behind the end, as many as the file has bytes up to there. Where there is no
    /// room for them the next records find out.
    fn prepare(&mut self) -> Result<(), AppendError> {
        let ahead = if self.end < PREPARE_FROM { 0 } else { self.end.min(PREPARE_MOST) };
        self.prepared = self.end + ahead;
        if ahead == 0 {
            return Ok(());
        }
        let zeros = vec![0; usize::try_from(ahead).unwrap_or_default()];
        match self.file.write_at(&zeros, self.end) {
            Err(cause) if !is_full(&cause) => Err(AppendError::Unknown(cause)),
            _ => Ok(()),
        }
    }
}
