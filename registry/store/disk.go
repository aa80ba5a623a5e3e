package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is what the store does to a file system that decides what is there after the power was cut. Everything that changes the
// directory goes through it, so that tests can take away what was not synced. Reading does not: whoever
// gets a blob gets the *os.File.
type disk interface {
	syncer
	// CreateTemp makes a file to be written, as os.CreateTemp does.
	CreateTemp(dir, pattern string) (diskFile, error)
	// Mkdir makes a directory that only the store may read.
	Mkdir(path string) error
	// Rename moves a file, over one that is there.
	Rename(from, to string) error
	// Link gives a file a second name, unless that is taken.
	Link(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// RemoveAll removes what is there with all that is in it.
	RemoveAll(path string) error
	// Commit calls write, which changes and syncs the database in the file.
	Commit(path string, write func() error) error
}

// syncer makes durable what is there.
type syncer interface {
	// SyncFile returns when the bytes of a file are on the disk, whoever has written them.
	SyncFile(path string) error
	// SyncDir returns when the names in a directory are on the disk.
	SyncDir(path string) error
}

// diskFile is a file that is being written.
type diskFile interface {
	io.ReadWriteSeeker
	io.Closer
	Name() string
	// Sync returns when the bytes of the file are on the disk. That its name is there is another matter.
	Sync() error
}

// osDisk is the file system of the machine.
type osDisk struct{}

func (osDisk) CreateTemp(dir, pattern string) (diskFile, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osDisk) Mkdir(path string) error                   { return os.Mkdir(path, 0o700) }
func (osDisk) Rename(from, to string) error              { return os.Rename(from, to) }
func (osDisk) Link(from, to string) error                { return os.Link(from, to) }
func (osDisk) Remove(path string) error                  { return os.Remove(path) }
func (osDisk) RemoveAll(path string) error               { return os.RemoveAll(path) }
func (osDisk) Commit(_ string, write func() error) error { return write() }

func (osDisk) SyncFile(path string) error { return syncPath(path) }
func (osDisk) SyncDir(path string) error  { return syncPath(path) }

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// noSync leaves out every fsync of another disk.
type noSync struct{ disk }

func (u noSync) CreateTemp(dir, pattern string) (diskFile, error) {
	f, err := u.disk.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (noSync) SyncFile(string) error { return nil }
func (noSync) SyncDir(string) error  { return nil }

type unsyncedFile struct{ diskFile }

func (unsyncedFile) Sync() error { return nil }

// makeDir makes a directory and the ones above it, and returns when those that it made have their names on the disk.
func makeDir(d disk, path string) error {
	err := d.Mkdir(path)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err = makeDir(d, filepath.Dir(path)); err == nil {
			err = d.Mkdir(path)
		}
	}
	if err == nil {
		return syncDir(d, filepath.Dir(path))
	}
	if info, stat := os.Stat(path); stat == nil && info.IsDir() {
		return nil
	}
	return err
}

func syncDir(d disk, path string) error {
	if err := d.SyncDir(path); err != nil {
		return fmt.Errorf("sync directory %s: %w", path, err)
	}
	return nil
}
