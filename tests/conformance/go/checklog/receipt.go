package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// checkReceipt checks a C2SP tlog-proof file: the record stands at its index in the tree that the log's
// checkpoint, which is in the file, signs.
func checkReceipt(key, proofFile, leafFile string) error {
	text, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	head := strings.SplitN(string(text), "\n\n", 2)
	if len(head) != 2 {
		return fmt.Errorf("receipt: no checkpoint after an empty line")
	}
	lines := strings.Split(head[0], "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("receipt: not a tlog-proof")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		extra := strings.TrimPrefix(lines[0], "extra ")
		if _, err := base64.StdEncoding.Strict().DecodeString(extra); err != nil {
			return fmt.Errorf("receipt: extra: %v", err)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return fmt.Errorf("receipt: no index")
	}
	digits := strings.TrimPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || index < 0 || strconv.FormatInt(index, 10) != digits {
		return fmt.Errorf("receipt: its index is not a decimal number")
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return fmt.Errorf("receipt: proof: %v", err)
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(key, []byte(head[1]))
	if err != nil {
		return err
	}
	holds("checkpoint: signed by the log's key, %d records", tree.N)
	if index >= tree.N {
		return fmt.Errorf("inclusion: the tree has no record %d", index)
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("inclusion: %v", err)
	}
	holds("inclusion: the record stands at %d", index)
	return nil
}
