package mutation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// fileLimit bounds a file that is read whole.
type fileLimit struct {
	bytes int64
	// flag sets the bound.
	flag string
}

func (l fileLimit) error(what string) error {
	return fmt.Errorf("%s is larger than %d bytes, the limit that %s sets", what, l.bytes, l.flag)
}

// fileError says that a file can't be had from an archive, at the next try neither.
type fileError struct{ err error }

// Error implements error.
func (e *fileError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *fileError) Unwrap() error { return e.err }

// findFile reads the whole archive, so that its digest can be checked, and returns one file of it. A name that leads out of
// the archive is taken from its top.
func findFile(r io.Reader, name string, limits archive.Limits, limit fileLimit) ([]byte, error) {
	want := strings.TrimPrefix(path.Clean("/"+name), "/")
	var found []byte
	why := "there is no such file"
	for file, err := range archive.Files(r, limits) {
		if err != nil {
			return nil, err
		}
		if file.Path != want && !strings.HasPrefix(file.Path, want+"/") {
			continue
		}
		switch {
		case file.Path == want && file.Mode&fs.ModeSymlink != 0:
			why = fmt.Sprintf("it is a symbolic link, which is not followed: name the file %q that it points to", file.Target)
		case file.Path != want || !file.Mode.IsRegular():
			why = "it is a directory: name a file in it"
		case file.Size > limit.bytes:
			return nil, &fileError{limit.error(fmt.Sprintf("file %q", want))}
		default:
			if found, err = readFile(file); err != nil {
				return nil, err
			}
		}
	}
	if found == nil {
		return nil, &fileError{fmt.Errorf("file %q: %s", want, why)}
	}
	return found, nil
}

// readFile never returns nil for a file that is there.
func readFile(r io.Reader) ([]byte, error) {
	content := bytes.NewBuffer([]byte{})
	if _, err := io.Copy(content, r); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// judgedFile judges the errors of reading a file from an archive. What is offered under a digest is the same at the next
// try.
func judgedFile(reason string, err error) error {
	var (
		file  *fileError
		entry *archive.EntryError
		limit *archive.LimitError
	)
	if errors.Is(err, archive.ErrNotArchive) || errors.As(err, &file) || errors.As(err, &entry) || errors.As(err, &limit) {
		return lifecycle.Fail(reason, publish.Flagged(err))
	}
	return err
}
