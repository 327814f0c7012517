// Checklog checks a message log that a hub published, with golang.org/x/mod alone: it knows nothing of
// the hub's code, only the C2SP documents signed-note, tlog-checkpoint, tlog-tiles and tlog-proof.
//
//	checklog -key KEY -dir DIR [-old CHECKPOINT] [-proofs FILE]
//	checklog -key KEY -proof FILE -leaf FILE
//
// It prints each step that holds. Exit code 0: all hold; 1: one does not; 2: usage.
//
// Built in GOPATH mode against Debian's golang-golang-x-mod-dev:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o checklog .
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	key := flag.String("key", "", "verifier key of the log (C2SP signed-note)")
	dir := flag.String("dir", "", "directory that the log publishes (C2SP tlog-tiles)")
	old := flag.String("old", "", "earlier checkpoint of the log, which must be extended")
	proofs := flag.String("proofs", "", "JSON file of proofs that the log gave out")
	proof := flag.String("proof", "", "receipt of one record (C2SP tlog-proof)")
	leaf := flag.String("leaf", "", "that record's bytes")
	flag.Parse()
	var err error
	switch {
	case *key != "" && *dir != "" && *proof == "" && flag.NArg() == 0:
		err = checkLog(*key, *dir, *old, *proofs)
	case *key != "" && *dir == "" && *proof != "" && *leaf != "":
		err = checkReceipt(*key, *proof, *leaf)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Println("REFUSED", err)
		os.Exit(1)
	}
	fmt.Println("VERIFIED")
}

func holds(format string, arguments ...interface{}) {
	fmt.Printf("holds   "+format+"\n", arguments...)
}
