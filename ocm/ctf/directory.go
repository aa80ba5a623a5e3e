package ctf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// partialPrefix is what the names of files begin with that are being written.
const partialPrefix = ".partial-"

// directory is a store that is not packed. What is there is looked up each time,
// because other programs may add to the directory.
type directory struct {
	root    *os.Root
	options Options

	mu sync.Mutex
	// known is the index as it was read last, from a file that was this one.
	known   *index
	info    fs.FileInfo
	read    time.Time
	unsaved bool // blobs whose names are not synchronised
}

// openDirectory opens a directory, which it closes when it fails.
func openDirectory(root *os.Root, o Options) (*directory, error) {
	d := &directory{root: root, options: o}
	if _, err := d.index(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// errNoIndex says that what is there was not made by anybody who knows the format.
var errNoIndex = fmt.Errorf("it has no %s, so it is no transport archive", indexFile)

// fillDirectory makes a store of a directory that is empty, or in which somebody
// was about to make one.
func fillDirectory(ctx context.Context, root *os.Root, o Options) (*directory, error) {
	d := &directory{root: root, options: o}
	if err := errors.Join(d.vacant(), d.makeBlobs()); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	l, err := d.takeLock(ctx)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	// Somebody else may have been quicker.
	if _, err = d.root.Lstat(indexFile); errors.Is(err, fs.ErrNotExist) {
		err = d.writeIndex(&index{SchemaVersion: schemaVersion})
	}
	if err := errors.Join(err, l.release()); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return d, nil
}

// vacant returns an error if there is something of others in the directory.
func (d *directory) vacant() error {
	if _, err := d.root.Lstat(indexFile); err == nil {
		return nil
	}
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	names, err := f.Readdirnames(1000)
	if errors.Is(err, io.EOF) {
		return nil
	}
	others := func(name string) bool {
		return name != blobtar.Folder && name != indexFile && name != lockName(indexFile) && !strings.HasPrefix(name, partialPrefix)
	}
	if err == nil && slices.ContainsFunc(names, others) {
		err = errNoIndex
	}
	return err
}

func (d *directory) makeBlobs() error {
	err := d.root.Mkdir(blobtar.Folder, 0o750)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (d *directory) takeLock(ctx context.Context) (*lock, error) {
	l, err := waitLock(ctx, d.root, indexFile)
	if l == nil && err == nil {
		err = &BusyError{Path: d.options.label}
	}
	return l, err
}

func (d *directory) view(context.Context, bool) (view, error) { return d, nil }

func (d *directory) done() {}

// settled is after how long a file is taken for the same as before if its times
// and its size are: clocks of file systems are coarse.
const settled = 3 * time.Second

func (d *directory) index() (*index, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now, err := d.root.Lstat(indexFile); err == nil && d.info != nil && !unlike(d.info, now) && d.read.Sub(now.ModTime()) > settled {
		return d.known, nil
	}
	read := time.Now()
	f, info, err := openRegular(d.root, indexFile, d.options)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoIndex
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if size := info.Size(); size > d.options.IndexBytes {
		return nil, fmt.Errorf("%s is %w: %d bytes, at most %d are read", indexFile, oci.ErrTooLarge, size, d.options.IndexBytes)
	}
	data, err := io.ReadAll(io.LimitReader(f, d.options.IndexBytes))
	if err != nil {
		return nil, err
	}
	i, err := parseIndex(data)
	if err == nil {
		d.known, d.info, d.read = i, info, read
	}
	return i, err
}

// update changes the index under a lock, so that nothing of another writer is
// lost.
func (d *directory) update(ctx context.Context, change func(*index) *index) error {
	l, err := d.takeLock(ctx)
	if err != nil {
		return err
	}
	i, err := d.index()
	if err == nil {
		err = d.saveBlobs()
	}
	if err == nil {
		err = d.writeIndex(change(i))
	}
	return errors.Join(err, l.release())
}

// saveBlobs synchronises the names of the blobs before the index leads to them.
func (d *directory) saveBlobs() error {
	d.mu.Lock()
	unsaved := d.unsaved
	d.unsaved = false
	d.mu.Unlock()
	if !unsaved {
		return nil
	}
	err := syncNames(d.root, blobtar.Folder)
	if err != nil {
		d.mu.Lock()
		d.unsaved = true // for the next one who tries
		d.mu.Unlock()
	}
	return err
}

func (d *directory) writeIndex(i *index) error {
	data, err := i.encode()
	if err != nil {
		return err
	}
	if int64(len(data)) > d.options.IndexBytes {
		return fmt.Errorf("%s is %w: %d bytes, at most %d are read", indexFile, oci.ErrTooLarge, len(data), d.options.IndexBytes)
	}
	if err := sweep(d.root, partialPrefix, partialAge); err != nil {
		return err
	}
	err = replace(d.root, indexFile, partialPrefix, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
	return errors.Join(err, syncNames(d.root, "."))
}

func (d *directory) open(dgst digest.Digest) (io.ReadCloser, int64, error) {
	f, info, err := openRegular(d.root, blobtar.NameOf(dgst), d.options)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (d *directory) add(_ context.Context, dgst digest.Digest, _ int64, content io.Reader) error {
	if err := d.makeBlobs(); err != nil {
		return err
	}
	err := replace(d.root, blobtar.NameOf(dgst), partialPrefix, func(f *os.File) error {
		_, err := stream.Copy(f, content)
		return err
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsaved = true
	return err
}

func (d *directory) close(commit bool) error {
	var err error
	if commit {
		err = d.saveBlobs()
	}
	return errors.Join(err, d.root.Close())
}

// blobNames returns the digests of all blobs in order.
func (d *directory) blobNames() ([]digest.Digest, error) {
	f, err := d.root.Open(blobtar.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	var all []digest.Digest
	for {
		names, err := f.Readdirnames(1000)
		for _, name := range names {
			if dgst, ok := blobtar.DigestOf(blobtar.Folder + "/" + name); ok {
				all = append(all, dgst)
			}
		}
		switch {
		case len(all) > d.options.Entries:
			return nil, fmt.Errorf("it is %w: more than %d blobs", oci.ErrTooLarge, d.options.Entries)
		case errors.Is(err, io.EOF):
			slices.Sort(all)
			return all, nil
		case err != nil:
			return nil, err
		}
	}
}
