package ctf

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
)

// archive is a store that is packed. Its blobs are in the archive itself, or in
// temporary files if it is compressed or they were added.
type archive struct {
	at         spot
	compressed bool
	options    Options
	was        fs.FileInfo // nil if there was none
	file       *os.File    // nil if the archive is new or compressed

	mu      sync.RWMutex
	spools  []*spool // the first is for blobs whose size is known
	list    *index
	blobs   map[digest.Digest]extent
	changed bool
	closed  bool
	lock    *lock // held by who changes it
}

// extent is where a blob is.
type extent struct {
	file   io.ReaderAt
	offset int64
	size   int64
}

func (e extent) reader() io.Reader { return io.NewSectionReader(e.file, e.offset, e.size) }

// newArchive is an archive that appears when it is closed.
func newArchive(at spot, compressed bool, o Options) (*archive, error) {
	a := &archive{
		at: at, compressed: compressed, options: o, changed: true,
		list: &index{SchemaVersion: schemaVersion}, blobs: map[digest.Digest]extent{},
	}
	if err := a.writable(); err != nil {
		return nil, errors.Join(err, a.release())
	}
	return a, nil
}

// openArchive opens the archive at a spot, which it closes when it fails.
func openArchive(at spot, o Options) (*archive, error) {
	f, info, err := openRegular(at.dir, at.name, o)
	if err != nil {
		return nil, errors.Join(err, at.dir.Close())
	}
	a := &archive{at: at, options: o, was: info, file: f, blobs: map[digest.Digest]extent{}}
	magic := make([]byte, len(gzipMagic))
	if _, err := io.ReadFull(f, magic); err != nil {
		return nil, errors.Join(fmt.Errorf("it is no archive: %w", err), a.release())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, a.release())
	}
	if a.compressed = bytes.Equal(magic, gzipMagic); a.compressed {
		err = a.scanStream(bufio.NewReaderSize(f, 128<<10))
		// It is in the temporary file now.
		err = errors.Join(err, f.Close())
		a.file = nil
	} else {
		err = a.scanFile(info.Size())
	}
	return a.scanned(err)
}

// receive reads an archive from a stream. It can't be changed.
func receive(r io.Reader, o Options) (*archive, error) {
	a := &archive{options: o, blobs: map[digest.Digest]extent{}}
	buffered := bufio.NewReaderSize(r, 128<<10)
	magic, err := buffered.Peek(len(gzipMagic))
	if err != nil {
		return nil, fmt.Errorf("it is no archive: %w", err)
	}
	a.compressed = bytes.Equal(magic, gzipMagic)
	return a.scanned(a.scanStream(buffered))
}

func (a *archive) scanned(err error) (*archive, error) {
	if err == nil && a.list == nil {
		err = errNoIndex
	}
	if err != nil {
		return nil, errors.Join(err, a.release())
	}
	return a, nil
}

func (a *archive) view(context.Context, bool) (view, error) { return a, nil }

func (a *archive) done() {}

func (a *archive) index() (*index, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.closed {
		return nil, fs.ErrClosed
	}
	return a.list, nil
}

func (a *archive) update(_ context.Context, change func(*index) *index) error {
	if err := a.writable(); err != nil {
		return err
	}
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

func (a *archive) add(_ context.Context, d digest.Digest, size int64, content io.Reader) error {
	if err := a.writable(); err != nil {
		return err
	}
	e, err := a.keep(content, size)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return fs.ErrClosed
	}
	a.blobs[d], a.changed = e, true
	return nil
}

// writable takes the lock of the archive, if there is none yet, and makes sure
// that nothing of somebody else would be lost.
func (a *archive) writable() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return fs.ErrClosed
	case a.lock != nil:
		return nil
	case a.at.dir == nil:
		return errReadOnly
	}
	l, err := takeLock(a.at.dir, a.at.name)
	if err != nil {
		return err
	}
	if l == nil {
		return &BusyError{Path: a.options.label}
	}
	now, err := a.at.dir.Lstat(a.at.name)
	if errors.Is(err, fs.ErrNotExist) {
		now, err = nil, nil
	}
	if err == nil && ((now == nil) != (a.was == nil) || now != nil && unlike(a.was, now)) {
		err = fmt.Errorf("it was %w", ErrChanged)
	}
	if err != nil {
		return errors.Join(err, l.release())
	}
	a.lock = l
	return nil
}

// keep puts a blob into a temporary file.
func (a *archive) keep(content io.Reader, size int64) (extent, error) {
	if size < 0 {
		return a.keepUnknown(content)
	}
	s, err := a.openSpool(false)
	if err != nil {
		return extent{}, err
	}
	return s.add(content, size)
}

// keepUnknown puts a blob whose size is not known into a file of its own, as
// others are added at the same time.
func (a *archive) keepUnknown(content io.Reader) (extent, error) {
	s, err := a.openSpool(true)
	if err != nil {
		return extent{}, err
	}
	n, err := stream.Copy(&part{spool: s, end: s.max}, stream.Bounded(content, s.max, unpackedName))
	return extent{file: s.file, size: n}, err
}

// openSpool returns a temporary file, the common one or another.
func (a *archive) openSpool(own bool) (*spool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, fs.ErrClosed
	}
	if len(a.spools) == 0 {
		common, err := newSpool(a.options)
		if err != nil {
			return nil, err
		}
		a.spools = append(a.spools, common)
	}
	if !own {
		return a.spools[0], nil
	}
	s, err := newSpool(a.options)
	if err != nil {
		return nil, err
	}
	a.spools = append(a.spools, s)
	return s, nil
}

func (a *archive) close(commit bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	var err error
	if commit && a.changed {
		err = a.write()
	}
	return errors.Join(err, a.release())
}

func (a *archive) release() error {
	a.closed = true
	err := a.lock.release()
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
	}
	for _, s := range a.spools {
		err = errors.Join(err, s.close())
	}
	if a.at.dir != nil {
		err = errors.Join(err, a.at.dir.Close())
	}
	return err
}
