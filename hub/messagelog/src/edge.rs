//! The right edge of the tree: the hashes of the tiles that are not full yet, at most 255 on each
//! level. It is all of the tree that stays in memory.

use schemas::digest::Sha256;
use schemas::tlog::merkle::root_of;
use schemas::tlog::tile::{TILE_HEIGHT, TILE_WIDTH};
use schemas::tlog::tree;

/// The unfinished tiles of a tree of a size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<Sha256>>,
}

/// A tile that has just become full.
#[derive(Debug)]
pub(crate) struct FullTile {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Sha256>,
}

/// A node of the tree lies outside of the edge.
#[derive(Debug)]
struct NotOnEdge;

impl Edge {
    /// An edge read back; `None` when the hashes are not as many as the size has on each level.
    pub(crate) fn restore(size: u64, levels: Vec<Vec<Sha256>>) -> Option<Self> {
        let fits = levels.iter().zip(0..).all(|(hashes, level)| {
            u64::try_from(hashes.len()).ok() == Some(hashes_on_edge(size, level))
        });
        fits.then_some(Self { size, levels })
    }

    /// Leaves in the tree.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The unfinished tiles with their levels, empty ones left out.
    pub(crate) fn partial(&self) -> impl Iterator<Item = (u8, &[Sha256])> {
        (0..).zip(self.levels.iter().map(Vec::as_slice)).filter(|(_, hashes)| !hashes.is_empty())
    }

    /// Adds a leaf and gives the tiles that it fills, lowest level first.
    pub(crate) fn push(&mut self, leaf_hash: Sha256) -> Vec<FullTile> {
        self.size = self.size.saturating_add(1);
        let mut full = Vec::new();
        let mut hash = leaf_hash;
        for level in 0.. {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(at) else { break };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let hashes = std::mem::take(hashes);
            hash = root_of(&hashes);
            let tiles = self.size >> (TILE_HEIGHT * (u32::from(level) + 1));
            full.push(FullTile { level, index: tiles.saturating_sub(1), hashes });
        }
        full
    }

    /// The root of the tree. At most 255 hashes for each level.
    pub(crate) fn root(&self) -> Sha256 {
        // Safe because: the root is made of the complete subtrees that the size's binary digits
        // name, and each of them is part of the unfinished tile of its level.
        tree::root(self.size, |level, index| self.node(level, index)).unwrap_or(Sha256([0; 32]))
    }

    fn node(&self, level: u32, index: u64) -> Result<Sha256, NotOnEdge> {
        let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let hashes = usize::try_from(tile_level).ok().and_then(|level| self.levels.get(level));
        let start = (index << height) % u64::from(TILE_WIDTH);
        let start = usize::try_from(start).map_err(|_| NotOnEdge)?;
        let nodes = hashes.and_then(|hashes| hashes.get(start..start + (1 << height)));
        nodes.map(root_of).ok_or(NotOnEdge)
    }
}

/// Hashes in the unfinished tile of a level: `floor(size / 256^level) mod 256`.
pub(crate) fn hashes_on_edge(size: u64, level: u8) -> u64 {
    let hashes = size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0);
    hashes % u64::from(TILE_WIDTH)
}

#[cfg(test)]
mod tests {
    use schemas::tlog::merkle::leaf_hash;

    use super::*;

    #[test]
    fn the_edge_has_the_root_of_the_whole_tree_at_every_size() {
        let leaves: Vec<_> = (0..66_000_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut edge = Edge::default();
        assert_eq!(edge.root(), root_of(&[]));
        for (count, leaf) in (1..).zip(&leaves) {
            let full = edge.push(*leaf);
            let (size, tile) = (edge.size(), full.first());
            assert_eq!(tile.is_some(), size % 256 == 0);
            if count < 600 || (65_530..65_540).contains(&count) || count == leaves.len() {
                assert_eq!(edge.root(), root_of(&leaves[..count]), "{count} leaves");
            }
            if let Some(tile) = tile {
                assert_eq!(tile.hashes, leaves[count - 256..count]);
                assert_eq!((tile.level, tile.index), (0, size / 256 - 1));
            }
            let upper = full.get(1).map(|tile| (tile.level, tile.index));
            assert_eq!(upper, (size == 65_536).then_some((1, 0)));
        }
    }
}
