package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// level is part of the format: another one gives other digests for the same tree. It is chosen
// for speed, since most content is written once and read once.
const level = 3

// writer writes entries in canonical form.
type writer struct {
	tar   *tar.Writer
	block *blockWriter
	gzip  *gzip.Writer
	buf   []byte
}

func newWriter(dst io.Writer) *writer {
	// The level is a constant that the library knows, so there is no error to report.
	zip, _ := gzip.NewWriterLevel(dst, level)
	block := &blockWriter{dst: zip}
	return &writer{tar: tar.NewWriter(block), block: block, gzip: zip, buf: make([]byte, 64<<10)}
}

func (w *writer) directory(name string) error {
	return w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

func (w *writer) link(name, target string) error {
	return w.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

// file copies exactly size bytes from content.
func (w *writer) file(name string, executable bool, size int64, content io.Reader) error {
	mode := int64(0o644)
	if executable {
		mode = 0o755
	}
	if err := w.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: size}); err != nil {
		return err
	}
	// The tar writer would use io.ReaderFrom with a buffer of its own for every file.
	n, err := io.CopyBuffer(struct{ io.Writer }{w.tar}, struct{ io.Reader }{io.LimitReader(content, size)}, w.buf)
	if err != nil {
		return fmt.Errorf("copy %s: %w", quote(name), err)
	}
	if n < size {
		return fmt.Errorf("copy %s: %w", quote(name), io.ErrUnexpectedEOF)
	}
	return nil
}

func (w *writer) header(h *tar.Header) error {
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write archive entry %s: %w", quote(strings.TrimSuffix(h.Name, "/")), err)
	}
	return nil
}

func (w *writer) close() error {
	if err := w.tar.Close(); err != nil {
		return fmt.Errorf("finish archive: %w", err)
	}
	if err := w.block.flush(); err != nil {
		return fmt.Errorf("finish archive: %w", err)
	}
	if err := w.gzip.Close(); err != nil {
		return fmt.Errorf("finish archive: %w", err)
	}
	return nil
}

// blockWriter hands on full blocks only. Compressors may give other bytes when the same
// content arrives in other pieces; with it the pieces depend on nothing but the content.
type blockWriter struct {
	dst io.Writer
	buf [64 << 10]byte
	n   int
}

func (b *blockWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := copy(b.buf[b.n:], p)
		b.n, p = b.n+n, p[n:]
		if b.n < len(b.buf) {
			break
		}
		if err := b.flush(); err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

func (b *blockWriter) flush() error {
	n := b.n
	b.n = 0
	_, err := b.dst.Write(b.buf[:n])
	return err
}
