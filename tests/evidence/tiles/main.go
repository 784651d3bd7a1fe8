// An archived log, read as any client of C2SP tlog-tiles would: the checkpoint, the tiles that it needs, the entry bundles.
//
// Every leaf is proved to be in the tree of the checkpoint by tiles alone, and the tree to begin with that of each size before.
// Prints how many leaves were proved, or exits 1 with a reason.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

type directory string

func (d directory) Height() int { return height }

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles reads tiles under the names that C2SP gives them, which say no height.
func (d directory) ReadTiles(tiles []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range tiles {
		name := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
		data, err := os.ReadFile(filepath.Join(string(d), name))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (d directory) entries(n, width int64) (found [][]byte) {
	path := tlog.Tile{H: height, L: 0, N: n, W: int(width)}.Path()
	name := "tile/entries/" + strings.TrimPrefix(path, fmt.Sprintf("tile/%d/0/", height))
	file, err := os.Open(filepath.Join(string(d), name))
	check(err)
	defer file.Close()
	plain, err := gzip.NewReader(file)
	check(err)
	data, err := io.ReadAll(plain)
	check(err)
	for reader := bytes.NewReader(data); reader.Len() > 0; {
		var length uint16
		check(binary.Read(reader, binary.BigEndian, &length))
		leaf := make([]byte, length)
		_, err := io.ReadFull(reader, leaf)
		check(err)
		found = append(found, leaf)
	}
	return found
}

func main() {
	d := directory(os.Args[1])
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	signed, err := os.ReadFile(filepath.Join(string(d), "checkpoint"))
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	tree := tlog.Tree{N: size, Hash: root}
	hashes := tlog.TileHashReader(tree, d)
	proved := int64(0)
	for n := int64(0); n<<height < size; n++ {
		width := size - n<<height
		if width > 1<<height {
			width = 1 << height
		}
		for _, leaf := range d.entries(n, width) {
			proof, err := tlog.ProveRecord(size, proved, hashes)
			check(err)
			check(tlog.CheckRecord(proof, size, root, proved, tlog.RecordHash(leaf)))
			proved++
		}
	}
	for old := int64(1); old <= size; old += 97 {
		before, err := tlog.TreeHash(old, hashes)
		check(err)
		proof, err := tlog.ProveTree(size, old, hashes)
		check(err)
		check(tlog.CheckTree(proof, size, root, old, before))
	}
	fmt.Printf("%d of %d\n", proved, size)
}
