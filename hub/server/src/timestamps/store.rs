//! Stamped checkpoints on disk: `log/timestamps/N.checkpoint`, the checkpoint of the tree of N
//! records as its log signed it, `N.cosigned`, the same with the cosignatures of witnesses if it has
//! any, and `N.tsr`, the reply of RFC 3161 with the token over the first.
//!
//! | cut short | on disk | after the restart |
//! |---|---|---|
//! | before a checkpoint is renamed | an unfinished file | it lies there unused |
//! | before the token is renamed | checkpoints alone | not stamped; stamped again or a later one is |
//! | after | all | stamped |
//! | the disk is full, or a sync fails | checkpoints alone, or nothing | not stamped; the next round tries again |
//!
//! **Not trusted**: an attacker who can change it can take timestamps away; a forged one is refused
//! by whoever reads it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use pki::timestamp::read_reply;
use schemas::limits::TIMESTAMPS_INDEXED_MAX_COUNT;

use crate::refresh::{make_dir, write_durably};

/// A checkpoint with its token.
#[derive(Debug)]
pub(crate) struct Stamped {
    /// The note, with its cosignatures; stamped is what the log alone signed.
    pub(crate) checkpoint: String,
    /// The token, not verified again.
    pub(crate) token: Vec<u8>,
}

/// One checkpoint twice.
pub(crate) struct Checkpoints {
    /// As its log signed it: what is stamped.
    pub(crate) signed: String,
    /// With the cosignatures that there are.
    pub(crate) cosigned: String,
}

/// The stamped checkpoints of a log.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    /// Tree sizes, ascending.
    sizes: Mutex<Vec<u64>>,
}

impl Store {
    /// Opens the folder and lists what is in it.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        make_dir(&dir)?;
        let mut sizes = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let name = entry?.file_name();
            let size = name.to_str().and_then(|name| name.strip_suffix(".tsr"));
            sizes.extend(size.and_then(|size| size.parse::<u64>().ok()));
        }
        sizes.sort_unstable();
        thin(&mut sizes);
        Ok(Self { dir, sizes: Mutex::new(sizes) })
    }

    /// The size of the largest stamped tree; 0 when none is.
    pub(crate) fn last(&self) -> u64 {
        self.sizes().last().copied().unwrap_or(0)
    }

    /// Keeps a stamped checkpoint; durable on return. `reply` is the reply around the token.
    pub(crate) fn keep(
        &self,
        size: u64,
        Checkpoints { signed, cosigned }: &Checkpoints,
        reply: &[u8],
    ) -> io::Result<()> {
        write_durably(&self.dir, &format!("{size}.checkpoint"), signed.as_bytes())?;
        if cosigned != signed {
            write_durably(&self.dir, &format!("{size}.cosigned"), cosigned.as_bytes())?;
        }
        write_durably(&self.dir, &format!("{size}.tsr"), reply)?;
        let mut sizes = self.sizes();
        if let Err(at) = sizes.binary_search(&size) {
            sizes.insert(at, size);
            thin(&mut sizes);
        }
        Ok(())
    }

    /// The sizes of the first stamped trees that hold the record, earliest first.
    pub(crate) fn covering(&self, index: u64, count: usize) -> Vec<u64> {
        let sizes = self.sizes();
        let from = sizes.partition_point(|size| *size <= index);
        sizes.iter().skip(from).take(count).copied().collect()
    }

    /// Reads a stamped checkpoint back.
    pub(crate) fn read(&self, size: u64) -> io::Result<Stamped> {
        let checkpoint = match fs::read_to_string(self.path(&format!("{size}.cosigned"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::read_to_string(self.path(&format!("{size}.checkpoint")))?
            }
            read => read?,
        };
        let reply = fs::read(self.path(&format!("{size}.tsr")))?;
        let token = read_reply(&reply).map_err(io::Error::other)?;
        Ok(Stamped { checkpoint, token })
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn sizes(&self) -> MutexGuard<'_, Vec<u64>> {
        self.sizes.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

/// Forgets every second tree of the older half when there are too many: each record stays covered,
/// by a timestamp that is a little later. The files stay.
fn thin(sizes: &mut Vec<u64>) {
    while sizes.len() > TIMESTAMPS_INDEXED_MAX_COUNT {
        let half = sizes.len() / 2;
        let mut nth = 0;
        sizes.retain(|_| {
            nth += 1;
            nth > half || nth % 2 == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_stamped_tree_that_holds_the_record_is_found_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("timestamps")).unwrap();
        assert_eq!((store.last(), store.covering(0, 9)), (0, vec![]));
        let reply = pki::timestamp::reply_with(b"\x30\x00").unwrap();
        for size in [3, 10, 7] {
            let cosigned = if size == 10 { "note, cosigned" } else { "note" };
            let checkpoints = Checkpoints { signed: "note".into(), cosigned: cosigned.into() };
            store.keep(size, &checkpoints, &reply).unwrap();
        }
        // Cut short: a checkpoint without its token is not stamped.
        fs::write(store.dir().join("20.checkpoint"), "note").unwrap();
        for store in [&store, &Store::open(store.dir().to_owned()).unwrap()] {
            assert_eq!(store.last(), 10);
            assert_eq!(store.covering(2, 1), [3]);
            assert_eq!(store.covering(3, 9), [7, 10]);
            assert!(store.covering(10, 9).is_empty());
            let read = store.read(7).unwrap();
            assert_eq!((read.checkpoint.as_str(), &read.token[..]), ("note", &b"\x30\x00"[..]));
            assert_eq!(store.read(10).unwrap().checkpoint, "note, cosigned");
            assert_eq!(fs::read_to_string(store.path("10.checkpoint")).unwrap(), "note");
            assert!(store.read(20).is_err());
        }
    }

    #[test]
    fn full_index_is_thinned_and_every_record_stays_covered() {
        let most = u64::try_from(TIMESTAMPS_INDEXED_MAX_COUNT).unwrap();
        let mut sizes: Vec<u64> = (1..=most + 1).collect();
        thin(&mut sizes);
        assert!(sizes.len() < TIMESTAMPS_INDEXED_MAX_COUNT);
        assert_eq!(sizes.last(), Some(&(most + 1)));
        assert!(sizes.windows(2).all(|pair| pair[1] - pair[0] <= 2));
    }
}
