package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// checkPaths proves records from the tiles alone, as a client without the entries would.
func checkPaths(dir string, tree tlog.Tree, hashes computed) error {
	served := tlog.TileHashReader(tree, published{dir})
	step := tree.N/64 + 1
	for index := int64(0); index < tree.N; index += step {
		proof, err := tlog.ProveRecord(tree.N, index, served)
		if err != nil {
			return fmt.Errorf("inclusion: record %d: %v", index, err)
		}
		leaf := hashes[tlog.StoredHashIndex(0, index)]
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
			return fmt.Errorf("inclusion: record %d: %v", index, err)
		}
	}
	holds("inclusion: every %d. record, proved from the tiles", step)
	return nil
}

// checkExtends proves from the tiles that the tree extends that of an earlier checkpoint.
func checkExtends(key, dir, old string, tree tlog.Tree) error {
	earlier, err := readCheckpoint(key, old)
	if err != nil {
		return fmt.Errorf("earlier %v", err)
	}
	if earlier.N > tree.N {
		return fmt.Errorf("consistency: the log had %d records and has %d", earlier.N, tree.N)
	}
	if earlier.N == 0 {
		holds("consistency: every tree extends the empty one")
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, earlier.N, tlog.TileHashReader(tree, published{dir}))
	if err != nil {
		return fmt.Errorf("consistency: %v", err)
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, earlier.N, earlier.Hash); err != nil {
		return fmt.Errorf("consistency: %v", err)
	}
	holds("consistency: the tree of %d extends that of %d", tree.N, earlier.N)
	return nil
}

// given are proofs as the log gave them, hashes in hexadecimal.
type given struct {
	Inclusion []struct {
		Index, Size int64
		Proof       []string
	}
	Consistency []struct {
		Old, New int64
		Proof    []string
	}
}

func decode(texts []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, text := range texts {
		var hash tlog.Hash
		raw, err := hex.DecodeString(text)
		if err != nil || copy(hash[:], raw) != len(hash) || len(raw) != len(hash) {
			return nil, fmt.Errorf("%q is no hash", text)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// checkProofs checks proofs that the log gave against the trees that the records have.
func checkProofs(file string, hashes computed, size int64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var list given
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("given: %v", err)
	}
	for _, one := range list.Inclusion {
		proof, err := decode(one.Proof)
		if err != nil || one.Index < 0 || one.Index >= one.Size || one.Size > size {
			return fmt.Errorf("given inclusion: record %d of %d: %v", one.Index, one.Size, err)
		}
		root, _ := rootOf(one.Size, hashes)
		leaf := hashes[tlog.StoredHashIndex(0, one.Index)]
		if err := tlog.CheckRecord(proof, one.Size, root, one.Index, leaf); err != nil {
			return fmt.Errorf("given inclusion: record %d of %d: %v", one.Index, one.Size, err)
		}
	}
	for _, one := range list.Consistency {
		proof, err := decode(one.Proof)
		if err != nil || one.Old < 1 || one.Old > one.New || one.New > size {
			return fmt.Errorf("given consistency: %d to %d: %v", one.Old, one.New, err)
		}
		from, _ := rootOf(one.Old, hashes)
		to, _ := rootOf(one.New, hashes)
		if err := tlog.CheckTree(proof, one.New, to, one.Old, from); err != nil {
			return fmt.Errorf("given consistency: %d to %d: %v", one.Old, one.New, err)
		}
	}
	holds("given: %d inclusion and %d consistency proofs", len(list.Inclusion), len(list.Consistency))
	return nil
}
