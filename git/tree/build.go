package tree

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

// Built is what became of content.
type Built struct {
	// Tree is the tree of the content.
	Tree plumbing.Hash
	// Files is the number of files and symbolic links.
	Files int
	// Bytes is the size of all files.
	Bytes int64
}

// Build writes the blobs and trees of a tar archive, which is not compressed, to w. The stream is read to its end even if the
// archive ends before, so that a source that checks itself is heard, and its errors come first. Folders without files are
// left out: git has none. What the content is at fault for is a *PathError or a *LimitError.
func Build(ctx context.Context, w *pack.Writer, stream io.Reader, l Limits) (Built, error) {
	b := newBuilder(w, l)
	// Headers are no content, but a stream of nothing else has to end, too: each entry has room for its records.
	perEntry := int64(4096 + 2*b.limits.PathBytes)
	src := &source{ctx: ctx, src: stream, left: b.limits.Bytes + perEntry*int64(b.limits.Files+1) + 1<<20}
	if err := b.archive(src); err != nil {
		return Built{}, src.cause(err)
	}
	return b.finish()
}

// Single writes content that is one file with a name, of exactly size bytes, as a tree with nothing else in it.
func Single(ctx context.Context, w *pack.Writer, name string, size int64, content io.Reader, l Limits) (Built, error) {
	b := newBuilder(w, l)
	src := &source{ctx: ctx, src: content, left: b.limits.FileBytes + 1}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}
	if err := b.add(header, src); err != nil {
		return Built{}, src.cause(err)
	}
	return b.finish()
}

type builder struct {
	w      *pack.Writer
	limits Limits
	root   *node
	count  int
	built  Built
}

func newBuilder(w *pack.Writer, l Limits) *builder {
	return &builder{w: w, limits: l.WithDefaults(), root: &node{mode: filemode.Dir}}
}

// archive adds the entries of a tar archive.
func (b *builder) archive(src *source) error {
	r := tar.NewReader(src)
	last := ""
	for n := 0; ; n++ {
		header, err := r.Next()
		if err == io.EOF { // not errors.Is: an error that wraps io.EOF is no end
			break
		}
		if err != nil {
			return damaged(last, err)
		}
		// Twice as many as there may be files: records for all that follows are entries of the archive as well.
		if n >= 2*b.limits.Files {
			return b.tooMany()
		}
		if err := b.add(header, r); err != nil {
			return err
		}
		last = header.Name
	}
	switch {
	case src.read == 0:
		return &PathError{Why: "it is empty, which no tar archive is"}
	case src.read%512 != 0:
		return damaged(last, io.ErrUnexpectedEOF)
	}
	_, err := io.Copy(io.Discard, src)
	return err
}

// damaged says where an archive is damaged: behind the entry that was read last.
func damaged(last string, err error) error {
	if last == "" {
		return &PathError{Why: "it is no tar archive, or damaged at its beginning", Err: err}
	}
	return &PathError{Path: last, Why: "the archive is cut off or damaged in this entry or behind it", Err: err}
}

// short says that a file is not as long as announced.
func short(name string, err error) error {
	return &PathError{Path: name, Why: "its content is cut off, or has another size than announced", Err: err}
}

// add checks one entry and writes it.
func (b *builder) add(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	parts, err := split(header.Name, b.limits)
	if err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir {
		_, err := b.enter(header.Name, parts)
		return err
	}
	if len(parts) == 0 || strings.HasSuffix(header.Name, "/") {
		return &PathError{Path: header.Name, Why: "it is the name of a folder and not of a file; name the file"}
	}
	if isSparse(header) {
		return &PathError{Path: header.Name, Why: "it is a sparse file, which can announce any size; pack the archive without sparse files"}
	}
	parent, err := b.enter(header.Name, parts[:len(parts)-1])
	if err != nil {
		return err
	}
	name := parts[len(parts)-1]
	leaf, err := b.write(header, name, len(parts)-1, content)
	if err != nil {
		return err
	}
	return b.put(header.Name, parent, name, leaf)
}

// write returns what an entry that is no folder is in a tree, and writes its content.
func (b *builder) write(header *tar.Header, name string, depth int, content io.Reader) (*node, error) {
	switch header.Typeflag {
	case tar.TypeReg:
		return b.file(header, name, content)
	case tar.TypeSymlink:
		if isModules(name) {
			return nil, &PathError{Path: header.Name, Why: "git refuses .gitmodules as a symbolic link; replace it by the file"}
		}
		if err := cleanTarget(header.Name, depth, header.Linkname, b.limits); err != nil {
			return nil, err
		}
		h, err := b.w.Object(plumbing.BlobObject, []byte(header.Linkname))
		return &node{mode: filemode.Symlink, hash: h}, bounded(err)
	case tar.TypeLink:
		return b.hardLink(header, name)
	}
	return nil, &PathError{Path: header.Name, Why: "it is a device, a pipe or something else that git can't hold; remove it"}
}

// file writes a file, once it is clear that it is within the limits.
func (b *builder) file(header *tar.Header, name string, content io.Reader) (*node, error) {
	switch {
	case header.Size > b.limits.FileBytes:
		return nil, &LimitError{What: "bytes in one file", Limit: b.limits.FileBytes, Path: header.Name}
	case header.Size > b.limits.Bytes-b.built.Bytes:
		return nil, &LimitError{What: "bytes in all files", Limit: b.limits.Bytes}
	}
	b.built.Bytes += header.Size
	if check := checkOf(name); check != nil {
		if header.Size > maxChecked {
			return nil, &LimitError{What: "bytes in a file of git's own", Limit: maxChecked, Path: header.Name}
		}
		var whole bytes.Buffer
		if _, err := io.CopyN(&whole, content, header.Size); err != nil {
			return nil, short(header.Name, err)
		}
		if why := check(whole.Bytes()); why != "" {
			return nil, &PathError{Path: header.Name, Why: why}
		}
		content = io.MultiReader(&whole, content)
	}
	n := &node{mode: filemode.Regular}
	if header.Mode&0o111 != 0 {
		n.mode = filemode.Executable
	}
	var err error
	n.hash, err = b.w.Blob(header.Size, content)
	if errors.Is(err, pack.ErrSize) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, short(header.Name, err)
	}
	return n, bounded(err)
}

// hardLink returns the file that an entry is another name of. It has to come before, as in every archive that tar writes.
func (b *builder) hardLink(header *tar.Header, name string) (*node, error) {
	if checkOf(name) != nil {
		return nil, &PathError{Path: header.Name, Why: "git obeys that file, and what is linked was not checked for that; replace the hard link by the file"}
	}
	parts, err := split(header.Linkname, b.limits)
	if err != nil {
		return nil, &PathError{Path: header.Name, Why: "it is a hard link that can't be followed; pack the archive with hard links dereferenced", Err: err}
	}
	n := b.root
	for _, part := range parts {
		if n = n.children[part]; n == nil {
			break
		}
	}
	if n == nil || n.mode != filemode.Regular && n.mode != filemode.Executable {
		return nil, &PathError{Path: header.Name, Why: "it is a hard link to no earlier file of the archive; pack the archive with hard links dereferenced"}
	}
	return &node{mode: n.mode, hash: n.hash}, nil
}

// bounded turns what the pack says of its size into a verdict about content.
func bounded(err error) error {
	if tooLarge := new(pack.TooLargeError); errors.As(err, &tooLarge) {
		return &LimitError{What: "bytes of git objects", Limit: tooLarge.Limit}
	}
	return err
}

func (b *builder) tooMany() error { return &LimitError{What: "entries", Limit: int64(b.limits.Files)} }

// isSparse tells whether the decoder would fill holes with zeros, which come from no source.
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

// source is the stream under an archive. It ends with its context and at a bound, and remembers what it failed of, since
// decoders tell it in their own words.
type source struct {
	ctx  context.Context //nolint:containedctx // a reader has nowhere else to be given one
	src  io.Reader
	left int64
	read int64
	err  error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.left <= 0 {
		s.err = &LimitError{What: "bytes in its archive", Limit: s.read}
		return 0, s.err
	}
	n, err := s.src.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.read += int64(n)
	if err != nil && err != io.EOF { // not errors.Is: an error that wraps io.EOF is no end
		s.err = err
	}
	return n, err
}

// cause returns what the stream has failed of, or else what was made of it.
func (s *source) cause(err error) error {
	if s.err != nil {
		return s.err
	}
	return err
}
