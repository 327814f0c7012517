package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is fixed by C2SP tlog-tiles: 2^8 hashes in a tile.
const tileHeight = 8

// path is where a tile lies. The Go checksum database writes the height into the path and calls bundles
// "data"; C2SP tlog-tiles leaves the height out and calls them "entries".
func path(tile tlog.Tile) string {
	short := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	return strings.Replace(short, "tile/data/", "tile/entries/", 1)
}

// tileAt is the tile that a path names, the other way round.
func tileAt(path string) (tlog.Tile, error) {
	long := strings.Replace(path, "tile/", "tile/8/", 1)
	return tlog.ParseTilePath(strings.Replace(long, "tile/8/entries/", "tile/8/data/", 1))
}

// published reads the tiles of a directory; tlog authenticates what it reads.
type published struct{ dir string }

func (p published) Height() int { return tileHeight }

func (p published) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(p.dir, path(tile)))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (p published) SaveTiles([]tlog.Tile, [][]byte) {}

// computed holds the hashes of a tree in the order of tlog, computed from the records.
type computed []tlog.Hash

func (c computed) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(c)) {
			return nil, fmt.Errorf("no hash %d in the tree", index)
		}
		hashes = append(hashes, c[index])
	}
	return hashes, nil
}

// tilesOf are the tiles of a level in a tree of so many records: full ones, then the partial one.
func tilesOf(level int, size int64) []tlog.Tile {
	hashes := size
	if level > 0 {
		hashes >>= uint(tileHeight * level)
	}
	var tiles []tlog.Tile
	for at := int64(0); at < hashes; at += 1 << tileHeight {
		width := hashes - at
		if width > 1<<tileHeight {
			width = 1 << tileHeight
		}
		tiles = append(tiles, tlog.Tile{H: tileHeight, L: level, N: at >> tileHeight, W: int(width)})
	}
	return tiles
}

// entries reads a bundle: each entry after its length in 16 bits, big-endian.
func entries(bundle []byte) ([][]byte, error) {
	var all [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("a length is cut")
		}
		length := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+length {
			return nil, fmt.Errorf("an entry is cut")
		}
		all = append(all, bundle[2:2+length])
		bundle = bundle[2+length:]
	}
	return all, nil
}

// hashEntries computes the whole tree from the entry bundles.
func hashEntries(dir string, size int64) (computed, error) {
	var tree computed
	count := int64(0)
	for _, tile := range tilesOf(-1, size) {
		bundle, err := os.ReadFile(filepath.Join(dir, path(tile)))
		if err != nil {
			return nil, fmt.Errorf("entries: %v", err)
		}
		found, err := entries(bundle)
		if err == nil && len(found) != tile.W {
			err = fmt.Errorf("it holds %d entries", len(found))
		}
		if err != nil {
			return nil, fmt.Errorf("entries: %s: %v", path(tile), err)
		}
		for _, entry := range found {
			hashes, err := tlog.StoredHashes(count, entry, tree)
			if err != nil {
				return nil, fmt.Errorf("entries: %v", err)
			}
			tree = append(tree, hashes...)
			count++
		}
	}
	return tree, nil
}

// checkTiles compares every tile of the tree, and whatever else lies in the directory, with the hashes.
func checkTiles(dir string, size int64, tree computed) (int, error) {
	count := 0
	for level := 0; size>>uint(tileHeight*level) > 0; level++ {
		for _, tile := range tilesOf(level, size) {
			if err := checkTile(dir, tile, tree); err != nil {
				return 0, err
			}
			count++
		}
	}
	return count, filepath.Walk(dir, func(file string, info os.FileInfo, err error) error {
		name, _ := filepath.Rel(dir, file)
		if err != nil || info.IsDir() || name == "checkpoint" || name == cosigned || strings.HasSuffix(name, ".tmp") {
			return err
		}
		// A partial tile of an earlier checkpoint may stay: it is the begin of the one that is there now.
		tile, err := tileAt(filepath.ToSlash(name))
		if err != nil {
			return fmt.Errorf("tiles: %v", err)
		}
		return checkTile(dir, tile, tree)
	})
}

func checkTile(dir string, tile tlog.Tile, tree computed) error {
	data, err := os.ReadFile(filepath.Join(dir, path(tile)))
	if err != nil {
		return fmt.Errorf("tiles: %v", err)
	}
	if tile.L == -1 {
		if data, err = leafHashes(data); err != nil {
			return fmt.Errorf("tiles: %s: %v", path(tile), err)
		}
		tile.L = 0
	}
	expected, err := tlog.ReadTileData(tile, tree)
	if err != nil {
		return fmt.Errorf("tiles: %s: %v", path(tile), err)
	}
	if !bytes.Equal(data, expected) {
		return fmt.Errorf("tiles: %s holds other hashes than the records have", path(tile))
	}
	return nil
}

// leafHashes is what the tile beside a bundle holds.
func leafHashes(bundle []byte) ([]byte, error) {
	found, err := entries(bundle)
	var hashes []byte
	for _, entry := range found {
		hash := tlog.RecordHash(entry)
		hashes = append(hashes, hash[:]...)
	}
	return hashes, err
}

// cosigned is the newest checkpoint that enough witnesses have seen, where there are witnesses.
const cosigned = "checkpoint.cosigned"

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func checkLog(key, dir, old, proofs string) error {
	tree, err := readCheckpoint(key, filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	holds("checkpoint: signed by the log's key, %d records", tree.N)
	hashes, err := hashEntries(dir, tree.N)
	if err != nil {
		return err
	}
	root, err := rootOf(tree.N, hashes)
	if err != nil {
		return fmt.Errorf("root: %v", err)
	}
	if root != tree.Hash {
		return fmt.Errorf("root: the records have another root than the checkpoint signs")
	}
	holds("root: that of the records in the entry bundles")
	count, err := checkTiles(dir, tree.N, hashes)
	if err != nil {
		return err
	}
	holds("tiles: %d, each with the hashes of the records", count)
	if err := checkPaths(dir, tree, hashes); err != nil {
		return err
	}
	// Opened like any checkpoint: the witnesses' signatures are of unknown keys here, and ignored.
	if file := filepath.Join(dir, cosigned); exists(file) {
		if err := checkExtends(key, dir, file, tree); err != nil {
			return fmt.Errorf("%s: %v", cosigned, err)
		}
	}
	if old != "" {
		if err := checkExtends(key, dir, old, tree); err != nil {
			return err
		}
	}
	if proofs != "" {
		return checkProofs(proofs, hashes, tree.N)
	}
	return nil
}
