package ctf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// blobFolder is where the blobs are.
const blobFolder = "blobs"

// directory is a store that is not packed. The index is read each time, because
// other programs may add to the directory.
type directory struct {
	root    *os.Root
	options Options
	mu      sync.Mutex // held while the index is changed
}

func openDirectory(path string, o Options) (*directory, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &directory{root: root, options: o}
	if _, err := d.index(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

func newDirectory(path string, o Options) (*directory, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &directory{root: root, options: o}
	if err := errors.Join(root.Mkdir(blobFolder, 0o750), d.writeIndex(&index{SchemaVersion: schemaVersion})); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// maxReplaced bounds how often a file is opened again because it was replaced in
// between.
const maxReplaced = 100

// file opens a regular file. Links lead out of what the directory is, and other
// kinds may block.
func (d *directory) file(name string) (*os.File, int64, error) {
	for range maxReplaced {
		before, err := d.root.Lstat(name)
		if err != nil {
			return nil, 0, err
		}
		if !before.Mode().IsRegular() {
			return nil, 0, fmt.Errorf("%s is no regular file", name)
		}
		f, err := d.root.Open(name)
		if err != nil {
			return nil, 0, err
		}
		after, err := f.Stat()
		if err == nil && os.SameFile(before, after) {
			return f, after.Size(), nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, fmt.Errorf("%s is replaced all the time", name)
}

func (d *directory) index() (*index, error) {
	f, size, err := d.file(indexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it has no %s, so it is no transport archive", indexFile)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if size > d.options.IndexBytes {
		return nil, fmt.Errorf("%s is %w: %d bytes, at most %d are read", indexFile, oci.ErrTooLarge, size, d.options.IndexBytes)
	}
	data, err := io.ReadAll(io.LimitReader(f, d.options.IndexBytes))
	if err != nil {
		return nil, err
	}
	return parseIndex(data)
}

func (d *directory) update(change func(*index) *index) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, err := d.index()
	if err != nil {
		return err
	}
	return d.writeIndex(change(i))
}

func (d *directory) writeIndex(i *index) error {
	data, err := i.encode()
	if err != nil {
		return err
	}
	return d.write(indexFile, strings.NewReader(string(data)))
}

func (d *directory) open(dgst digest.Digest) (io.ReadCloser, int64, error) {
	return d.file(blobName(dgst))
}

func (d *directory) add(dgst digest.Digest, content io.Reader) error {
	if err := d.root.Mkdir(blobFolder, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.write(blobName(dgst), content)
}

// write replaces a file as a whole, so that no reader sees half of it.
func (d *directory) write(name string, content io.Reader) error {
	partial := ".partial-" + unique()
	f, err := d.root.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.root.Rename(partial, name)
	}
	if err != nil {
		return errors.Join(err, d.root.Remove(partial))
	}
	return nil
}

func (d *directory) close() error { return d.root.Close() }

func blobName(d digest.Digest) string {
	return blobFolder + "/" + strings.Replace(d.String(), ":", ".", 1)
}
