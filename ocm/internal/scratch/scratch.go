// Package scratch keeps content in temporary files that have no names, so that
// nothing is left of them whatever becomes of the process.
package scratch

import (
	"errors"
	"fmt"
	"os"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// File is a temporary file. It is safe for concurrent use as far as os.File is, and
// must be closed. What goes wrong with it is neither the fault of where content comes
// from nor of where it goes: errors of writing have the side oci.Here.
type File struct {
	file *os.File
	left string // its name, where files in use keep it
}

// Create makes a file in a directory, the default directory of the system if empty.
// Its name, as long as it has one, begins with a prefix.
func Create(dir, prefix string) (*File, error) {
	f, err := os.CreateTemp(dir, prefix)
	if err != nil {
		return nil, here(err)
	}
	s := &File{file: f}
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
	n, err := f.file.Write(p)
	return n, here(err)
}

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(p []byte, offset int64) (int, error) {
	n, err := f.file.WriteAt(p, offset)
	return n, here(err)
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, offset int64) (int, error) { return f.file.ReadAt(p, offset) }

// Close gives back the room that the file takes.
func (f *File) Close() error {
	err := f.file.Close()
	if f.left != "" {
		err = errors.Join(err, os.Remove(f.left))
	}
	return err
}
