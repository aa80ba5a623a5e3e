package archive

import (
	"hash/maphash"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// tree remembers which paths an archive has, so that no entry replaces another one or is
// unpacked through a link. It keeps hashes, which cost the same however long the paths are; nobody can
// prepare paths that collide, since the seeds are new ones each time.
type tree struct {
	limits Limits
	paths  map[folded]known
	seeds  [2]maphash.Seed
}

// folded is the hash of a path as it looks, whatever its Unicode form.
type folded [2]uint64

// known is a path of the tree.
type known struct {
	kind  entryKind
	exact uint64 // the hash of the path as it is
}

func newTree(l Limits) *tree {
	return &tree{limits: l, paths: map[folded]known{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// add enters one path. It reports whether the entry is new: a directory may be named twice.
func (t *tree) add(name string, kind entryKind) (bool, error) {
	if err := t.addParents(name); err != nil {
		return false, err
	}
	key, k := t.find(name)
	if k.kind != 0 && k.exact != t.exact(name) {
		return false, &EntryError{Path: name, Err: ErrTwin}
	}
	switch {
	case k.kind == 0:
	case kind == kindDir && k.kind == kindDir:
		return false, nil
	case kind == kindDir && k.kind == kindImplicitDir:
	default:
		return false, &EntryError{Path: name, Err: ErrDuplicate}
	}
	return true, t.put(key, name, kind)
}

func (t *tree) addParents(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		key, k := t.find(dir)
		switch {
		case k.kind != 0 && k.exact != t.exact(dir):
			return &EntryError{Path: name, Err: ErrTwin}
		case k.kind == kindDir || k.kind == kindImplicitDir:
			// Its own parents were entered with it.
			return nil
		case k.kind != 0:
			return &EntryError{Path: name, Err: ErrDuplicate}
		}
		if err := t.put(key, dir, kindImplicitDir); err != nil {
			return err
		}
	}
	return nil
}

// put counts implied directories like entries: they cost the same memory.
func (t *tree) put(key folded, name string, kind entryKind) error {
	if _, replaced := t.paths[key]; !replaced && len(t.paths) >= t.limits.Entries {
		return &LimitError{Err: ErrTooManyEntries, Max: int64(t.limits.Entries)}
	}
	t.paths[key] = known{kind: kind, exact: t.exact(name)}
	return nil
}

func (t *tree) exact(name string) uint64 { return maphash.String(t.seeds[0], name) }

func (t *tree) find(name string) (folded, known) {
	name = fold(name)
	key := folded{maphash.String(t.seeds[0], name), maphash.String(t.seeds[1], name)}
	return key, t.paths[key]
}

// fold makes paths equal that look the same, and that some file systems take for the same: those that differ in Unicode form
// or in characters without a shape. Case is left alone: README and readme are two files where Flux unpacks.
func fold(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return name
	}
	return norm.NFD.String(strings.Map(shaped, name))
}

// shaped drops a character that nobody can see.
func shaped(r rune) rune {
	if unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}
