// Package scratch keeps content in temporary files that have no names, so that
// nothing is left of them whatever becomes of the process.
package scratch

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Room bounds what several files take together.
type Room interface {
	// Take takes so many bytes more, or says why there is no room for them.
	Take(bytes int64) error
	// Give gives bytes back.
	Give(bytes int64)
}

// File is a temporary file. It is safe for concurrent use as far as os.File is, and
// must be closed. What goes wrong with it is neither the fault of where content comes
// from nor of where it goes: errors of writing have the side oci.Here.
type File struct {
	file *os.File
	left string // its name, where files in use keep it
	room Room
	next int64 // where Write goes on

	mu    sync.Mutex
	end   int64 // how far the file is written
	taken int64 // of the room
}

// Create makes a file in a directory, the default directory of the system if empty.
// Its name, as long as it has one, begins with a prefix. What the file has of the room,
// which may be nil, is given back when it is closed.
func Create(dir, prefix string, room Room) (*File, error) {
	f, err := os.CreateTemp(dir, prefix)
	if err != nil {
		return nil, here(err)
	}
	s := &File{file: f, room: room}
	if err := os.Remove(f.Name()); err != nil {
		s.left = f.Name()
	}
	return s, nil
}

func here(err error) error {
	if err == nil {
		return nil
	}
	return &oci.SideError{Side: oci.Here, Err: fmt.Errorf("temporary file: %w", oci.ExplainDisk(err))}
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.next)
	f.next += int64(n)
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.grow(offset + int64(len(p))); err != nil {
		return 0, here(err)
	}
	n, err := f.file.WriteAt(p, offset)
	return n, here(err)
}

// grow takes the room for a file of so many bytes. To make room others may have to be
// closed, so no lock is held meanwhile.
func (f *File) grow(size int64) error {
	f.mu.Lock()
	before := f.end
	f.end = max(size, before)
	more := f.end - before
	f.mu.Unlock()
	if f.room == nil || more == 0 {
		return nil
	}
	err := f.room.Take(more)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.end = min(f.end, before)
		return err
	}
	f.taken += more
	return nil
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, offset int64) (int, error) { return f.file.ReadAt(p, offset) }

func (f *File) give() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room != nil {
		f.room.Give(f.taken)
		f.taken = 0
	}
}

// Close gives back the room that the file takes.
func (f *File) Close() error {
	err := f.file.Close()
	f.give()
	if f.left != "" {
		err = errors.Join(err, os.Remove(f.left))
	}
	return err
}
