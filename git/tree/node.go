package tree

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

// node is a file, a link or a folder of content that is being read.
type node struct {
	mode     filemode.FileMode
	hash     plumbing.Hash
	children map[string]*node
}

// enter returns the folder at a path and makes what is missing of it.
func (b *builder) enter(path string, parts []string) (*node, error) {
	at := b.root
	for _, part := range parts {
		next := at.children[part]
		switch {
		case next == nil:
			if isModules(part) || isAttributes(part) {
				return nil, &PathError{Path: path, Why: "git refuses a folder of that name; rename it"}
			}
			next = &node{mode: filemode.Dir}
			if err := b.put(path, at, part, next); err != nil {
				return nil, err
			}
		case next.mode != filemode.Dir:
			return nil, &PathError{Path: path, Why: "a folder of it is a file or a link in another entry; remove one of them"}
		}
		at = next
	}
	return at, nil
}

// put enters a node. The same file may come twice: archives that were put together from several do that.
func (b *builder) put(path string, parent *node, name string, n *node) error {
	if old := parent.children[name]; old != nil {
		switch {
		case old.mode == filemode.Dir:
			return &PathError{Path: path, Why: "another entry has a folder of that name; remove one of them"}
		case old.mode != n.mode || old.hash != n.hash:
			return &PathError{Path: path, Why: "it is in the archive twice with different content; remove one of them"}
		}
		return nil
	}
	if b.count++; b.count > b.limits.Files {
		return b.tooMany()
	}
	if parent.children == nil {
		parent.children = map[string]*node{}
	}
	// The name is part of a longer string, which need not be kept with it.
	parent.children[strings.Clone(name)] = n
	if n.mode != filemode.Dir {
		b.built.Files++
	}
	return nil
}

// finish writes the trees.
func (b *builder) finish() (Built, error) {
	var err error
	b.built.Tree, err = b.store(b.root)
	if err != nil {
		return Built{}, bounded(err)
	}
	return b.built, nil
}

// store writes the tree of a folder. Its folders come before it, and those without files not at all. It calls itself as often
// as a path has parts, which Limits.Depth bounds.
func (b *builder) store(dir *node) (plumbing.Hash, error) {
	entries := make([]object.TreeEntry, 0, len(dir.children))
	// In order, so that the same content makes the same pack.
	for _, name := range slices.Sorted(maps.Keys(dir.children)) {
		n := dir.children[name]
		if n.mode == filemode.Dir {
			h, err := b.store(n)
			if err != nil {
				return plumbing.ZeroHash, err
			}
			if h == empty {
				continue
			}
			n.hash = h
		}
		entries = append(entries, object.TreeEntry{Name: name, Mode: n.mode, Hash: n.hash})
	}
	if len(entries) == 0 && dir != b.root {
		return empty, nil
	}
	return write(b.w, entries)
}

// write writes a tree.
func write(w *pack.Writer, entries []object.TreeEntry) (plumbing.Hash, error) {
	content, err := pack.EncodeTree(entries)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return w.Object(plumbing.TreeObject, content)
}
