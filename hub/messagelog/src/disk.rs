//! The few file operations that durability hangs on, small enough for a test to fail each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Makes segment files. The committer is the only writer.
pub(crate) trait Disk: Send + Sync {
    /// Makes an empty file that is durable under its name: file and directory are synced. It may
    /// exist already, empty, from a start that was cut short.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Opens an existing file for appending, cut to `len`. What is left is durable on return:
    /// after a killed process it may so far have stood in the page cache only.
    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn AppendFile>>;
}

/// A file that only grows.
pub(crate) trait AppendFile: Send {
    /// Writes all bytes at the end. After an error some of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended durable (fdatasync). After an error none of it may be, and asking
    /// again proves nothing: the kernel may have dropped the pages.
    fn sync(&mut self) -> io::Result<()>;

    /// Ends the file with the last byte appended, durably: nothing more is appended.
    fn end(&mut self) -> io::Result<()>;
}

/// The machine's disk.
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.sync_all()?;
        sync_parent(path)?;
        let end = file.metadata()?.len();
        Ok(Box::new(Prepared { file, end, prepared: end }))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() != len {
            file.set_len(len)?;
        }
        file.sync_all()?;
        sync_parent(path)?;
        Ok(Box::new(Prepared { file, end: len, prepared: len }))
    }
}

/// A file that lies ahead of its end in blocks of zeros, so that a sync writes the data only: with
/// a new size or new blocks it would write the file's metadata too, and wait for each.
struct Prepared {
    file: File,
    /// Where the next bytes go.
    end: u64,
    /// The file's length; zeros from `end` on.
    prepared: u64,
}

/// A file shorter than this has nothing ahead, bytes. 64 KiB: a quiet log stays small.
const PREPARE_FROM: u64 = 64 * 1024;
/// Zeros written ahead at most, bytes. 1 MiB: one sync in some hundred takes a few milliseconds more.
const PREPARE_MOST: u64 = 1 << 20;

impl Prepared {
    /// Writes zeros behind `end`, as many as the file has bytes up to there.
    fn prepare(&mut self, end: u64) -> io::Result<()> {
        let ahead = if end < PREPARE_FROM { 0 } else { end.min(PREPARE_MOST) };
        let zeros = vec![0; usize::try_from(ahead).unwrap_or_default()];
        self.file.write_all_at(&zeros, end)?;
        self.prepared = end + ahead;
        Ok(())
    }
}

impl AppendFile for Prepared {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if self.end > self.prepared {
            self.prepare(self.end)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.prepared == self.end {
            return Ok(());
        }
        self.file.set_len(self.end)?;
        self.prepared = self.end;
        self.file.sync_all()
    }
}

/// Syncs the directory that a file stands in, so that its name is durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Whether a replaced file must outlast a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// It must: file and directory are synced before the function returns.
    Durable,
    /// It can be made again from the segments.
    Derived,
}

/// Replaces a file as a whole: a reader sees the old bytes or the new ones. Makes directories.
pub(crate) fn replace(path: &Path, bytes: &[u8], last: Last) -> io::Result<()> {
    let unfinished = path.with_added_extension("tmp");
    let mut file = match File::create(&unfinished) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create(&unfinished)?
        }
        opened => opened?,
    };
    file.write_all(bytes)?;
    if last == Last::Durable {
        file.sync_all()?;
    }
    fs::rename(&unfinished, path)?;
    if last == Last::Durable { sync_parent(path) } else { Ok(()) }
}

/// Replaces a file as a whole: after a crash it is the old or the new one, and the new one once this has
/// returned. Makes directories.
///
/// # Errors
/// The system's, and then the file is the old one.
pub fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, Last::Durable)
}
