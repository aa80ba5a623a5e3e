package ctf

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/internal/scratch"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// spool is a temporary file with blobs. Several may be added at once.
type spool struct {
	file *scratch.File
	max  int64

	mu   sync.Mutex
	size int64
}

func newSpool(o Options) (*spool, error) {
	f, err := scratch.Create(o.TempDir, "ocm-ctf-", o.Room)
	if err != nil {
		return nil, err
	}
	return &spool{file: f, max: o.ArchiveBytes}, nil
}

// add stores a blob of a size that is known.
func (s *spool) add(content io.Reader, size int64) (extent, error) {
	s.mu.Lock()
	start := s.size
	if size < 0 || size > s.max-start {
		s.mu.Unlock()
		return extent{}, fmt.Errorf("%s is %w: more than %d bytes", unpackedName, oci.ErrTooLarge, s.max)
	}
	s.size += size
	s.mu.Unlock()
	n, err := stream.Copy(&part{spool: s, at: start, end: start + size}, content)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		s.undo(start, size)
	}
	return extent{file: s.file, offset: start, size: size}, err
}

// undo lets the next blob have the place of one that failed, unless another one
// came behind it.
func (s *spool) undo(start, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == start+size {
		s.size = start
	}
}

func (s *spool) close() error { return s.file.Close() }

// part is a writer for one blob.
type part struct {
	spool   *spool
	at, end int64
}

// Write implements io.Writer.
func (p *part) Write(data []byte) (int, error) {
	if int64(len(data)) > p.end-p.at {
		return 0, errors.New("there is more of it than was promised")
	}
	n, err := p.spool.file.WriteAt(data, p.at)
	p.at += int64(n)
	return n, err
}

// unique returns a name nobody else uses.
func unique() string { return rand.Text() }
