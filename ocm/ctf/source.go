package ctf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// FileSource is a directory or an archive below a directory. No link is followed
// below that.
type FileSource struct {
	// Dir is the directory, and Name the path below it, separated by slashes.
	Dir, Name string
	// Label is what messages call it.
	Label string
	// Keep is how long it is kept open while nobody reads it.
	Keep time.Duration
}

var _ Source = FileSource{}

// Path implements Source.
func (s FileSource) Path() string { return s.Label }

// Fresh implements Source. A look costs little.
func (FileSource) Fresh() time.Duration { return 0 }

// Idle implements Source.
func (s FileSource) Idle() time.Duration { return s.Keep }

// Open implements Source. A file is another version if its size, its time or
// itself is another.
func (s FileSource) Open(_ context.Context, known Version, o Options) (*Store, Version, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("transport archive %s: folder of archives: %w", s.Label, err)
	}
	defer root.Close() //nolint:errcheck // it was only read
	info, err := tellBelow(root, s.Name)
	if err != nil {
		return nil, nil, explain(s.Label, err)
	}
	if before, ok := known.(fs.FileInfo); ok && same(before, info) {
		return nil, known, nil
	}
	store, err := OpenBelow(root, s.Name, s.Label, o)
	if err != nil {
		return nil, nil, err
	}
	// It may have been replaced between the two, or be written to.
	if a, ok := store.layout.(*archive); ok {
		info = a.was
	}
	return store, info, nil
}

// same tells whether an archive, or a directory, is the one that was opened. What
// is in a directory is looked up each time.
func same(before, now fs.FileInfo) bool {
	if now.IsDir() {
		return os.SameFile(before, now)
	}
	return !unlike(before, now)
}

func tellBelow(root *os.Root, name string) (fs.FileInfo, error) {
	at, err := below(root, name, false)
	if err != nil {
		return nil, err
	}
	info, err := at.tell()
	return info, errors.Join(err, at.dir.Close())
}

// UpdateBelow calls a function with a store to write to, which is made if there is
// none. What the function wrote to an archive is there if it returns no error, and
// nothing of it is if it does.
func UpdateBelow(ctx context.Context, root *os.Root, name, label string, o Options, write func(*Store) error) (err error) {
	store, err := CreateBelow(ctx, root, name, label, o)
	if err != nil {
		return err
	}
	written := false
	defer func() {
		if !written { // after a panic, too: others wait for the lock
			err = errors.Join(err, store.Discard())
		}
	}()
	if err := write(store); err != nil {
		return err
	}
	written = true
	return store.Close()
}
