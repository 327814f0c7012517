//! The file layer under everything that the log writes: each method is one system call, so that a
//! test can fail, tear or cut short each of them, and crash after it.
//!
//! Reads go to the file system directly: what a fault does to them, a test does to the files.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Changes files and directories. What is written is durable only after a sync of the file; that a
/// file has its name, only after a sync of the directory.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory; its parent is there, it is not.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens a file for writing.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is written in whole blocks of 4 KiB at their borders, from memory that begins at a
    /// border: past the page cache, where the file system can.
    fn open_in_blocks(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.open(path, how)
    }

    /// Gives a file another name; what had the name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and what is in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// How a file is opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// It is there.
    Existing,
    /// It is made when it is missing, and left as it is when not.
    Made,
    /// It is made, or emptied.
    Emptied,
    /// It is made for its owner alone (mode 0600), or emptied.
    Private,
}

impl Open {
    fn options(self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create(self != Self::Existing);
        options.truncate(matches!(self, Self::Emptied | Self::Private));
        if self == Self::Private {
            options.mode(0o600);
        }
        options
    }
}

/// A file that is open for writing.
pub(crate) trait DiskFile: Send {
    /// Writes all bytes at a place. After an error some of them may be there.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Its length, bytes.
    fn len(&self) -> io::Result<u64>;

    /// Makes the bytes durable, and of the metadata what is needed to read them back (fdatasync).
    /// After an error none of it may be durable, and asking again proves nothing: the kernel may
    /// have dropped the pages.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes bytes and metadata durable (fsync); errors as above.
    fn sync_all(&self) -> io::Result<()>;
}

/// The machine's disk.
#[derive(Debug)]
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(how.options().open(path)?))
    }

    fn open_in_blocks(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let direct = OFlags::DIRECT.bits().cast_signed();
        match how.options().custom_flags(direct).open(path) {
            // A file system over the network, say, may have no other way than the page cache.
            Err(cause) if cause.kind() == io::ErrorKind::InvalidInput => self.open(path, how),
            opened => Ok(Box::new(opened?)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }
}

/// Whether an error says that there is no room: the call did nothing, or a part of its bytes.
pub(crate) fn is_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The directory that a file or directory stands in.
fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Syncs the directory that a file stands in, so that its name is durable.
pub(crate) fn sync_parent(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.sync_dir(parent(path))
}

/// Makes a directory with those above it, if they are not there. Its name is durable on return,
/// also when it was there: a process that was killed may have made it and not synced it.
pub(crate) fn make_dirs(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        let above = parent(dir);
        if !above.is_dir() {
            make_dirs(disk, above)?;
        }
        disk.make_dir(dir)?;
    }
    sync_parent(disk, dir)
}

/// Whether a replaced file must outlast a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// It must: file and directory are synced before the function returns.
    Durable,
    /// As before, and only its owner may read it.
    Secret,
    /// It can be made again from the segments.
    Derived,
}

/// Replaces a file as a whole: a reader sees the old bytes or the new ones. The directory of a
/// derived file is made.
///
/// | cut short | on disk | afterwards |
/// |---|---|---|
/// | before the rename | the old file, `.tmp` in any state | `.tmp` lies there unused, and is emptied by the next write |
/// | after the rename, before the directory is synced | the old file or the new one, each whole when it is not derived | both are good: nobody was told of the new one |
/// | derived: any time until the kernel has written it | any of its bytes, under its name | its reader checks it and has it made again |
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8], last: Last) -> io::Result<()> {
    let unfinished = path.with_added_extension("tmp");
    let how = if last == Last::Secret { Open::Private } else { Open::Emptied };
    let file = match disk.open(&unfinished, how) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            make_derived_dirs(disk, parent(path))?;
            disk.open(&unfinished, how)?
        }
        opened => opened?,
    };
    let written = file.write_at(bytes, 0);
    if let Err(cause) = written {
        // Half a file is of no use, and its room may be what is missing.
        let _ = disk.remove_file(&unfinished);
        return Err(cause);
    }
    if last != Last::Derived {
        file.sync_all()?;
    }
    disk.rename(&unfinished, path)?;
    if last == Last::Derived { Ok(()) } else { sync_parent(disk, path) }
}

/// Makes directories without syncing them.
fn make_derived_dirs(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    make_derived_dirs(disk, parent(dir))?;
    disk.make_dir(dir)
}

/// Replaces a file as a whole: after a crash it is the old or the new one, and the new one once this has
/// returned. Makes directories.
///
/// # Errors
/// The system's, and then the file is the old one.
pub fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(&OsDisk, path, bytes, Last::Durable)
}
