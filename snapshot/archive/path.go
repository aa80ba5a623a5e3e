package archive

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Errors that tell why an entry is refused. They are matched with errors.Is; the *EntryError
// around them has the path.
var (
	// ErrUnsafePath says that an entry is absolute, climbs with "..", or has characters that
	// no file name should have.
	ErrUnsafePath = errors.New("unsafe path")
	// ErrUnsafeLink says that a symbolic link may lead out of the archive.
	ErrUnsafeLink = errors.New("symbolic link leads out of the archive or can't be checked")
	// ErrHardLink says that an entry is a hard link, which can't be resolved while streaming.
	ErrHardLink = errors.New("hard link; pack the archive with hard links dereferenced")
	// ErrSparse says that an entry is a file with holes: of these an archive can announce any size
	// without having it.
	ErrSparse = errors.New("sparse file; pack the archive without sparse files")
	// ErrSpecialFile says that an entry is a device, a pipe or of a kind that nobody knows.
	ErrSpecialFile = errors.New("neither a file, a directory nor a symbolic link")
	// ErrDuplicate says that a path occurs twice, or below something that is no directory.
	ErrDuplicate = errors.New("path conflicts with an earlier entry")
)

// EntryError says which entry of an archive is refused, and why.
type EntryError struct {
	// Path is the entry as the archive names it.
	Path string
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *EntryError) Error() string { return fmt.Sprintf("archive entry %s: %v", quote(e.Path), e.Err) }

// Unwrap makes errors.Is see the reason.
func (e *EntryError) Unwrap() error { return e.Err }

// cleanPath normalises the path of an entry. The root itself is ".".
func cleanPath(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "/") || !plainText(name) {
		return "", &EntryError{Path: name, Err: ErrUnsafePath}
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", &EntryError{Path: name, Err: ErrUnsafePath}
		}
	}
	return path.Clean(name), nil
}

// cleanTarget normalises the target of the symbolic link at a normalised path. It allows ".."
// only at the beginning, where it climbs real directories: behind another name it could climb
// from wherever a second link leads to, which no lexical check can see.
func cleanTarget(link, target string) (string, error) {
	if target == "" || strings.HasPrefix(target, "/") || !plainText(target) {
		return "", &EntryError{Path: link, Err: ErrUnsafeLink}
	}
	up, named := 0, false
	for element := range strings.SplitSeq(target, "/") {
		switch element {
		case "", ".":
		case "..":
			if up++; named {
				return "", &EntryError{Path: link, Err: ErrUnsafeLink}
			}
		default:
			named = true
		}
	}
	if up > strings.Count(link, "/") {
		return "", &EntryError{Path: link, Err: ErrUnsafeLink}
	}
	return path.Clean(target), nil
}

// plainText refuses what is read differently by different programs: control characters, invalid
// UTF-8 and the backslash, which Windows and Helm take for a separator.
func plainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}

type entryKind uint8

const (
	kindFile entryKind = iota + 1
	kindDir
	kindImplicitDir
	kindLink
)

// tree remembers which paths an archive has, so that no entry replaces another one or is
// unpacked through a link.
type tree struct {
	limits Limits
	paths  map[string]entryKind
}

// add enters one path. It reports whether the entry is new: a directory may be named twice.
func (t *tree) add(name string, kind entryKind) (bool, error) {
	l := t.limits
	if len(name) > l.PathBytes {
		return false, &LimitError{Err: ErrPathTooLong, Path: name[:min(64, l.PathBytes)] + "…", Max: int64(l.PathBytes)}
	}
	if strings.Count(name, "/") >= l.PathDepth {
		return false, &LimitError{Err: ErrPathTooDeep, Path: name, Max: int64(l.PathDepth)}
	}
	if err := t.addParents(name); err != nil {
		return false, err
	}
	switch known := t.paths[name]; {
	case known == 0:
	case kind == kindDir && known == kindDir:
		return false, nil
	case kind == kindDir && known == kindImplicitDir:
	default:
		return false, &EntryError{Path: name, Err: ErrDuplicate}
	}
	return true, t.put(name, kind)
}

func (t *tree) addParents(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		switch t.paths[dir] {
		case kindDir, kindImplicitDir:
			// Its own parents were entered with it.
			return nil
		case 0:
			if err := t.put(dir, kindImplicitDir); err != nil {
				return err
			}
		default:
			return &EntryError{Path: name, Err: ErrDuplicate}
		}
	}
	return nil
}

// put counts implied directories like entries: they cost the same memory.
func (t *tree) put(name string, kind entryKind) error {
	if _, known := t.paths[name]; !known && len(t.paths) >= t.limits.Entries {
		return &LimitError{Err: ErrTooManyEntries, Max: int64(t.limits.Entries)}
	}
	t.paths[name] = kind
	return nil
}
