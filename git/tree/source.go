package tree

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

// Source has trees. Modes are given as they are in the tree, see pack.DecodeTree.
type Source interface {
	Tree(ctx context.Context, h plumbing.Hash) ([]object.TreeEntry, error)
}

// empty is the tree without entries; every repository has it, whether it is stored or not.
var empty = plumbing.ComputeHash(plumbing.TreeObject, nil)

// Empty returns the tree without entries. A repository holds no empty folders: to graft this one is to have no folder.
func Empty() plumbing.Hash { return empty }

// Combine returns a Source that has the trees of w and those of have, which may be nil.
func Combine(w *pack.Writer, have Source) Source { return combined{w, have} }

type combined struct {
	w    *pack.Writer
	have Source
}

// Tree implements Source.
func (c combined) Tree(ctx context.Context, h plumbing.Hash) ([]object.TreeEntry, error) {
	entries, err := c.w.Tree(ctx, h)
	if c.have == nil || !errors.Is(err, pack.ErrNotFound) {
		return entries, err
	}
	return c.have.Tree(ctx, h)
}

// load returns the entries of a tree. No tree has none.
func load(ctx context.Context, have Source, h plumbing.Hash) ([]object.TreeEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h.IsZero() || h == empty {
		return nil, nil
	}
	entries, err := have.Tree(ctx, h)
	if err != nil {
		return nil, fmt.Errorf("read git tree %s: %w", h, err)
	}
	return entries, nil
}

// find returns the entry of a name.
func find(entries []object.TreeEntry, name string) (object.TreeEntry, bool) {
	for _, e := range entries {
		if e.Name == name {
			return e, true
		}
	}
	return object.TreeEntry{}, false
}

// At returns the tree at a path of the tree root, and zero if there is none: because nothing is there, or something that is
// no folder.
func At(ctx context.Context, have Source, root plumbing.Hash, subPath string) (plumbing.Hash, error) {
	parts, err := folder(subPath)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	for _, part := range parts {
		entries, err := load(ctx, have, root)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		e, ok := find(entries, part)
		if !ok || !pack.IsFolder(e.Mode) {
			return plumbing.ZeroHash, nil
		}
		root = e.Hash
	}
	return root, nil
}

// folder returns the parts of the path of a folder in the repository.
func folder(subPath string) ([]string, error) {
	if subPath == "" {
		return nil, nil
	}
	return split(subPath, DefaultLimits())
}
