package ctf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Options configure a store.
type Options struct {
	// ManifestBytes bounds manifests, 4 MiB by default.
	ManifestBytes int64
	// IndexBytes bounds the index, 16 MiB by default.
	IndexBytes int64
	// Entries bounds the files of an archive, 100,000 by default.
	Entries int
	// ArchiveBytes bounds what is unpacked from an archive or added to it,
	// 16 GiB by default.
	ArchiveBytes int64
	// TempDir is where compressed archives are unpacked, the default directory
	// of the system if empty.
	TempDir string
	// Room bounds what all archives that share it take of that directory. Nil is
	// no common bound.
	Room *Room
	// OneName refuses files that have several names by hard links, which may be
	// somebody else's.
	OneName bool

	// label is what messages call the store.
	label string
}

func (o Options) withDefaults() Options {
	o.ManifestBytes = or(o.ManifestBytes, 4<<20)
	o.IndexBytes = or(o.IndexBytes, 16<<20)
	o.Entries = or(o.Entries, 100_000)
	o.ArchiveBytes = or(o.ArchiveBytes, 16<<30)
	return o
}

func or[T int | int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// errReadOnly says that a store is for reading.
var errReadOnly = errors.New("it was opened for reading only")

// layout keeps an index and blobs. Its errors name neither itself nor what was
// asked for.
type layout interface {
	// view returns what is there now, and what is no older than a moment if it
	// is to be fresh. It must be done with in the end. Its errors name the store.
	view(ctx context.Context, fresh bool) (view, error)
	// update replaces the index by what the function makes of it.
	update(ctx context.Context, change func(*index) *index) error
	// add stores a blob, whose reader verifies it. A size below zero is not known.
	add(ctx context.Context, d digest.Digest, size int64, content io.Reader) error
	// close ends the use, and stores what is not stored yet, or forgets it.
	close(commit bool) error
}

// view is an index with the blobs that it leads to.
type view interface {
	// index returns the index, which must not be changed.
	index() (*index, error)
	// open opens a blob, unverified; without it the error is fs.ErrNotExist. It
	// can be read when the view is done with, too.
	open(d digest.Digest) (io.ReadCloser, int64, error)
	// blobNames returns the digests of all blobs in order.
	blobNames() ([]digest.Digest, error)
	// done ends the use of the view.
	done()
}

// Store is a directory or an archive in the common transport format. It is safe
// for concurrent use.
type Store struct {
	path    string
	options Options
	layout  layout
}

// Open opens a directory or an archive that exists. What it is tells its
// content, not its name.
func Open(path string, o Options) (*Store, error) {
	return o.open(path, func() (spot, error) { return spotOf(path) })
}

// OpenBelow opens a directory or an archive below another directory. No link is
// followed on the way. The name is separated by slashes, and the label is what
// messages call the store.
func OpenBelow(root *os.Root, name, label string, o Options) (*Store, error) {
	return o.open(label, func() (spot, error) { return below(root, name, false) })
}

func (o Options) open(path string, find func() (spot, error)) (*Store, error) {
	o = o.withDefaults()
	o.label = path
	at, err := find()
	if err != nil {
		return nil, explain(path, err)
	}
	info, err := at.tell()
	if err != nil {
		return nil, errors.Join(explain(path, err), at.dir.Close())
	}
	s := &Store{path: path, options: o}
	if info.IsDir() {
		var root *os.Root
		root, err = step(at.dir, at.name, false)
		if err = errors.Join(err, at.dir.Close()); err == nil {
			s.layout, err = openDirectory(root, o)
		}
	} else {
		s.layout, err = openArchive(at, o)
	}
	if err != nil {
		return nil, explain(path, err)
	}
	return s, nil
}

// MissingError says that there is no archive. It matches oci.ErrNotFound.
type MissingError struct {
	// Path is the archive.
	Path string
	// Err is the cause; it may be nil.
	Err error
}

// Error says what to do.
func (e *MissingError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("transport archive %s not found: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("transport archive %s not found; check the path, or create it", e.Path)
}

// Is makes the error match oci.ErrNotFound.
func (e *MissingError) Is(target error) bool { return target == oci.ErrNotFound }

// Unwrap returns the cause.
func (e *MissingError) Unwrap() error { return e.Err }

func explain(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &MissingError{Path: path}
	}
	return fmt.Errorf("transport archive %s: %w", path, err)
}

// Create opens a directory or an archive, which it makes if there is none. A
// name that ends in .tar, .tgz or .tar.gz is that of an archive, which appears
// when the store is closed.
func Create(path string, o Options) (*Store, error) {
	s, err := Open(path, o)
	if !creatable(path, err) {
		return s, err
	}
	if !packed(path) {
		if err := os.MkdirAll(path, 0o750); err != nil {
			return nil, fmt.Errorf("create transport archive: %w", err)
		}
	}
	return o.create(context.Background(), path, func() (spot, error) { return spotOf(path) })
}

// CreateBelow is to OpenBelow what Create is to Open. It makes the folders on the
// way.
func CreateBelow(ctx context.Context, root *os.Root, name, label string, o Options) (*Store, error) {
	s, err := OpenBelow(root, name, label, o)
	if !creatable(name, err) {
		return s, err
	}
	return o.create(ctx, label, func() (spot, error) { return below(root, name, true) })
}

func (o Options) create(ctx context.Context, path string, find func() (spot, error)) (*Store, error) {
	o = o.withDefaults()
	o.label = path
	s := &Store{path: path, options: o}
	at, err := find()
	switch {
	case err != nil:
	case packed(at.name):
		s.layout, err = newArchive(at, !strings.HasSuffix(strings.ToLower(at.name), ".tar"), o)
	default:
		var root *os.Root
		root, err = step(at.dir, at.name, true)
		if err = errors.Join(err, at.dir.Close()); err == nil {
			s.layout, err = fillDirectory(ctx, root, o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create transport archive %s: %w", path, oci.ExplainDisk(err))
	}
	return s, nil
}

// creatable tells whether an error of opening a store says that there is none yet.
func creatable(path string, err error) bool {
	return errors.Is(err, oci.ErrNotFound) || errors.Is(err, errNoIndex) && !packed(path)
}

// packed tells whether a name is that of an archive.
func packed(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar.gz")
}

// Receive reads an archive, which may be compressed, from a stream into temporary
// files. It can't be changed. The label is what messages call it.
func Receive(r io.Reader, label string, o Options) (*Store, error) {
	o = o.withDefaults()
	o.label = label
	a, err := receive(r, o)
	if err != nil {
		return nil, fmt.Errorf("transport archive %s: %w", label, err)
	}
	return &Store{path: label, options: o, layout: a}, nil
}

// Path returns where the store is.
func (s *Store) Path() string { return s.path }

// Packed tells whether the store is an archive, which is written when it is
// closed, and no directory.
func (s *Store) Packed() bool {
	_, ok := s.layout.(*archive)
	return ok
}

// Close ends the use of the store, and writes an archive that was changed. What
// was opened from the store cannot be read any longer. If it returns an error,
// the archive is what it was before.
func (s *Store) Close() error { return s.end(true) }

// Discard ends the use of the store, and leaves an archive as it was before.
// Nothing is taken out of a directory again.
func (s *Store) Discard() error { return s.end(false) }

func (s *Store) end(commit bool) error {
	if err := s.layout.close(commit); err != nil {
		return fmt.Errorf("close transport archive %s: %w", s.path, oci.ExplainDisk(err))
	}
	return nil
}

// Blobs returns the digests of all blobs, manifests among them, in order. They
// are what somebody who has the store needs not be sent again.
func (s *Store) Blobs(ctx context.Context) ([]digest.Digest, error) {
	v, err := s.layout.view(ctx, true)
	if err != nil {
		return nil, err
	}
	defer v.done()
	all, err := v.blobNames()
	if err != nil {
		return nil, fmt.Errorf("list the blobs of transport archive %s: %w", s.path, err)
	}
	return all, nil
}

// Repository returns one of the repositories, which may still be empty.
func (s *Store) Repository(name string) (oci.Storage, error) {
	if err := oci.CheckPath(name); err != nil {
		return nil, err
	}
	return &repository{store: s, name: name}, nil
}

// openBlob opens a blob with its digest checked at the end. If it is missing, it
// is looked for once more in what is there now.
func (s *Store) openBlob(ctx context.Context, object string, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	var missing error
	for _, fresh := range []bool{false, true} {
		v, err := s.layout.view(ctx, fresh)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", object, err)
		}
		rc, have, err := s.openIn(v, object, d, size, also...)
		v.done()
		if !errors.Is(err, oci.ErrNotFound) {
			return rc, have, err
		}
		missing = err
	}
	return nil, 0, missing
}

func (s *Store) openIn(v view, object string, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	if err := d.Validate(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", object, err)
	}
	rc, have, err := v.open(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%s: %w; an archive lacks what was left out for those who have it already", object, oci.ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", object, err)
	}
	if size >= 0 && have != size {
		rc.Close()
		return nil, 0, &oci.DigestMismatchError{Object: object, Want: fmt.Sprintf("%d bytes of %s", size, d), Got: fmt.Sprintf("%d bytes", have)}
	}
	verified, err := oci.Verify(rc, object, have, append([]digest.Digest{d}, also...)...)
	if err != nil {
		rc.Close()
		return nil, 0, err
	}
	return verified, have, nil
}

// has returns the size of a blob, and whether it is there.
func (s *Store) has(ctx context.Context, d digest.Digest) (int64, bool, error) {
	if err := d.Validate(); err != nil {
		return 0, false, err
	}
	v, err := s.layout.view(ctx, false)
	if err != nil {
		return 0, false, err
	}
	defer v.done()
	rc, size, err := v.open(d)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	rc.Close()
	return size, true, nil
}

// addBlob stores a blob unless it is there already.
func (s *Store) addBlob(ctx context.Context, object string, d digest.Digest, size int64, open func() (io.ReadCloser, error)) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	if have, ok, err := s.has(ctx, d); err != nil || ok && (size < 0 || size == have) {
		if err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
		return nil
	}
	return s.putBlob(ctx, object, d, size, open)
}

// putBlob stores a blob in place of the one that may be there.
func (s *Store) putBlob(ctx context.Context, object string, d digest.Digest, size int64, open func() (io.ReadCloser, error)) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	verified, err := oci.Verify(content, object, size, d)
	if err != nil {
		return err
	}
	if err := s.layout.add(ctx, d, size, stream.Interruptible(ctx, verified)); err != nil {
		return fmt.Errorf("%s: %w", object, oci.ExplainDisk(err))
	}
	return nil
}
