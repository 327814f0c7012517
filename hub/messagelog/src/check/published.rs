//! The published tree next to the records: every hash of every tile, every entry of every bundle.

use std::fs;
use std::path::Path;

use schemas::digest::Sha256;
use schemas::tlog::merkle::leaf_hash;
use schemas::tlog::tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileKind, entries_of, hashes_from_bytes};

use super::report::{Finding, Findings, Store};
use crate::tiles::Tiles;

/// The published files of a tree.
pub(super) struct Published {
    pub(super) tiles: Tiles,
    /// Records that the checkpoint covers.
    pub(super) size: u64,
}

/// A published file, read.
struct Read {
    file: String,
    bytes: Vec<u8>,
    /// Hashes or entries that the tree of the checkpoint has in it.
    width: usize,
}

/// Leaf hashes of consecutive records; `None` for one that is damaged or missing.
pub(super) struct Leaves {
    pub(super) first: u64,
    pub(super) hashes: Vec<Option<Sha256>>,
    /// How many of the hashes were taken from tiles.
    pub(super) filled: u64,
    /// Whether the records are in the entry bundles only: they have been read from there.
    pub(super) in_bundles: bool,
}

impl Published {
    /// Compares the tiles and bundles of these records with them, and fills in published hashes
    /// where a record has none. Gives the number of files that begin with one of the records.
    pub(super) fn compare(&self, leaves: &mut Leaves, findings: &mut Findings) -> u64 {
        let width = u64::from(TILE_WIDTH);
        let count = u64::try_from(leaves.hashes.len()).unwrap_or(u64::MAX);
        let end = leaves.first.saturating_add(count).min(self.size);
        let mut files = 0;
        for index in leaves.first / width..end.div_ceil(width) {
            let own = index * width >= leaves.first;
            for kind in [TileKind::Hashes(0), TileKind::Entries] {
                if leaves.in_bundles && kind == TileKind::Entries {
                    files += u64::from(own);
                    continue;
                }
                let mut found = Findings::default();
                match self.read(kind, index, &mut found) {
                    Some(read) if kind == TileKind::Entries => {
                        compare_entries(&read, index * width, leaves, &mut found);
                    }
                    Some(read) => compare_hashes(&read, index * width, leaves, &mut found),
                    // A file that cannot be read is named once: by the part that it begins with.
                    None if !own => found = Findings::default(),
                    None => (),
                }
                findings.append(found);
                files += u64::from(own);
            }
        }
        files
    }

    /// Compares a tile above the leaves with the hashes that the records give. Gives the number of files.
    pub(super) fn compare_upper(
        &self,
        (level, index): (u8, u64),
        hashes: &[Sha256],
        findings: &mut Findings,
    ) -> u64 {
        let Some(read) = self.read(TileKind::Hashes(level), index, findings) else { return 1 };
        let published = hashes_from_bytes(&read.bytes).unwrap_or_default();
        let pairs = published.iter().zip(hashes).zip(0_u64..);
        for ((_, _), nth) in pairs.filter(|((published, made), _)| published != made) {
            // The leaves below one hash of this level.
            let span = 1_u64.checked_shl(TILE_HEIGHT * u32::from(level)).unwrap_or(u64::MAX);
            let node = index.saturating_mul(u64::from(TILE_WIDTH)).saturating_add(nth);
            let first = node.saturating_mul(span);
            findings.push(Finding {
                store: Store::Tiles,
                file: read.file.clone(),
                records: Some((first, first.saturating_add(span - 1))),
                bytes: Some(nth * 32..nth * 32 + 32),
                cause: "the published hash over these records is not theirs".to_owned(),
            });
        }
        1
    }

    /// Reads a file of the published tree, or that of the tile when it had become full: a crash
    /// between a tile and its checkpoint leaves that one.
    fn read(&self, kind: TileKind, index: u64, findings: &mut Findings) -> Option<Read> {
        let tile = Tile::in_tree(kind, index, self.size)?;
        let full = Tile::in_tree(kind, index, u64::MAX).unwrap_or(tile);
        let file = |tile: Tile| Path::new("tlog").join(tile.to_string()).display().to_string();
        let width = usize::from(tile.width());
        let mut cause = "the file is missing or cannot be read".to_owned();
        for tile in [tile, full] {
            let Ok(bytes) = fs::read(self.tiles.path(tile)) else { continue };
            let whole = match kind {
                TileKind::Hashes(_) => bytes.len() / 32,
                TileKind::Entries => entries_of(&bytes).map_or(0, |entries| entries.len()),
            };
            let exact = kind == TileKind::Entries || bytes.len().is_multiple_of(32);
            if whole == usize::from(tile.width()) && exact {
                return Some(Read { file: file(tile), bytes, width });
            }
            cause = format!("it does not hold {} hashes or entries and nothing else", tile.width());
        }
        let store = match kind {
            TileKind::Hashes(_) => Store::Tiles,
            TileKind::Entries => Store::EntryBundles,
        };
        findings.push(Finding { store, file: file(tile), records: None, bytes: None, cause });
        None
    }
}

fn compare_hashes(read: &Read, start: u64, leaves: &mut Leaves, findings: &mut Findings) {
    let published = hashes_from_bytes(&read.bytes).unwrap_or_default();
    for (hash, nth) in published.iter().take(read.width).zip(0_u64..) {
        match leaves.at(start + nth) {
            Some(Some(own)) if own != hash => findings.push(Finding {
                store: Store::Tiles,
                file: read.file.clone(),
                records: Some((start + nth, start + nth)),
                bytes: Some(nth * 32..nth * 32 + 32),
                cause: "the published hash is not that of the record in its segment".to_owned(),
            }),
            Some(own @ None) => {
                *own = Some(*hash);
                leaves.filled += 1;
            }
            _ => (),
        }
    }
}

fn compare_entries(read: &Read, start: u64, leaves: &mut Leaves, findings: &mut Findings) {
    let entries = entries_of(&read.bytes).unwrap_or_default();
    let mut at = 0;
    for (entry, index) in entries.into_iter().take(read.width).zip(start..) {
        let end = at + 2 + u64::try_from(entry.len()).unwrap_or(u64::MAX);
        if let Some(Some(own)) = leaves.at(index)
            && *own != leaf_hash(entry)
        {
            findings.push(Finding {
                store: Store::EntryBundles,
                file: read.file.clone(),
                records: Some((index, index)),
                bytes: Some(at..end),
                cause: "the published record is not the one in its segment".to_owned(),
            });
        }
        at = end;
    }
}

impl Leaves {
    /// Records with nothing known of them.
    pub(super) fn unknown(first: u64, count: usize) -> Self {
        Self { first, hashes: vec![None; count], filled: 0, in_bundles: false }
    }

    fn at(&mut self, index: u64) -> Option<&mut Option<Sha256>> {
        let position = index.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        position.and_then(|at| self.hashes.get_mut(at))
    }
}
