//! The few file operations that durability hangs on, small enough for a test to fail each.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
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
}

/// The machine's disk.
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.sync_all()?;
        sync_parent(path)?;
        Ok(Box::new(file))
    }

    fn open_at(&self, path: &Path, len: u64) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).open(path)?;
        if file.metadata()?.len() != len {
            file.set_len(len)?;
        }
        file.sync_all()?;
        sync_parent(path)?;
        Ok(Box::new(file))
    }
}

impl AppendFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
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
