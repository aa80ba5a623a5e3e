package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// ErrMalformedTree says that bytes are no git tree.
var ErrMalformedTree = errors.New("malformed git tree")

// Tree returns the entries of a tree that was written. One that was left out is ErrNotFound.
func (w *Writer) Tree(_ context.Context, h plumbing.Hash) ([]object.TreeEntry, error) {
	p, ok := w.objects[h]
	if !ok || p.kind != plumbing.TreeObject {
		return nil, fmt.Errorf("tree %s: %w", h, ErrNotFound)
	}
	content, err := w.read(h, p)
	if err != nil {
		return nil, err
	}
	return DecodeTree(content)
}

// DecodeTree reads the entries of a tree, with the values of their modes as they are, if not with zeros before them: a tree
// that is written again must not change what nobody wanted to change, and go-git's own decoder turns modes of the early days
// into those of today.
func DecodeTree(content []byte) ([]object.TreeEntry, error) {
	var entries []object.TreeEntry
	for len(content) > 0 {
		mode, rest, ok := bytes.Cut(content, []byte(" "))
		if !ok || len(mode) > 7 {
			return nil, fmt.Errorf("entry %d has no mode: %w", len(entries), ErrMalformedTree)
		}
		bits, err := strconv.ParseUint(string(mode), 8, 32)
		if err != nil {
			return nil, fmt.Errorf("entry %d has mode %q: %w", len(entries), mode, ErrMalformedTree)
		}
		name, rest, ok := bytes.Cut(rest, []byte{0})
		if !ok || len(name) == 0 || len(rest) < len(plumbing.ZeroHash) {
			return nil, fmt.Errorf("entry %d is cut off: %w", len(entries), ErrMalformedTree)
		}
		e := object.TreeEntry{Name: string(name), Mode: filemode.FileMode(bits)}
		content = rest[copy(e.Hash[:], rest):]
		entries = append(entries, e)
	}
	return entries, nil
}

// EncodeTree returns the tree of entries, in the order that git wants. Names that are empty, that repeat or that no tree can
// have are ErrMalformedTree.
func EncodeTree(entries []object.TreeEntry) ([]byte, error) {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b object.TreeEntry) int { return CompareEntries(&a, &b) })
	names := make(map[string]struct{}, len(entries))
	var out bytes.Buffer
	for _, e := range entries {
		if e.Name == "" || strings.ContainsAny(e.Name, "/\x00") {
			return nil, fmt.Errorf("tree entry %.100q: a name is not empty and has neither / nor NUL: %w", e.Name, ErrMalformedTree)
		}
		if _, twice := names[e.Name]; twice {
			return nil, fmt.Errorf("tree entry %.100q is there twice: %w", e.Name, ErrMalformedTree)
		}
		names[e.Name] = struct{}{}
		fmt.Fprintf(&out, "%o %s\x00", uint32(e.Mode), e.Name)
		out.Write(e.Hash[:])
	}
	return out.Bytes(), nil
}

// CompareEntries orders the entries of a tree as git does: a folder as if its name ended in a slash.
func CompareEntries(a, b *object.TreeEntry) int {
	n := min(len(a.Name), len(b.Name))
	if c := strings.Compare(a.Name[:n], b.Name[:n]); c != 0 {
		return c
	}
	return int(next(a, n)) - int(next(b, n))
}

// IsFolder tells whether an entry of that mode is a tree, also if the mode has permissions as it must not.
func IsFolder(mode filemode.FileMode) bool { return mode&0o170000 == filemode.Dir }

// next returns the byte of the name of an entry behind n bytes, or what git thinks there.
func next(e *object.TreeEntry, n int) byte {
	switch {
	case n < len(e.Name):
		return e.Name[n]
	case IsFolder(e.Mode):
		return '/'
	}
	return 0
}
