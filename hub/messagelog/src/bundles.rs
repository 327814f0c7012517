//! Leaves read back from the entry bundles of the published tree, for the records of compact segments:
//! there the bundle holds the only copy.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use schemas::tlog::tile::{TILE_WIDTH, Tile, TileKind, entries_of};

use crate::frame::{Frame, FrameLeaf};
use crate::segments::damaged;
use crate::{LogError, StoredRecord};

/// Why a leaf does not come out of its bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleFault {
    /// The bundle is missing, or does not hold the record.
    #[error("{0}")]
    Damaged(String),
    /// The system does not give it now: that may pass.
    #[error("it cannot be read: {0}")]
    Unread(io::Error),
}

/// Reads leaves from full bundles; holds the last of them, a few hundred KiB.
#[derive(Debug)]
pub(crate) struct Bundles {
    dir: PathBuf,
    held: Option<(u64, Vec<Bytes>)>,
}

impl Bundles {
    /// The bundles beside a log's segments: in `tlog/`.
    pub(crate) fn beside(segments: &Path) -> Self {
        Self { dir: segments.with_file_name("tlog"), held: None }
    }

    /// The record of a frame, its leaf from the bundle where it stands there.
    ///
    /// # Errors
    /// What is wrong with the bundle.
    pub(crate) fn record(&mut self, index: u64, frame: Frame) -> Result<StoredRecord, BundleFault> {
        let Frame { leaf, attachment, .. } = frame;
        let leaf = match leaf {
            FrameLeaf::Here(leaf) => leaf,
            FrameLeaf::InBundle { checksum } => {
                let leaf = self.leaf(index)?;
                if crc32c::crc32c(&leaf) != checksum {
                    let text = "the record is not the one that was appended";
                    return Err(BundleFault::Damaged(text.to_owned()));
                }
                leaf
            }
        };
        Ok(StoredRecord { leaf, attachment })
    }

    fn leaf(&mut self, index: u64) -> Result<Bytes, BundleFault> {
        let width = u64::from(TILE_WIDTH);
        let number = index / width;
        let entries = match self.held.take() {
            Some((held, entries)) if held == number => entries,
            _ => read_bundle(&self.path_of(index))?,
        };
        let position = usize::try_from(index % width).unwrap_or(usize::MAX);
        let leaf = entries.get(position).cloned();
        self.held = Some((number, entries));
        leaf.ok_or_else(|| BundleFault::Damaged("the record is not in it".to_owned()))
    }

    /// The error of a record whose leaf does not come out.
    pub(crate) fn failed(&self, index: u64, fault: &BundleFault) -> LogError {
        let path = self.path_of(index);
        match fault {
            BundleFault::Damaged(cause) => {
                damaged(format!("{}, record {index}", path.display()), cause)
            }
            BundleFault::Unread(cause) => LogError::io("reading", &path, cause),
        }
    }

    /// Where the full bundle of a record lies.
    pub(crate) fn path_of(&self, index: u64) -> PathBuf {
        self.path(index / u64::from(TILE_WIDTH))
    }

    /// The published directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a full bundle lies.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        let tile = Tile::in_tree(TileKind::Entries, number, u64::MAX);
        // Safe because: a tree of 2^64 − 1 records has every bundle that an index can name.
        self.dir.join(tile.map(|tile| tile.to_string()).unwrap_or_default())
    }
}

/// The entries of a full bundle.
pub(crate) fn read_bundle(path: &Path) -> Result<Vec<Bytes>, BundleFault> {
    let bytes = Bytes::from(fs::read(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => BundleFault::Damaged("it is missing".to_owned()),
        _ => BundleFault::Unread(cause),
    })?);
    let entries = entries_of(&bytes).unwrap_or_default();
    if entries.len() != usize::from(TILE_WIDTH) {
        let text = format!("it does not hold {TILE_WIDTH} records and nothing else");
        return Err(BundleFault::Damaged(text));
    }
    Ok(entries.into_iter().map(|entry| bytes.slice_ref(entry)).collect())
}
