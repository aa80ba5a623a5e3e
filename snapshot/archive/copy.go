package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrNotArchive says that the source is neither a tar archive nor a gzipped one. Nothing was
// written when Copy returns it.
var ErrNotArchive = errors.New("content is no tar archive")

// Editor changes files of an archive while it is copied.
type Editor interface {
	// Wants tells whether the regular file at that normalised path is to be edited.
	Wants(path string) bool
	// Edit returns the new content of the file. It may return content itself.
	Edit(path string, content []byte) ([]byte, error)
}

// Stats tells what Copy did.
type Stats struct {
	// Entries is the number of entries written.
	Entries int
	// Files is the number of regular files among them.
	Files int
	// Edited is the number of files that went through the Editor.
	Edited int
	// Bytes is the size of the content of all files written.
	Bytes int64
}

// Copy reads a tar or tar.gz archive from src and writes it to dst in canonical form, its
// entries in the order of src. Files that edit asks for are replaced by what it makes of
// them; a nil edit copies everything. Copy reads src to its end. On any error dst holds an
// incomplete archive that must be thrown away.
//
// Errors are ErrNotArchive, *LimitError, *EntryError, or those of src, dst and edit, wrapped.
func Copy(dst io.Writer, src io.Reader, edit Editor, l Limits) (Stats, error) {
	r, err := newReader(src, l.withDefaults())
	if err != nil {
		return Stats{}, err
	}
	c := copier{reader: r, writer: newWriter(dst), edit: edit}
	for {
		e, err := r.next()
		if err == io.EOF { //nolint:errorlint // an error that wraps io.EOF is no end
			return c.stats, c.writer.close()
		}
		if err != nil {
			return c.stats, err
		}
		if err := c.copy(e); err != nil {
			return c.stats, err
		}
	}
}

type copier struct {
	reader *reader
	writer *writer
	edit   Editor
	stats  Stats
}

func (c *copier) copy(e entry) error {
	c.stats.Entries++
	switch e.kind {
	case kindDir:
		return c.writer.directory(e.path)
	case kindLink:
		return c.writer.link(e.path, e.target)
	case kindFile, kindImplicitDir:
	}
	c.stats.Files++
	if c.edit != nil && c.edit.Wants(e.path) {
		return c.editFile(e)
	}
	c.stats.Bytes += e.size
	if err := c.writer.file(e.path, e.executable, e.size, c.reader.tar); err != nil {
		return c.reader.fail(err)
	}
	return nil
}

func (c *copier) editFile(e entry) error {
	limit := c.reader.limits.EditBytes
	if e.size > limit {
		return &LimitError{Err: ErrEditTooLarge, Path: e.path, Max: limit}
	}
	content := make([]byte, e.size)
	if _, err := io.ReadFull(c.reader.tar, content); err != nil {
		return c.reader.fail(err)
	}
	content, err := c.edit.Edit(e.path, content)
	if err != nil {
		return fmt.Errorf("edit %s: %w", quote(e.path), err)
	}
	if int64(len(content)) > limit {
		return &LimitError{Err: ErrEditTooLarge, Path: e.path, Max: limit}
	}
	c.stats.Edited++
	c.stats.Bytes += int64(len(content))
	return c.writer.file(e.path, e.executable, int64(len(content)), bytes.NewReader(content))
}

// quote keeps control characters of foreign paths out of messages and logs, and those from being as long as a path
// may be.
func quote(path string) string {
	const most = 128
	if len(path) > most {
		return strconv.Quote(path[:most]) + "…"
	}
	return strconv.Quote(path)
}
