package pack

import (
	"bytes"
	"cmp"
	"crypto/sha1" //nolint:gosec // the checksum of a pack is a SHA-1 by its format
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	headerSize   = 12
	checksumSize = sha1.Size
	version      = 2
)

// objectHeader is the kind and the size of an object, as they are in front of it in a pack: four bits of the size in the
// first byte, seven in each that follows.
func objectHeader(kind plumbing.ObjectType, size int64) []byte {
	b := byte(kind&7)<<4 | byte(size&0x0f)
	size >>= 4
	header := make([]byte, 0, 10)
	for size > 0 {
		header = append(header, b|0x80)
		b = byte(size & 0x7f)
		size >>= 7
	}
	return append(header, b)
}

// Reader returns the pack and its size. With tips it has only what is reachable from them: trees that were in between, or
// a commit that was given up, stay behind. It may be called again, for a push that is repeated, and is valid until Close;
// objects that are written later are not in it.
func (w *Writer) Reader(tips ...plumbing.Hash) (io.ReadCloser, int64, error) {
	places, err := w.places(tips)
	if err != nil {
		return nil, 0, err
	}
	if uint64(len(places)) > math.MaxUint32 {
		return nil, 0, fmt.Errorf("pack of %d objects: a pack has at most %d", len(places), uint32(math.MaxUint32))
	}
	header := append(make([]byte, 0, headerSize), "PACK"...)
	header = binary.BigEndian.AppendUint32(header, version)
	header = binary.BigEndian.AppendUint32(header, uint32(len(places))) //nolint:gosec // bounded above
	size := int64(frame)
	parts := []io.Reader{bytes.NewReader(header)}
	for len(places) > 0 {
		// Neighbours are read as one: usually that is the whole file.
		first, n := places[0].offset, places[0].length
		places = places[1:]
		for len(places) > 0 && places[0].offset == first+n {
			n += places[0].length
			places = places[1:]
		}
		parts = append(parts, io.NewSectionReader(w.file, first, n))
		size += n
	}
	return &reader{body: io.MultiReader(parts...), sum: sha1.New()}, size, nil //nolint:gosec // as above
}

// places returns where the objects of a pack are, in the order of the file.
func (w *Writer) places(tips []plumbing.Hash) ([]place, error) {
	all := make([]place, 0, len(w.objects))
	if len(tips) == 0 {
		for _, p := range w.objects {
			all = append(all, p)
		}
	} else {
		seen, err := w.reachable(tips)
		if err != nil {
			return nil, err
		}
		for h := range seen {
			all = append(all, w.objects[h])
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
	return all, nil
}

// reachable returns the objects of the pack that the tips need. What is not in the pack is on the other side.
func (w *Writer) reachable(tips []plumbing.Hash) (map[plumbing.Hash]struct{}, error) {
	seen := map[plumbing.Hash]struct{}{}
	for todo := slices.Clone(tips); len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		p, ok := w.objects[h]
		if _, done := seen[h]; done || !ok {
			continue
		}
		seen[h] = struct{}{}
		if p.kind == plumbing.BlobObject {
			continue
		}
		content, err := w.read(h, p)
		if err != nil {
			return nil, err
		}
		needs, err := references(p.kind, content)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", p.kind, h, err)
		}
		todo = append(todo, needs...)
	}
	return seen, nil
}

// references returns the objects that an object names.
func references(kind plumbing.ObjectType, content []byte) ([]plumbing.Hash, error) {
	var needs []plumbing.Hash
	if kind == plumbing.TreeObject {
		entries, err := DecodeTree(content)
		for _, e := range entries {
			needs = append(needs, e.Hash)
		}
		return needs, err
	}
	head, _, _ := bytes.Cut(content, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		switch string(name) {
		case "tree", "parent", "object":
			needs = append(needs, plumbing.NewHash(string(value)))
		}
	}
	return needs, nil
}

// reader puts the checksum behind what it has read.
type reader struct {
	body  io.Reader
	sum   hash.Hash
	ended bool
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if r.ended {
		return n, err
	}
	r.sum.Write(p[:n])
	if err == io.EOF { // not errors.Is: an error that wraps io.EOF is no end
		r.body, r.ended = bytes.NewReader(r.sum.Sum(nil)), true
		err = nil
		if n == 0 {
			return r.body.Read(p)
		}
	}
	return n, err
}

// Close implements io.Closer. The file belongs to the Writer.
func (*reader) Close() error { return nil }
