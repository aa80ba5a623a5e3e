package ctf

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
)

// archive is a store that is packed. Its blobs are in the archive itself, or in
// a temporary file if it is compressed or they were added.
type archive struct {
	path       string
	compressed bool
	options    Options
	file       *os.File // nil if the archive is new or compressed
	spool      *spool   // nil until it is needed

	mu      sync.RWMutex
	list    *index
	blobs   map[digest.Digest]extent
	changed bool
	closed  bool
}

// extent is where a blob is.
type extent struct {
	file   *os.File
	offset int64
	size   int64
}

func newArchive(path string, compressed bool, o Options) *archive {
	return &archive{
		path: path, compressed: compressed, options: o, changed: true,
		list: &index{SchemaVersion: schemaVersion}, blobs: map[digest.Digest]extent{},
	}
}

func openArchive(path string, o Options) (*archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &archive{path: path, options: o, file: f, blobs: map[digest.Digest]extent{}}
	magic := make([]byte, 2)
	if _, err := io.ReadFull(f, magic); err != nil {
		return nil, errors.Join(fmt.Errorf("it is no archive: %w", err), a.release())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, a.release())
	}
	a.compressed = bytes.Equal(magic, []byte{0x1f, 0x8b})
	if err := a.scan(); err != nil {
		return nil, errors.Join(err, a.release())
	}
	if a.list == nil {
		return nil, errors.Join(fmt.Errorf("it has no %s, so it is no transport archive", indexFile), a.release())
	}
	return a, nil
}

func (a *archive) index() (*index, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.list, nil
}

func (a *archive) update(change func(*index) *index) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list, a.changed = change(a.list), true
	return nil
}

func (a *archive) open(d digest.Digest) (io.ReadCloser, int64, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	e, ok := a.blobs[d]
	switch {
	case a.closed:
		return nil, 0, fs.ErrClosed
	case !ok:
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(e.reader()), e.size, nil
}

func (e extent) reader() io.Reader { return io.NewSectionReader(e.file, e.offset, e.size) }

func (a *archive) add(d digest.Digest, content io.Reader) error {
	s, err := a.openSpool()
	if err != nil {
		return err
	}
	e, err := s.add(content)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blobs[d], a.changed = e, true
	return nil
}

func (a *archive) openSpool() (*spool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, fs.ErrClosed
	}
	if a.spool == nil {
		s, err := newSpool(a.options.TempDir, a.options.ArchiveBytes)
		if err != nil {
			return nil, err
		}
		a.spool = s
	}
	return a.spool, nil
}

func (a *archive) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	var err error
	if a.changed {
		err = a.write()
	}
	return errors.Join(err, a.release())
}

func (a *archive) release() error {
	var err error
	if a.file != nil {
		err = a.file.Close()
	}
	if a.spool != nil {
		err = errors.Join(err, a.spool.close())
	}
	return err
}

// write replaces the archive as a whole.
func (a *archive) write() error {
	list, err := a.list.encode()
	if err != nil {
		return err
	}
	return replace(a.path, a.compressed, func(tw *tar.Writer) error {
		if err := writeFile(tw, indexFile, int64(len(list)), bytes.NewReader(list)); err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: blobFolder, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: epoch}); err != nil {
			return err
		}
		for _, d := range slices.Sorted(maps.Keys(a.blobs)) {
			e := a.blobs[d]
			if err := writeFile(tw, blobName(d), e.size, e.reader()); err != nil {
				return err
			}
		}
		return nil
	})
}
