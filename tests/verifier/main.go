// Checks a log of the exchange with code that nobody here wrote: golang.org/x/mod/sumdb, the verifier of the Go module database.
// Only the cosignature (C2SP tlog-cosignature), which that library does not know, is checked by some lines of ours.
//
//	verifier KEYS TILES [RECEIPT ENTRY]... [consistency FILE]...
//
// KEYS has one verifier key a line: the log's first, then its witnesses', all of whom must have cosigned. TILES is what `log tiles`
// writes: every entry is hashed again and the root compared. RECEIPT and ENTRY are what `log prove` writes. FILE of a
// consistency proof has the earlier size, the earlier root, and the hashes, one a line.
//
// Exit codes: 0 everything checks, 1 something does not, 2 wrong use.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, "verifier: "+format+"\n", arguments...)
	os.Exit(1)
}

func read(path string) []byte {
	bytes, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	return bytes
}

// witness verifies cosignatures: the time in 8 bytes, then Ed25519 over a line with the time, and the note's text.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, []byte(signed), signature[8:])
}

func newWitness(text string) witness {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		fail("not a verifier key: %s", text)
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		fail("not a witness's key: %s", text)
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	id := binary.BigEndian.Uint32(hash[:])
	if fmt.Sprintf("%08x", id) != parts[1] {
		fail("the key's id is not that of its name and key: %s", text)
	}
	return witness{parts[0], id, ed25519.PublicKey(key[1:])}
}

// open verifies a checkpoint by all keys, and gives its tree.
func open(bytes []byte, keys []note.Verifier) tlog.Tree {
	opened, err := note.Open(bytes, note.VerifierList(keys...))
	if err != nil {
		fail("checkpoint: %v", err)
	}
	if len(opened.Sigs) != len(keys) {
		fail("checkpoint: signed by %d of %d", len(opened.Sigs), len(keys))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != keys[0].Name() {
		fail("checkpoint: not of %s", keys[0].Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("checkpoint: %v", err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("checkpoint: %v", err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// bundle is the n-th file of entries of a tree.
func bundle(tiles string, n, size int64) []byte {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width := size % 256; width != 0 && size/256 == n {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return read(filepath.Join(tiles, "tile/entries", path))
}

// hashAll hashes every entry of the bundles.
func hashAll(tiles string, tree tlog.Tree) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	var number int64
	for n := int64(0); n*256 < tree.N; n++ {
		for rest := bundle(tiles, n, tree.N); len(rest) > 0; number++ {
			if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
				fail("bundle %d: cut off", n)
			}
			length := int(binary.BigEndian.Uint16(rest))
			hashes, err := tlog.StoredHashes(number, rest[2:2+length], reader)
			if err != nil {
				fail("entry %d: %v", number, err)
			}
			stored, rest = append(stored, hashes...), rest[2+length:]
		}
	}
	// Before any hash is asked for: a length that was changed makes more entries or fewer of the same bytes.
	if number != tree.N {
		fail("%d entries, and not %d", number, tree.N)
	}
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil || root != tree.Hash {
		fail("the entries are not those of the checkpoint")
	}
}

func parseHashes(lines []string) []tlog.Hash {
	var hashes []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			fail("%v", err)
		}
		hashes = append(hashes, hash)
	}
	return hashes
}

func checkReceipt(receipt, entry string, keys []note.Verifier) {
	head, checkpoint, found := strings.Cut(string(read(receipt)), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("%s: not a receipt", receipt)
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		fail("%s: %v", receipt, err)
	}
	tree := open([]byte(checkpoint), keys)
	proof := tlog.RecordProof(parseHashes(lines[2:]))
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(read(entry))); err != nil {
		fail("%s: %v", receipt, err)
	}
}

func checkConsistency(path string, tree tlog.Tree) {
	lines := strings.Split(strings.TrimSpace(string(read(path))), "\n")
	if len(lines) < 2 {
		fail("%s: not a consistency proof", path)
	}
	size, err := strconv.ParseInt(lines[0], 10, 64)
	if err != nil {
		fail("%s: %v", path, err)
	}
	hashes := parseHashes(lines[1:])
	if err := tlog.CheckTree(tlog.TreeProof(hashes[1:]), tree.N, tree.Hash, size, hashes[0]); err != nil {
		fail("%s: %v", path, err)
	}
}

func main() {
	if len(os.Args) < 3 || len(os.Args)%2 == 0 {
		fmt.Fprintln(os.Stderr, "usage: verifier KEYS TILES [RECEIPT ENTRY]... [consistency FILE]...")
		os.Exit(2)
	}
	var keys []note.Verifier
	for i, text := range strings.Fields(string(read(os.Args[1]))) {
		if i > 0 {
			keys = append(keys, newWitness(text))
			continue
		}
		log, err := note.NewVerifier(text)
		if err != nil {
			fail("%v", err)
		}
		keys = append(keys, log)
	}
	tree := open(read(filepath.Join(os.Args[2], "checkpoint")), keys)
	hashAll(os.Args[2], tree)
	for i := 3; i < len(os.Args); i += 2 {
		if os.Args[i] == "consistency" {
			checkConsistency(os.Args[i+1], tree)
		} else {
			checkReceipt(os.Args[i], os.Args[i+1], keys)
		}
	}
	fmt.Printf("%d entries, %d checked apart\n", tree.N, (len(os.Args)-3)/2)
}
