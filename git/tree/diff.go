package tree

import (
	"cmp"
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

const (
	// maxVisited is how many entries a comparison looks at: a few small trees that name each other can stand for more files
	// than anyone can count.
	maxVisited = 1 << 20
	// maxNested is how deep it goes.
	maxNested = 512
)

// File is a file, a symbolic link or a submodule that differs between two trees.
type File struct {
	// Path is where it is.
	Path string
	// Mode is what it is now, or was if it is gone.
	Mode filemode.FileMode
	// Old is what it held before; zero if it was not there.
	Old plumbing.Hash
	// New is what it holds now; zero if it is gone.
	New plumbing.Hash
}

// Changes is what differs between two trees, in the order of git.
type Changes struct {
	// Added, Modified and Removed are the files, up to the number that was asked for.
	Added, Modified, Removed []File
	// Total is how many differ, also those that are not listed.
	Total int
	// Partial says that there are even more: the trees are too large to be compared to the end.
	Partial bool
}

// Diff compares two trees, of which each may be zero for none, and lists at most limit files. Files that were moved are
// removed and added.
func Diff(ctx context.Context, have Source, from, to plumbing.Hash, limit int) (Changes, error) {
	d := differ{have: have, limit: limit}
	err := d.trees(ctx, from, to, "", 0)
	return d.changes, err
}

type differ struct {
	have    Source
	limit   int
	visited int
	changes Changes
}

// trees compares the trees of a folder, whose path ends in a slash.
func (d *differ) trees(ctx context.Context, from, to plumbing.Hash, path string, depth int) error {
	if orEmpty(from) == orEmpty(to) || d.changes.Partial {
		return nil
	}
	if depth > maxNested {
		d.changes.Partial = true
		return nil
	}
	before, err := sorted(ctx, d.have, from)
	if err != nil {
		return err
	}
	after, err := sorted(ctx, d.have, to)
	if err != nil {
		return err
	}
	for len(before)+len(after) > 0 && !d.changes.Partial {
		if d.visited++; d.visited > maxVisited {
			d.changes.Partial = true
			break
		}
		var old, now object.TreeEntry
		var order int
		switch {
		case len(before) == 0:
			order = 1
		case len(after) == 0:
			order = -1
		default:
			order = pack.CompareEntries(&before[0], &after[0])
		}
		if order <= 0 {
			old, before = before[0], before[1:]
		}
		if order >= 0 {
			now, after = after[0], after[1:]
		}
		if err := d.entries(ctx, old, now, path, depth); err != nil {
			return err
		}
	}
	return nil
}

// entries compares two entries, of which one may be none. They are both folders or none of them is: git's order tells apart
// a file and a folder of one name.
func (d *differ) entries(ctx context.Context, old, now object.TreeEntry, path string, depth int) error {
	switch {
	case old.Mode == now.Mode && old.Hash == now.Hash:
	case pack.IsFolder(old.Mode) || pack.IsFolder(now.Mode):
		return d.trees(ctx, old.Hash, now.Hash, path+cmp.Or(old.Name, now.Name)+"/", depth+1)
	case old.Name == "":
		d.list(&d.changes.Added, File{Path: path + now.Name, Mode: now.Mode, New: now.Hash})
	case now.Name == "":
		d.list(&d.changes.Removed, File{Path: path + old.Name, Mode: old.Mode, Old: old.Hash})
	default:
		d.list(&d.changes.Modified, File{Path: path + now.Name, Mode: now.Mode, Old: old.Hash, New: now.Hash})
	}
	return nil
}

func (d *differ) list(files *[]File, f File) {
	if d.changes.Total < d.limit {
		*files = append(*files, f)
	}
	d.changes.Total++
}

// sorted returns the entries of a tree in the order of git, whoever wrote it.
func sorted(ctx context.Context, have Source, h plumbing.Hash) ([]object.TreeEntry, error) {
	entries, err := load(ctx, have, h)
	if err != nil {
		return nil, err
	}
	compare := func(a, b object.TreeEntry) int { return pack.CompareEntries(&a, &b) }
	if !slices.IsSortedFunc(entries, compare) {
		entries = slices.SortedFunc(slices.Values(entries), compare)
	}
	return entries, nil
}
