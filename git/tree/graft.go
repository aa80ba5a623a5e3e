package tree

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

// Graft puts the tree leaf at a path of the tree root, which is zero for a repository without commits, and returns the new
// root; its trees are written to w. With prune the folder is leaf and nothing else, and no folder if leaf is Empty; without,
// what leaf has is added to the folder or replaces files and links there. Everything else stays as it is: if nothing changes,
// the root that comes back is the one that was given. A path through something that is no folder is a *PathError, and so is
// a file in the place of a folder or of a submodule, which only prune may remove.
func Graft(ctx context.Context, w *pack.Writer, have Source, root plumbing.Hash, subPath string, leaf plumbing.Hash, prune bool) (plumbing.Hash, error) {
	parts, err := folder(subPath)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	g := grafter{w: w, have: Combine(w, have), leaf: leaf, prune: prune}
	grafted, err := g.graft(ctx, root, parts, 0)
	if err != nil || grafted != empty {
		return grafted, err
	}
	// A commit needs its tree, also that of nothing.
	return g.write(nil, nil)
}

type grafter struct {
	w     *pack.Writer
	have  Source
	leaf  plumbing.Hash
	prune bool
}

// graft returns the tree at of the first depth parts with the leaf in it.
func (g *grafter) graft(ctx context.Context, at plumbing.Hash, parts []string, depth int) (plumbing.Hash, error) {
	if depth == len(parts) {
		if g.prune {
			return orEmpty(g.leaf), nil
		}
		return g.merge(ctx, at, g.leaf, parts)
	}
	entries, err := load(ctx, g.have, at)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	name := parts[depth]
	old, exists := find(entries, name)
	if exists && !pack.IsFolder(old.Mode) {
		return plumbing.ZeroHash, &PathError{
			Path: strings.Join(parts, "/"),
			Why:  shown(strings.Join(parts[:depth+1], "/")) + " is " + kind(old.Mode) + " in the repository and no folder; choose another path, or remove it there",
		}
	}
	grafted, err := g.graft(ctx, old.Hash, parts, depth+1)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	e := object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: grafted}
	if exists {
		e.Mode = old.Mode
	}
	return g.replace(at, entries, e, parts[:depth])
}

// replace returns the tree at, which has entries, with one of them replaced, added or removed.
func (g *grafter) replace(at plumbing.Hash, entries []object.TreeEntry, e object.TreeEntry, path []string) (plumbing.Hash, error) {
	changed := set(slices.Clone(entries), e)
	if slices.Equal(changed, entries) {
		return orEmpty(at), nil
	}
	if len(changed) == 0 {
		return empty, nil
	}
	return g.write(changed, path)
}

// set replaces the entry of a name, adds it, or removes it if it is an empty folder, which git has not.
func set(entries []object.TreeEntry, e object.TreeEntry) []object.TreeEntry {
	i := slices.IndexFunc(entries, func(old object.TreeEntry) bool { return old.Name == e.Name })
	gone := pack.IsFolder(e.Mode) && (e.Hash == empty || e.Hash.IsZero())
	switch {
	case gone && i < 0:
		return entries
	case gone:
		return slices.Delete(entries, i, i+1)
	case i < 0:
		return append(entries, e)
	}
	entries[i] = e
	return entries
}

// merge returns the tree old with all that added has in it. It calls itself for folders of both, so as often as a path of
// added has parts.
func (g *grafter) merge(ctx context.Context, old, added plumbing.Hash, path []string) (plumbing.Hash, error) {
	if old == added || added == empty {
		return orEmpty(old), nil
	}
	have, err := load(ctx, g.have, old)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	want, err := load(ctx, g.have, added)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if len(have) == 0 {
		return added, nil
	}
	places := make(map[string]int, len(have))
	for i, e := range have {
		places[e.Name] = i
	}
	merged := slices.Clone(have)
	for _, e := range want {
		i, exists := places[e.Name]
		if !exists {
			merged = append(merged, e)
			continue
		}
		if merged[i], err = g.join(ctx, have[i], e, append(slices.Clone(path), e.Name)); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	if slices.Equal(merged, have) {
		return old, nil
	}
	return g.write(merged, path)
}

// write writes a tree of which parts may be those of the repository, whoever wrote them.
func (g *grafter) write(entries []object.TreeEntry, path []string) (plumbing.Hash, error) {
	h, err := write(g.w, entries)
	if errors.Is(err, pack.ErrMalformedTree) {
		return h, &PathError{Path: cmp.Or(strings.Join(path, "/"), "."), Why: "the folder in the repository is malformed; repair it there", Err: err}
	}
	return h, bounded(err)
}

// join returns the entry that takes the place of old when e is put there.
func (g *grafter) join(ctx context.Context, old, e object.TreeEntry, path []string) (object.TreeEntry, error) {
	switch {
	case pack.IsFolder(old.Mode) && pack.IsFolder(e.Mode):
		h, err := g.merge(ctx, old.Hash, e.Hash, path)
		return object.TreeEntry{Name: e.Name, Mode: old.Mode, Hash: h}, err
	case pack.IsFolder(old.Mode) || old.Mode == filemode.Submodule:
		return object.TreeEntry{}, &PathError{
			Path: strings.Join(path, "/"),
			Why:  "it is " + kind(old.Mode) + " in the repository and " + kind(e.Mode) + " in the content; remove it there, or set prune so that the folder is replaced",
		}
	}
	return e, nil
}

func orEmpty(h plumbing.Hash) plumbing.Hash {
	if h.IsZero() {
		return empty
	}
	return h
}

// kind says in words what an entry is.
func kind(mode filemode.FileMode) string {
	switch {
	case pack.IsFolder(mode):
		return "a folder"
	case mode == filemode.Symlink:
		return "a symbolic link"
	case mode == filemode.Submodule:
		return "a submodule"
	}
	return "a file"
}
