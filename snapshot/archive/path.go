package archive

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Errors that tell why an entry is refused. They are matched with errors.Is; the *EntryError
// around them has the path.
var (
	// ErrUnsafePath says that an entry is absolute, climbs with "..", or has characters that
	// no file name should have: control characters, invisible ones, and the backslash.
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
	// ErrTwin says that a path looks like an earlier one, and is the same file where a file system
	// normalises names: which of them is there depends on who unpacks the archive.
	ErrTwin = errors.New("path looks like an earlier one and differs in Unicode form only; rename one of them")
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
func cleanPath(name string, l Limits) (string, error) {
	if name == "" || leaves(name) || !plainText(name) {
		return "", &EntryError{Path: name, Err: ErrUnsafePath}
	}
	clean := path.Clean(name)
	if len(clean) > l.PathBytes {
		return "", &LimitError{Err: ErrPathTooLong, Path: clean, Max: int64(l.PathBytes)}
	}
	if strings.Count(clean, "/") >= l.PathDepth {
		return "", &LimitError{Err: ErrPathTooDeep, Path: clean, Max: int64(l.PathDepth)}
	}
	if likeness := norm.NFKC.String(clean); likeness != clean && (leaves(likeness) || strings.ContainsRune(likeness, '\\')) {
		return "", &EntryError{Path: name, Err: ErrUnsafePath} // for a program that normalises names
	}
	return clean, nil
}

// leaves tells whether a path may lead out of the directory that it is unpacked in.
func leaves(name string) bool {
	if strings.HasPrefix(name, "/") {
		return true
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return true
		}
	}
	return false
}

// cleanTarget normalises the target of the symbolic link at a normalised path. It allows ".."
// only at the beginning, where it climbs real directories: behind another name it could climb
// from wherever a second link leads to, which no lexical check can see.
func cleanTarget(link, target string, l Limits) (string, error) {
	if len(target) > l.PathBytes {
		return "", &LimitError{Err: ErrPathTooLong, Path: link, Max: int64(l.PathBytes)}
	}
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

// plainText refuses what is read differently by different programs, or by people: control characters,
// those that are invisible or turn the direction of the text, invalid UTF-8 and the backslash, which Windows and
// Helm take for a separator.
func plainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '\\' || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

type entryKind uint8

const (
	kindFile entryKind = iota + 1
	kindDir
	kindImplicitDir
	kindLink
)
