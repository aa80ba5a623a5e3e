package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// level is part of the format: another one gives other digests for the same tree. It is chosen
// for speed, since most content is written once and read once.
const level = 3

// maxSpare bounds how many bytes a writer compresses until it is not used again: a compressor that has seen gigabytes moves
// its tables, and nothing that it does depends on what it has seen before that.
const maxSpare = 256 << 20

// spare are writers that are done. Making one means a megabyte to clear, which is most of the work for a small archive.
var spare sync.Pool

// writer writes entries in canonical form.
type writer struct {
	tar   *tar.Writer
	block *blockWriter
	gzip  *gzip.Writer
	buf   []byte
}

func newWriter(dst io.Writer) *writer {
	w, ok := spare.Get().(*writer)
	if !ok {
		w = makeWriter()
	}
	return w.to(dst)
}

func makeWriter() *writer {
	// The level is a constant that the library knows, so there is no error to report.
	zip, _ := gzip.NewWriterLevel(nil, level)
	return &writer{block: &blockWriter{dst: zip}, gzip: zip, buf: make([]byte, 64<<10)}
}

// to begins an archive.
func (w *writer) to(dst io.Writer) *writer {
	w.gzip.Reset(dst)
	w.tar = tar.NewWriter(w.block)
	return w
}

// release keeps the writer for another archive. It is for one that was closed.
func (w *writer) release() {
	if w.block.total > maxSpare {
		return
	}
	w.tar = nil
	w.gzip.Reset(nil) // not to hold on to where it wrote
	spare.Put(w)
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

// close ends the archive. The writer is of no more use then.
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
	w.release()
	return nil
}

// blockWriter hands on full blocks only. Compressors may give other bytes when the same
// content arrives in other pieces; with it the pieces depend on nothing but the content.
type blockWriter struct {
	dst   io.Writer
	buf   [64 << 10]byte
	n     int
	total int64
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
	b.total += int64(n)
	_, err := b.dst.Write(b.buf[:n])
	return err
}
