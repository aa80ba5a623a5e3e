package pack

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// smallBlob is the size up to which a blob is hashed before it is compressed: most files of a new version are those of
	// the old one, and need not be compressed to find that out.
	smallBlob = 256 << 10
	// bufferSize is what is written to the file at a time.
	bufferSize = 64 << 10
	// frame is the size of what is around the objects of a pack: the header and the checksum.
	frame = headerSize + checksumSize
)

var (
	// ErrNotFound says that an object is not in the pack: it was never written, or left out since the other side has it.
	ErrNotFound = errors.New("object is not in the pack")
	// ErrSize says that a blob is longer or shorter than announced.
	ErrSize = errors.New("content has another size than announced")
)

// TooLargeError says that a pack, or an object that is asked for, is larger than allowed.
type TooLargeError struct {
	// Limit is the greatest number of bytes allowed.
	Limit int64
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("git objects take more than the %d bytes allowed", e.Limit)
}

// Writer collects objects in a pack file. It is for one goroutine, and for one push: what it leaves out is what the base of
// that push has.
type Writer struct {
	file    *os.File
	max     int64
	end     int64
	objects map[plumbing.Hash]place
	known   map[plumbing.Hash]struct{}
	has     func(plumbing.Hash) bool

	sink    *sink
	out     *bufio.Writer
	deflate *zlib.Writer
	small   []byte
	buffer  []byte
	packed  *bufio.Reader
	inflate io.ReadCloser
}

// place is where in the file an object is, without the header of the pack.
type place struct {
	offset, length int64
	size           int64
	kind           plumbing.ObjectType
}

// New returns a Writer that keeps its objects in one file below dir, of at most maxBytes bytes. The file has no name, so
// that a process that is killed leaves nothing behind. A dir that is empty is the system's directory for such files.
func New(dir string, maxBytes int64) (*Writer, error) {
	file, err := os.CreateTemp(dir, "pack-")
	if err != nil {
		return nil, fmt.Errorf("create the file for git objects: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("hide the file for git objects: %w", err), file.Close())
	}
	s := &sink{file: file, max: maxBytes - frame, limit: maxBytes}
	out := bufio.NewWriterSize(s, bufferSize)
	// Speed before size: a server compresses again when it repacks, and manifests are small anyway.
	deflate, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Writer{
		file: file, max: maxBytes, objects: map[plumbing.Hash]place{}, known: map[plumbing.Hash]struct{}{},
		sink: s, out: out, deflate: deflate, packed: bufio.NewReader(nil),
	}, nil
}

// Close removes the file. Readers that are still in use fail.
func (w *Writer) Close() error { return w.file.Close() }

// Known says that the other side has an object, which is left out from now on.
func (w *Writer) Known(h plumbing.Hash) { w.known[h] = struct{}{} }

// SetKnown sets what tells whether the other side has an object; such objects are left out from now on.
func (w *Writer) SetKnown(has func(plumbing.Hash) bool) { w.has = has }

// Objects returns how many objects were written.
func (w *Writer) Objects() int { return len(w.objects) }

// Blob writes a blob of exactly size bytes. It reads content to its end, so that a reader that checks itself is heard. After
// an error the pack is what it was before.
func (w *Writer) Blob(size int64, content io.Reader) (plumbing.Hash, error) {
	if size < 0 {
		return plumbing.ZeroHash, fmt.Errorf("blob of %d bytes: %w", size, ErrSize)
	}
	if size > smallBlob {
		return w.stream(size, content)
	}
	if w.small == nil {
		w.small = make([]byte, smallBlob)
	}
	whole := w.small[:size]
	if _, err := io.ReadFull(content, whole); err != nil {
		return plumbing.ZeroHash, short(size, err)
	}
	if err := expectEnd(content); err != nil {
		return plumbing.ZeroHash, err
	}
	return w.Object(plumbing.BlobObject, whole)
}

// Object writes an object that is in memory: a tree or a commit, mostly.
func (w *Writer) Object(kind plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	if kind != plumbing.BlobObject && kind != plumbing.TreeObject && kind != plumbing.CommitObject && kind != plumbing.TagObject {
		return plumbing.ZeroHash, fmt.Errorf("write a git object: %s is no kind of object", kind)
	}
	h := plumbing.ComputeHash(kind, content)
	if w.skips(h) {
		return h, nil
	}
	if err := w.begin(kind, int64(len(content))); err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := w.deflate.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	return h, w.finish(h, kind, int64(len(content)))
}

// stream writes a blob whose name is known only when it was read; if it need not be written, the next one takes its place.
func (w *Writer) stream(size int64, content io.Reader) (plumbing.Hash, error) {
	if err := w.begin(plumbing.BlobObject, size); err != nil {
		return plumbing.ZeroHash, err
	}
	if w.buffer == nil {
		w.buffer = make([]byte, bufferSize)
	}
	hasher := plumbing.NewHasher(plumbing.BlobObject, size)
	n, err := io.CopyBuffer(io.MultiWriter(hasher, w.deflate), io.LimitReader(content, size), w.buffer)
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return plumbing.ZeroHash, short(size, err)
	}
	if err := expectEnd(content); err != nil {
		return plumbing.ZeroHash, err
	}
	h := hasher.Sum()
	return h, w.finish(h, plumbing.BlobObject, size)
}

func (w *Writer) begin(kind plumbing.ObjectType, size int64) error {
	w.sink.offset = w.end
	w.out.Reset(w.sink)
	w.deflate.Reset(w.out)
	_, err := w.out.Write(objectHeader(kind, size))
	return err
}

func (w *Writer) finish(h plumbing.Hash, kind plumbing.ObjectType, size int64) error {
	if w.skips(h) {
		return nil
	}
	if err := w.deflate.Close(); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	w.objects[h] = place{offset: w.end, length: w.sink.offset - w.end, size: size, kind: kind}
	w.end = w.sink.offset
	return nil
}

func (w *Writer) skips(h plumbing.Hash) bool {
	if _, ok := w.objects[h]; ok {
		return true
	}
	if _, ok := w.known[h]; ok {
		return true
	}
	return w.has != nil && w.has(h)
}

// Content returns a blob that was written, if it has at most limit bytes. One that was left out is ErrNotFound.
func (w *Writer) Content(h plumbing.Hash, limit int64) ([]byte, error) {
	p, ok := w.objects[h]
	if !ok || p.kind != plumbing.BlobObject {
		return nil, fmt.Errorf("blob %s: %w", h, ErrNotFound)
	}
	if p.size > limit {
		return nil, fmt.Errorf("blob %s: %w", h, &TooLargeError{Limit: limit})
	}
	return w.read(h, p)
}

// read inflates an object that was written.
func (w *Writer) read(h plumbing.Hash, p place) ([]byte, error) {
	packed := w.packed
	packed.Reset(io.NewSectionReader(w.file, p.offset, p.length))
	for b := byte(0x80); b&0x80 != 0; {
		var err error
		if b, err = packed.ReadByte(); err != nil {
			return nil, fmt.Errorf("read %s %s back: %w", p.kind, h, err)
		}
	}
	if err := w.startInflate(); err != nil {
		return nil, fmt.Errorf("read %s %s back: %w", p.kind, h, err)
	}
	content := bytes.NewBuffer(make([]byte, 0, p.size+bytes.MinRead))
	if _, err := content.ReadFrom(w.inflate); err != nil {
		return nil, fmt.Errorf("read %s %s back: %w", p.kind, h, err)
	}
	return content.Bytes(), nil
}

// startInflate has the decompressor begin anew: it is larger than most trees, of which there may be thousands to read.
func (w *Writer) startInflate() error {
	if again, ok := w.inflate.(zlib.Resetter); ok {
		return again.Reset(w.packed, nil)
	}
	var err error
	w.inflate, err = zlib.NewReader(w.packed)
	return err
}

// sink writes to the file from an offset on, up to a bound.
type sink struct {
	file       *os.File
	offset     int64
	max, limit int64
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	if int64(len(p)) > s.max-s.offset {
		return 0, &TooLargeError{Limit: s.limit}
	}
	n, err := s.file.WriteAt(p, s.offset)
	s.offset += int64(n)
	if err != nil {
		return n, fmt.Errorf("write git objects: %w", err)
	}
	return n, nil
}

// short tells a blob that ended early from one that could not be read or written.
func short(size int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("blob of %d bytes: %w: %w", size, ErrSize, err)
	}
	return err
}

// expectEnd fails if a reader has more to give. An error of the reader itself is returned as it is.
func expectEnd(r io.Reader) error {
	var one [1]byte
	for range 100 {
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return fmt.Errorf("blob goes on after its end: %w", ErrSize)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}
