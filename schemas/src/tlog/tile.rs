//! Tiles and entry bundles: where they lie and what is in them (C2SP tlog-tiles).

use std::fmt;
use std::str::FromStr;

use super::checkpoint::decimal;
use crate::digest::Sha256;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Levels of tree nodes that one level of tiles spans: 2^8 = 256.
pub const TILE_HEIGHT: u32 = 8;
/// Highest level of tiles that can hold a hash of a tree whose size has 64 bits.
pub const TOP_LEVEL: u8 = 7;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of this level; level 0 holds leaf hashes, each level above the roots of full tiles.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// One tile. Text form: its path below the log's prefix, `tile/0/x001/234.p/56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// The text is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tile path: `tile/LEVEL/xNNN/NNN` or `tile/entries/NNN`, with `.p/WIDTH` if partial")]
pub struct NotATile;

/// A tile's bytes are not what its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tile's bytes are not what its path says; fetch it again or let the log rewrite it")]
pub struct BadTile;

impl Tile {
    /// The tile at `index` of its level as it is in a tree of `size`: full, partial, or `None`
    /// when the tree has none of its hashes.
    #[must_use]
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        let hashes = size.checked_shr(level * TILE_HEIGHT).unwrap_or(0);
        let before = index.checked_mul(u64::from(TILE_WIDTH))?;
        let width = hashes.checked_sub(before)?.min(u64::from(TILE_WIDTH));
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { kind, index, width })
    }

    /// What the tile holds.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }

    /// The tile's index within its level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Hashes or entries in it, 1 to 256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it is full, and so never changes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}")?,
            TileKind::Entries => f.write_str("tile/entries")?,
        }
        let digits = format!("{:03}", self.index);
        // Groups of three digits from the right, zero-padded; all but the last begin with `x`.
        let padded = format!("{digits:0>width$}", width = digits.len().next_multiple_of(3));
        let groups = padded.len() / 3;
        for (n, group) in padded.as_bytes().chunks(3).enumerate() {
            let mark = if n + 1 < groups { "x" } else { "" };
            write!(f, "/{mark}{}", String::from_utf8_lossy(group))?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for Tile {
    type Err = NotATile;

    fn from_str(path: &str) -> Result<Self, NotATile> {
        let (full, width) = match path.split_once(".p/") {
            Some((full, width)) => (full, decimal(width).ok_or(NotATile)?),
            None => (path, u64::from(TILE_WIDTH)),
        };
        let rest = full.strip_prefix("tile/").ok_or(NotATile)?;
        let (level, index) = rest.split_once('/').ok_or(NotATile)?;
        let kind = match level {
            "entries" => TileKind::Entries,
            number => decimal(number)
                .and_then(|level| u8::try_from(level).ok())
                .filter(|level| *level <= 63)
                .map(TileKind::Hashes)
                .ok_or(NotATile)?,
        };
        let index = index.replace(['x', '/'], "").parse().map_err(|_| NotATile)?;
        let width = u16::try_from(width).ok().filter(|width| (1..=TILE_WIDTH).contains(width));
        let tile = Self { kind, index, width: width.ok_or(NotATile)? };
        // One tile has one path: whatever was skipped above shows when it is written again.
        if tile.to_string() == path { Ok(tile) } else { Err(NotATile) }
    }
}

/// The bytes of a tile of these hashes.
#[must_use]
pub fn hashes_to_bytes(hashes: &[Sha256]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile's bytes.
///
/// # Errors
/// When the bytes are not 1 to 256 hashes.
pub fn hashes_from_bytes(bytes: &[u8]) -> Result<Vec<Sha256>, BadTile> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    let fits = (1..=usize::from(TILE_WIDTH)).contains(&hashes.len()) && rest.is_empty();
    if fits { Ok(hashes.iter().map(|hash| Sha256(*hash)).collect()) } else { Err(BadTile) }
}

/// Adds an entry to a bundle: its length in 16 bits big-endian, then its bytes.
///
/// # Errors
/// When the entry has more than 65,535 bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BadTile> {
    let length = u16::try_from(entry.len()).map_err(|_| BadTile)?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle, in order.
///
/// # Errors
/// When a length passes the end, or there are more than 256 entries or none.
pub fn entries_of(mut bundle: &[u8]) -> Result<Vec<&[u8]>, BadTile> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(BadTile)?;
        entries.push(entry);
        bundle = rest;
    }
    let fits = bundle.is_empty() && (1..=usize::from(TILE_WIDTH)).contains(&entries.len());
    if fits { Ok(entries) } else { Err(BadTile) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(kind: TileKind, index: u64, size: u64) -> Option<String> {
        Tile::in_tree(kind, index, size).map(|tile| tile.to_string())
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let huge = u64::MAX;
        let level = TileKind::Hashes;
        assert_eq!(path(level(0), 1_234_067, huge).unwrap(), "tile/0/x001/x234/067");
        assert_eq!(path(TileKind::Entries, 7, huge).unwrap(), "tile/entries/007");
        // A tree of 70,000: 273 full tiles and one of 112; at level 1 one full, one of 17; one of 1.
        assert_eq!(path(level(0), 272, 70_000).unwrap(), "tile/0/272");
        assert_eq!(path(level(0), 273, 70_000).unwrap(), "tile/0/273.p/112");
        assert_eq!(path(level(0), 274, 70_000), None);
        assert_eq!(path(level(1), 0, 70_000).unwrap(), "tile/1/000");
        assert_eq!(path(level(1), 1, 70_000).unwrap(), "tile/1/001.p/17");
        assert_eq!(path(level(2), 0, 70_000).unwrap(), "tile/2/000.p/1");
        assert_eq!(path(level(3), 0, 70_000), None);
        assert_eq!(path(level(1), 0, 256).unwrap(), "tile/1/000.p/1");
    }

    #[test]
    fn a_tile_has_one_path() {
        for good in ["tile/0/x001/x234/067", "tile/63/000.p/255", "tile/entries/x001/000.p/1"] {
            assert_eq!(good.parse::<Tile>().unwrap().to_string(), good);
        }
        for bad in [
            "tile/0/1234067",
            "tile/0/001/234/067",
            "tile/0/x001/x234/x067",
            "tile/0/x000/001",
            "tile/00/001",
            "tile/64/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/07",
            "tile/0/01",
            "tile/data/001",
            "tile/0/../001",
            "/tile/0/001",
            "tile/0/+01",
        ] {
            assert_eq!(bad.parse::<Tile>(), Err(NotATile), "{bad}");
        }
    }

    #[test]
    fn bundles_and_tiles_round_trip_and_refuse_cut_bytes() {
        let mut bundle = Vec::new();
        push_entry(&mut bundle, b"first").unwrap();
        push_entry(&mut bundle, b"").unwrap();
        assert_eq!(bundle, b"\x00\x05first\x00\x00");
        assert_eq!(entries_of(&bundle).unwrap(), [&b"first"[..], b""]);
        assert_eq!(entries_of(&bundle[..bundle.len() - 1]), Err(BadTile));
        assert_eq!(entries_of(b""), Err(BadTile));
        assert_eq!(push_entry(&mut bundle, &[0; 65_536]), Err(BadTile));
        let hashes = [Sha256([1; 32]), Sha256([2; 32])];
        let bytes = hashes_to_bytes(&hashes);
        assert_eq!(hashes_from_bytes(&bytes).unwrap(), hashes);
        assert_eq!(hashes_from_bytes(&bytes[1..]), Err(BadTile));
    }
}
