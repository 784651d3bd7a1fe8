// The notes, checkpoints and proofs of this project, read by the packages that Go itself verifies modules with.
//
// Reads one JSON document from standard input and exits 1 with a reason at the first thing that does not verify.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type given struct {
	Vkey             string
	Old, New         string // checkpoints
	OldSize, NewSize int64
	Leaf             []byte
	Index            int64
	Inclusion        [][]byte
	Consistency      [][]byte
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func hashes(from [][]byte) (found []tlog.Hash) {
	for _, one := range from {
		var hash tlog.Hash
		copy(hash[:], one)
		found = append(found, hash)
	}
	return found
}

func root(signed string, size int64, verifier note.Verifier) tlog.Hash {
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() || lines[1] != fmt.Sprint(size) {
		check(fmt.Errorf("the checkpoint is of another log or size: %q", lines))
	}
	hash, err := tlog.ParseHash(lines[2])
	check(err)
	return hash
}

func main() {
	var in given
	check(json.NewDecoder(os.Stdin).Decode(&in))
	verifier, err := note.NewVerifier(in.Vkey)
	check(err)
	old, current := root(in.Old, in.OldSize, verifier), root(in.New, in.NewSize, verifier)
	check(tlog.CheckRecord(hashes(in.Inclusion), in.NewSize, current, in.Index, tlog.RecordHash(in.Leaf)))
	check(tlog.CheckTree(hashes(in.Consistency), in.NewSize, current, in.OldSize, old))
}
