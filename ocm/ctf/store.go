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

// layout keeps an index and blobs. Its errors name neither itself nor what was
// asked for.
type layout interface {
	// index returns the index, which must not be changed.
	index() (*index, error)
	// update replaces the index by what the function makes of it.
	update(change func(*index) *index) error
	// open opens a blob, unverified; without it the error is fs.ErrNotExist.
	open(d digest.Digest) (io.ReadCloser, int64, error)
	// add stores a blob, whose reader verifies it.
	add(d digest.Digest, content io.Reader) error
	// close ends the use, and stores what is not stored yet.
	close() error
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
	s := &Store{path: path, options: o.withDefaults()}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("transport archive %s: %w; check the path, or create it", path, oci.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("transport archive: %w", err)
	case info.IsDir():
		s.layout, err = openDirectory(path, s.options)
	case info.Mode().IsRegular():
		s.layout, err = openArchive(path, s.options)
	default:
		err = errors.New("it is neither a file nor a directory")
	}
	if err != nil {
		return nil, fmt.Errorf("transport archive %s: %w", path, err)
	}
	return s, nil
}

// Create opens a directory or an archive, which it makes if there is none. A
// name that ends in .tar, .tgz or .tar.gz is that of an archive, which appears
// when the store is closed.
func Create(path string, o Options) (*Store, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return Open(path, o)
	}
	s := &Store{path: path, options: o.withDefaults()}
	var err error
	switch name := strings.ToLower(filepath.Base(path)); {
	case strings.HasSuffix(name, ".tar"):
		s.layout = newArchive(path, false, s.options)
	case strings.HasSuffix(name, ".tgz"), strings.HasSuffix(name, ".tar.gz"):
		s.layout = newArchive(path, true, s.options)
	default:
		s.layout, err = newDirectory(path, s.options)
	}
	if err != nil {
		return nil, fmt.Errorf("create transport archive %s: %w", path, err)
	}
	return s, nil
}

// Path returns where the store is.
func (s *Store) Path() string { return s.path }

// Close ends the use of the store, and writes an archive that was changed. What
// was opened from the store cannot be read any longer.
func (s *Store) Close() error {
	if err := s.layout.close(); err != nil {
		return fmt.Errorf("close transport archive %s: %w", s.path, err)
	}
	return nil
}

// Repository returns one of the repositories, which may still be empty.
func (s *Store) Repository(name string) (oci.Storage, error) {
	if err := oci.CheckPath(name); err != nil {
		return nil, err
	}
	return &repository{store: s, name: name}, nil
}

// openBlob opens a blob with its digest checked at the end.
func (s *Store) openBlob(object string, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	if err := d.Validate(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", object, err)
	}
	rc, have, err := s.layout.open(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%s: %w", object, oci.ErrNotFound)
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

// addBlob stores a blob unless it is there already.
func (s *Store) addBlob(ctx context.Context, object string, d digest.Digest, size int64, open func() (io.ReadCloser, error)) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	rc, _, err := s.layout.open(d)
	if err == nil {
		rc.Close()
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
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
	if err := s.layout.add(d, &interruptible{ctx: ctx, r: verified}); err != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	return nil
}

// interruptible ends when its context does.
type interruptible struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to know
	r   io.Reader
}

// Read implements io.Reader.
func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
