package ctf

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// spool is a temporary file that has no name, so that nothing is left of it
// whatever becomes of the process.
type spool struct {
	file *os.File
	max  int64
	left string // its name, where files in use keep it

	mu   sync.Mutex
	size int64
	buf  []byte
}

func newSpool(dir string, limit int64) (*spool, error) {
	f, err := os.CreateTemp(dir, "ocm-ctf-")
	if err != nil {
		return nil, fmt.Errorf("temporary file: %w", err)
	}
	s := &spool{file: f, max: limit, buf: make([]byte, 64<<10)}
	if err := os.Remove(f.Name()); err != nil {
		s.left = f.Name()
	}
	return s, nil
}

// add appends a blob. Of one that fails nothing remains.
func (s *spool) add(content io.Reader) (extent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := s.size
	if _, err := s.file.Seek(start, io.SeekStart); err != nil {
		return extent{}, err
	}
	// Hiding that the file can copy by itself makes it use one buffer for all.
	n, err := io.CopyBuffer(struct{ io.Writer }{s.file}, &bounded{r: content, left: s.max - start, max: s.max}, s.buf)
	if err != nil {
		return extent{}, errors.Join(err, s.file.Truncate(start))
	}
	s.size += n
	return extent{file: s.file, offset: start, size: n}, nil
}

func (s *spool) close() error {
	err := s.file.Close()
	if s.left != "" {
		err = errors.Join(err, os.Remove(s.left))
	}
	return err
}

// bounded fails instead of ending when there is more than it may pass on.
type bounded struct {
	r    io.Reader
	left int64
	max  int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		return 0, fmt.Errorf("it is %w: more than %d bytes unpacked", oci.ErrTooLarge, b.max)
	}
	b.left -= int64(n)
	return n, err
}

// epoch is the time of all entries, so that equal content gives equal archives.
var epoch = time.Unix(0, 0)

// replace writes an archive beside the old one and puts it in its place.
func replace(path string, compressed bool, fill func(*tar.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".partial-")
	if err != nil {
		return err
	}
	err = pack(f, compressed, fill)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func pack(w io.Writer, compressed bool, fill func(*tar.Writer) error) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	var packed io.WriteCloser = nopCloser{buffered}
	if compressed {
		packed = gzip.NewWriter(buffered)
	}
	tw := tar.NewWriter(packed)
	if err := fill(tw); err != nil {
		return err
	}
	return errors.Join(tw.Close(), packed.Close(), buffered.Flush())
}

type nopCloser struct{ io.Writer }

// Close implements io.Closer.
func (nopCloser) Close() error { return nil }

func writeFile(tw *tar.Writer, name string, size int64, content io.Reader) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: epoch}); err != nil {
		return err
	}
	_, err := io.Copy(tw, content)
	return err
}

// unique returns a name nobody else uses.
func unique() string { return rand.Text() }
