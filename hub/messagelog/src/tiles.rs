//! The published tree on disk: tiles and entry bundles under `tlog/`, laid out as C2SP tlog-tiles
//! has them, so that any static file server serves them. All of it is derived from the segments, but for the
//! entry bundles of compact ones (`compactor.rs`): they hold the only copy of their leaves, durably.
//!
//! Full tiles are written once. Partial ones are written for each checkpoint and removed when
//! their full tile is there. Nothing here is synced: what a power cut takes is written again when
//! the log is opened, which looks for the tiles of the last million records and into the newest of them. A full
//! bundle that is there with the same bytes is left alone, and replaced durably where it has others or cannot be
//! read: it may be one that segments rely on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemas::digest::Sha256;
use schemas::tlog::merkle::{leaf_hash, root_of};
use schemas::tlog::tile::{self, TILE_HEIGHT, TILE_WIDTH, TOP_LEVEL, Tile, TileKind};

use crate::LogError;
use crate::disk::{Disk, Last, replace};
use crate::edge::{Edge, hashes_on_edge};
use crate::segments::Leaf;

/// Tiles whose presence is checked when the log is opened: those of a million records.
const PRESENT_COUNT: u64 = 4096;
/// Tiles whose bytes are checked then: those of 262 144 records, more than a busy hub writes (5 000 a second) within
/// the 30 s that the kernel keeps them in memory. A power cut may leave any bytes of these.
const SOUND_COUNT: u64 = 1024;
const REWRITE: &str = "restart the hub: it writes the tiles again from the records";

/// The tile files of a log.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Tiles {
    /// The tiles under `tlog/`.
    pub(crate) fn new(dir: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { dir, disk }
    }

    /// The directory that a static server serves.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What its files are written on.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Where a tile lies.
    pub(crate) fn path(&self, tile: Tile) -> PathBuf {
        self.dir.join(tile.to_string())
    }

    fn write(&self, tile: Tile, bytes: &[u8]) -> Result<(), LogError> {
        let path = self.path(tile);
        let relied_on = tile.is_full() && tile.kind() == TileKind::Entries;
        let last = match relied_on.then(|| fs::read(&path)) {
            Some(Ok(held)) if held == bytes => None,
            Some(Err(missing)) if missing.kind() == io::ErrorKind::NotFound => Some(Last::Derived),
            // One that cannot be read is relied on no less than one that differs.
            Some(_) => Some(Last::Durable),
            None => Some(Last::Derived),
        };
        let written = last.map_or(Ok(()), |last| replace(self.disk(), &path, bytes, last));
        written.map_err(|cause| LogError::io("writing", &path, &cause))?;
        if tile.is_full() {
            let partial = path.with_added_extension("p");
            match self.disk.remove_dir_all(&partial) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(LogError::io("removing", &partial, &cause));
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// The hashes of a tile as it is in a tree of `size`, from its file or from that of the tile
    /// when it had become full.
    fn hashes(&self, level: u8, index: u64, size: u64) -> Result<Vec<Sha256>, LogError> {
        let kind = TileKind::Hashes(level);
        let tile = Tile::in_tree(kind, index, size);
        let tile = tile.ok_or(LogError::NotPublished { size, published: 0 })?;
        let full = Tile::in_tree(kind, index, u64::MAX).unwrap_or(tile);
        let wanted = usize::from(tile.width()) * 32;
        let read = |tile| fs::read(self.path(tile)).ok().filter(|bytes| bytes.len() >= wanted);
        let bytes = read(tile).or_else(|| read(full));
        let hashes = bytes.and_then(|bytes| bytes.get(..wanted).map(tile::hashes_from_bytes));
        hashes.and_then(Result::ok).ok_or_else(|| LogError::Corrupt {
            place: self.path(tile).display().to_string(),
            cause: "the tile is missing or too short".to_owned(),
            repair: REWRITE,
        })
    }

    /// The nodes of the published tree of `size`, for one proof.
    pub(crate) fn nodes(&self, size: u64) -> Nodes<'_> {
        Nodes { tiles: self, size, read: RefCell::default() }
    }

    /// The first tile of the last million records that is missing, too short, or not sound.
    pub(crate) fn first_missing(&self, size: u64) -> Option<u64> {
        let full = size / u64::from(TILE_WIDTH);
        let present = |kind, index, bytes| {
            let tile = Tile::in_tree(kind, index, size);
            let file = tile.and_then(|tile| fs::metadata(self.path(tile)).ok());
            file.is_some_and(|file| file.len() >= bytes)
        };
        (full.saturating_sub(PRESENT_COUNT)..full).find(|index| {
            let whole = present(TileKind::Hashes(0), *index, 8192)
                && present(TileKind::Entries, *index, 512);
            // The last tile under an upper one is there to check that one, too.
            let above = index / u64::from(TILE_WIDTH);
            let upper_full = (index + 1).is_multiple_of(u64::from(TILE_WIDTH));
            let sound = index + SOUND_COUNT < full || self.is_sound(*index, size) == Some(true);
            !whole || !sound || (upper_full && !present(TileKind::Hashes(1), above, 8192))
        })
    }
}

impl Tiles {
    /// Whether a full tile has the hash that the tile above it gives, and its bundle has its hashes.
    fn is_sound(&self, index: u64, size: u64) -> Option<bool> {
        let width = u64::from(TILE_WIDTH);
        let hashes = self.hashes(0, index, size).ok()?;
        let above = self.hashes(1, index / width, size).ok()?;
        let above = above.get(usize::try_from(index % width).ok()?)?;
        let bundle = self.path(Tile::in_tree(TileKind::Entries, index, size)?);
        let bundle = fs::read(bundle).ok()?;
        let entries = tile::entries_of(&bundle).ok()?;
        let entries = entries.iter().map(|entry| leaf_hash(entry));
        Some(root_of(&hashes) == *above && entries.eq(hashes.iter().copied()))
    }
}

/// The nodes of a tree for one proof. A proof takes up to eight nodes of a tile, so each tile is read once and
/// held: two for each level at most.
pub(crate) struct Nodes<'a> {
    tiles: &'a Tiles,
    size: u64,
    read: RefCell<HashMap<(u8, u64), Vec<Sha256>>>,
}

impl Nodes<'_> {
    /// A node of the tree. Reads at most one tile, hashes at most 127 times.
    pub(crate) fn node(&self, level: u32, index: u64) -> Result<Sha256, LogError> {
        let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let beyond = LogError::NotPublished { size: index, published: self.size };
        let tile_level = u8::try_from(tile_level).map_err(|_| beyond.clone())?;
        let first = index << height;
        let width = u64::from(TILE_WIDTH);
        let start = usize::try_from(first % width).map_err(|_| beyond.clone())?;
        let mut read = self.read.borrow_mut();
        let hashes = match read.entry((tile_level, first / width)) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => {
                place.insert(self.tiles.hashes(tile_level, first / width, self.size)?)
            }
        };
        hashes.get(start..start + (1 << height)).map(root_of).ok_or(beyond)
    }
}

/// The tree as the publisher grows it: the edge in memory, the rest in tiles.
#[derive(Debug)]
pub(crate) struct Tree {
    tiles: Tiles,
    edge: Edge,
    /// The entries of the unfinished bundle.
    bundle: Vec<u8>,
}

impl Tree {
    /// The empty tree.
    pub(crate) fn empty(tiles: Tiles) -> Self {
        Self { tiles, edge: Edge::default(), bundle: Vec::new() }
    }

    /// The tree of `size` from the tiles of the published tree, which is as large or larger. The
    /// caller checks the root.
    pub(crate) fn load(tiles: Tiles, size: u64, published: u64) -> Result<Self, LogError> {
        let mut levels = Vec::new();
        for level in 0..=TOP_LEVEL {
            let width = usize::try_from(hashes_on_edge(size, level)).unwrap_or(usize::MAX);
            let index = size.checked_shr(TILE_HEIGHT * (u32::from(level) + 1)).unwrap_or(0);
            let mut hashes = Vec::new();
            if width > 0 {
                hashes = tiles.hashes(level, index, published)?;
                hashes.truncate(width);
            }
            levels.push(hashes);
        }
        let damaged = || LogError::Corrupt {
            place: tiles.dir.display().to_string(),
            cause: format!("the tiles of the tree of {size} do not fit each other"),
            repair: REWRITE,
        };
        let bundle = tiles.unfinished_bundle(size, levels.first()).ok_or_else(damaged)?;
        let edge = Edge::restore(size, levels).ok_or_else(damaged)?;
        Ok(Self { tiles, edge, bundle })
    }

    /// Records in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root.
    pub(crate) fn root(&self) -> Sha256 {
        self.edge.root()
    }

    /// Adds the next record, and writes what it fills.
    pub(crate) fn push(&mut self, leaf: &Leaf) -> Result<(), LogError> {
        let index = self.edge.size();
        tile::push_entry(&mut self.bundle, &leaf.bytes).map_err(|cause| LogError::Corrupt {
            place: format!("record {index}"),
            cause: cause.to_string(),
            repair: REWRITE,
        })?;
        for full in self.edge.push(leaf.hash) {
            if full.level == 0 {
                self.write(TileKind::Entries, full.index, &self.bundle)?;
                self.bundle.clear();
            }
            let bytes = tile::hashes_to_bytes(&full.hashes);
            self.write(TileKind::Hashes(full.level), full.index, &bytes)?;
        }
        Ok(())
    }

    /// Writes the unfinished tiles, so that the tree of this size can be served.
    pub(crate) fn write_partial(&self) -> Result<(), LogError> {
        for (level, hashes) in self.edge.partial() {
            let shift = TILE_HEIGHT * (u32::from(level) + 1);
            let index = self.size().checked_shr(shift).unwrap_or(0);
            self.write(TileKind::Hashes(level), index, &tile::hashes_to_bytes(hashes))?;
            if level == 0 {
                self.write(TileKind::Entries, index, &self.bundle)?;
            }
        }
        Ok(())
    }

    fn write(&self, kind: TileKind, index: u64, bytes: &[u8]) -> Result<(), LogError> {
        match Tile::in_tree(kind, index, self.size()) {
            Some(tile) => self.tiles.write(tile, bytes),
            None => Ok(()),
        }
    }
}

impl Tiles {
    /// The unfinished bundle of a tree; `None` when its entries do not have the tile's hashes.
    fn unfinished_bundle(&self, size: u64, hashes: Option<&Vec<Sha256>>) -> Option<Vec<u8>> {
        let hashes = hashes.filter(|hashes| !hashes.is_empty());
        let Some(hashes) = hashes else { return Some(Vec::new()) };
        let index = size / u64::from(TILE_WIDTH);
        let bundle = fs::read(self.path(Tile::in_tree(TileKind::Entries, index, size)?)).ok()?;
        let entries = tile::entries_of(&bundle).ok()?;
        let same = entries.iter().map(|entry| leaf_hash(entry)).eq(hashes.iter().copied());
        same.then_some(bundle)
    }
}
