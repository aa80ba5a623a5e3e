package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	blockSize = 512
	// sniffSize is how much of a source Sniff looks at; a gzip stream of that length always
	// yields more than two blocks unless it was made not to.
	sniffSize = 64 << 10
	// ratioFloor is the size up to which an archive may be as dense as it likes.
	ratioFloor = 16 << 20
	// maxHeader is what the decoder reads of the names and records of one entry.
	maxHeader = 1 << 20
)

// reader reads the entries of an archive under the limits.
type reader struct {
	source *sourceReader
	plain  *plainReader
	blocks *blockReader
	tar    *tar.Reader
	limits Limits
	tree   *tree
	count  int
	// last is the entry that was read last, for the message about what is broken behind it.
	last string
	// end is where that entry ends in the decompressed stream.
	end int64
	// size is what the headers announced for files, which a header may do without the bytes to follow.
	size int64
}

// entry is one entry that passed every check.
type entry struct {
	path       string
	kind       entryKind
	executable bool
	size       int64
	target     string
}

func newReader(src io.Reader, l Limits) (*reader, error) {
	r := &reader{source: &sourceReader{src: src}, limits: l, tree: newTree(l)}
	buffered := bufio.NewReaderSize(r.source, sniffSize)
	r.plain = &plainReader{src: buffered, limits: l}
	if magic, err := buffered.Peek(2); err == nil && isGzip(magic) {
		unzip, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, r.fail(fmt.Errorf("%w: %w", ErrNotArchive, err))
		}
		r.plain.src, r.plain.compressed = unzip, &r.source.n
	}
	head := bufio.NewReaderSize(r.plain, 32<<10)
	begin, err := head.Peek(2 * blockSize)
	if err != nil && err != io.EOF {
		return nil, r.fail(err)
	}
	if !isTar(begin) {
		return nil, r.fail(ErrNotArchive)
	}
	r.blocks = &blockReader{src: head}
	r.tar = tar.NewReader(r.blocks)
	return r, nil
}

// next returns the next entry, and io.EOF when the archive and its source are read to the end.
func (r *reader) next() (entry, error) {
	for {
		header, err := r.tar.Next()
		if err == io.EOF { //nolint:errorlint // an error that wraps io.EOF is no end
			return entry{}, r.finish()
		}
		if err != nil {
			return entry{}, r.fail(err)
		}
		if r.end = r.blocks.n; header.Typeflag == tar.TypeReg {
			r.end += (header.Size + blockSize - 1) / blockSize * blockSize
		}
		if r.count++; r.count > r.limits.Entries {
			return entry{}, &LimitError{Err: ErrTooManyEntries, Max: int64(r.limits.Entries)}
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			// git archive begins with one; it is a comment.
			continue
		}
		e, keep, err := r.check(header)
		if err != nil {
			return entry{}, err
		}
		if keep {
			return e, nil
		}
	}
}

// check turns a header into an entry and reports whether it adds something to the archive.
func (r *reader) check(header *tar.Header) (entry, bool, error) {
	name, err := cleanPath(header.Name, r.limits)
	if err != nil {
		return entry{}, false, err
	}
	r.last = name
	if isSparse(header) {
		return entry{}, false, &EntryError{Path: name, Err: ErrSparse}
	}
	e := entry{path: name, executable: header.Mode&0o111 != 0}
	switch header.Typeflag {
	case tar.TypeReg:
		e.kind, e.size = kindFile, header.Size
		if err := r.grow(e); err != nil {
			return entry{}, false, err
		}
	case tar.TypeDir:
		e.kind = kindDir
	case tar.TypeSymlink:
		e.kind = kindLink
		if e.target, err = cleanTarget(name, header.Linkname, r.limits); err != nil {
			return entry{}, false, err
		}
	case tar.TypeLink:
		return entry{}, false, &EntryError{Path: name, Err: ErrHardLink}
	default:
		return entry{}, false, &EntryError{Path: name, Err: ErrSpecialFile}
	}
	if name == "." {
		if e.kind != kindDir {
			return entry{}, false, &EntryError{Path: header.Name, Err: ErrUnsafePath}
		}
		return entry{}, false, nil
	}
	keep, err := r.tree.add(name, e.kind)
	return e, keep, err
}

// grow counts a file before its content is read.
func (r *reader) grow(e entry) error {
	if e.size > r.limits.FileBytes {
		return &LimitError{Err: ErrFileTooLarge, Path: e.path, Max: r.limits.FileBytes}
	}
	if e.size > r.limits.TotalBytes-r.size {
		return &LimitError{Err: ErrTooLarge, Path: e.path, Max: r.limits.TotalBytes}
	}
	r.size += e.size
	return nil
}

// isSparse tells whether the decoder would fill holes with zeros, which come from no source and so pass
// every limit on what is read.
func isSparse(header *tar.Header) bool {
	if header.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for record := range header.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// finish returns io.EOF for an archive that is whole. One that ends within an entry is not, which the decoder takes for
// the end if it is in the padding or behind the records of an entry. One that ends between two entries may lack its
// end marker: some programs write none, and whether all of it is there is for the digest of the source to say.
func (r *reader) finish() error {
	err := r.drain()
	if err == io.EOF && r.blocks.zeros < blockSize && r.blocks.n != r.end { //nolint:errorlint // as above
		return r.fail(io.ErrUnexpectedEOF)
	}
	return err
}

// drain reads what follows the end of the archive, so that a source that checks its digest at
// its end has the chance to.
func (r *reader) drain() error {
	if _, err := io.Copy(io.Discard, r.plain); err != nil {
		return r.fail(err)
	}
	// A gzip reader that met an error once may not have asked the source for its end.
	if _, err := io.Copy(io.Discard, r.source); err != nil {
		return r.fail(err)
	}
	return io.EOF
}

// fail picks the error that came first: what the source or a limit said is the cause of what
// the decoders above them say.
func (r *reader) fail(err error) error {
	switch {
	case r.source.err != nil:
		return fmt.Errorf("read archive: %w", r.source.err)
	case r.plain != nil && r.plain.err != nil:
		return r.plain.err
	case errors.Is(err, tar.ErrFieldTooLong):
		return &LimitError{Err: ErrHeaderTooLarge, Path: r.last, Max: maxHeader}
	case r.last != "":
		return fmt.Errorf("read archive at or behind entry %s: %w", quote(r.last), err)
	default:
		return fmt.Errorf("read archive: %w", err)
	}
}

// sourceReader counts what it reads and remembers the first error.
type sourceReader struct {
	src io.Reader
	n   int64
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

// plainReader holds the decompressed stream to the limits of the whole archive.
type plainReader struct {
	src        io.Reader
	compressed *int64
	limits     Limits
	n          int64
	err        error
}

func (p *plainReader) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.src.Read(b)
	p.n += int64(n)
	switch {
	case p.n > p.limits.TotalBytes:
		p.err = &LimitError{Err: ErrTooLarge, Max: p.limits.TotalBytes}
	case p.compressed != nil && p.n > ratioFloor && p.n/p.limits.Ratio > *p.compressed:
		p.err = &LimitError{Err: ErrCompressionRatio, Max: p.limits.Ratio}
	case err != nil && err != io.EOF:
		p.err = fmt.Errorf("unpack archive: %w", err)
	default:
		return n, err
	}
	return n, p.err
}

// blockReader knows where the decoder is, and how many zeros it has just passed: those of the end marker, if there is
// one.
type blockReader struct {
	src   io.Reader
	n     int64
	zeros int
}

func (b *blockReader) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	b.n += int64(n)
	tail := n - len(bytes.TrimRight(p[:n], "\x00"))
	if tail == n {
		tail += min(b.zeros, blockSize)
	}
	b.zeros = tail
	return n, err
}

// Sniff tells whether src begins like an archive that Copy reads, and returns a reader of
// all of src, with what was looked at.
func Sniff(src io.Reader) (bool, io.Reader, error) {
	buffered := bufio.NewReaderSize(src, sniffSize)
	begin, err := buffered.Peek(sniffSize)
	if err != nil && err != io.EOF {
		return false, buffered, fmt.Errorf("read content: %w", err)
	}
	if !isGzip(begin) {
		return isTar(begin), buffered, nil
	}
	return isTar(unzipHead(begin)), buffered, nil
}

// unzipHead returns what a tar header would be in, as far as it can be had. Something else may
// begin with the same two bytes: it is opaque content, and no error.
func unzipHead(begin []byte) []byte {
	unzip, err := gzip.NewReader(bytes.NewReader(begin))
	if err != nil {
		return nil
	}
	head := make([]byte, 2*blockSize)
	n, _ := io.ReadFull(unzip, head)
	return head[:n]
}

func isGzip(begin []byte) bool { return len(begin) >= 2 && begin[0] == 0x1f && begin[1] == 0x8b }

// isTar tells whether a stream begins with a tar header, or with the two empty blocks of an
// archive without entries.
func isTar(begin []byte) bool {
	if len(begin) < blockSize {
		return false
	}
	header := begin[:blockSize]
	if allZero(header) {
		return len(begin) >= 2*blockSize && allZero(begin[blockSize:2*blockSize])
	}
	field := string(bytes.Trim(header[148:156], " \x00"))
	want, err := strconv.ParseInt(field, 8, 64)
	if err != nil {
		return false
	}
	var unsigned, signed int64
	for i, c := range header {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
