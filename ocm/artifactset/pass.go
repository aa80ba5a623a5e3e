package artifactset

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Names of the index in the two flavours of artifact sets; the second one is
// that of OCI image layouts, too.
const (
	descriptorFile = "artifact-descriptor.json"
	indexFile      = "index.json"
)

// blobFolder is where the blobs are.
const blobFolder = "blobs/"

// entry is a regular file of the archive.
type entry struct {
	name string
	size int64
}

func (e entry) isIndex() bool { return e.name == descriptorFile || e.name == indexFile }

// blob returns the digest a name stands for, in either spelling:
// blobs/sha256.<hex> and blobs/sha256/<hex>.
func (e entry) blob() (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(e.name, blobFolder)
	i := strings.IndexAny(rest, "./")
	if !ok || i < 0 {
		return "", false
	}
	d := digest.NewDigestFromEncoded(digest.Algorithm(rest[:i]), rest[i+1:])
	return d, d.Validate() == nil
}

// pass is one walk through the archive.
type pass struct {
	raw     io.ReadCloser
	packed  *bufio.Reader // raw
	stream  io.Reader     // unpacked
	tar     *tar.Reader
	buf     []byte // of copies; made when it is needed
	limits  Limits
	entries int
	indexes int
}

func newPass(ctx context.Context, open Opener, l Limits) (*pass, error) {
	raw, err := open(ctx)
	if err != nil {
		return nil, err
	}
	p := &pass{raw: raw, packed: bufio.NewReader(raw), limits: l}
	p.stream = p.packed
	magic, err := p.packed.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		raw.Close()
		return nil, err
	}
	// The media type is not always right about the compression.
	if slices.Equal(magic, []byte{0x1f, 0x8b}) {
		if p.stream, err = gzip.NewReader(p.packed); err != nil {
			err = p.malformed(err)
			raw.Close()
			return nil, err
		}
	}
	p.stream = &bounded{r: p.stream, left: l.Bytes, max: l.Bytes}
	p.tar = tar.NewReader(p.stream)
	return p, nil
}

// next returns the next regular file, or io.EOF after the archive was read to
// its last byte.
func (p *pass) next() (entry, error) {
	for {
		header, err := p.tar.Next()
		if errors.Is(err, io.EOF) {
			return entry{}, p.end()
		}
		if err != nil {
			return entry{}, p.malformed(err)
		}
		if p.entries++; p.entries > p.limits.Entries {
			return entry{}, fmt.Errorf("archive is %w: it has more than %d entries", oci.ErrTooLarge, p.limits.Entries)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		e, err := check(header)
		if err != nil {
			return entry{}, err
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if e.isIndex() {
			p.indexes++
		}
		// Two readers could disagree on which of two indexes counts.
		if p.indexes > 1 {
			return entry{}, errors.New("archive has more than one index")
		}
		return e, nil
	}
}

// readSmall reads an entry that has to fit into memory.
func (p *pass) readSmall(e entry) ([]byte, error) {
	if e.size > p.limits.ManifestBytes {
		return nil, fmt.Errorf("%s of the archive is %w: %d bytes, at most %d are read", e.name, oci.ErrTooLarge, e.size, p.limits.ManifestBytes)
	}
	raw, err := io.ReadAll(p.tar)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return raw, nil
}

func (p *pass) buffer() []byte {
	if p.buf == nil {
		p.buf = make([]byte, 128<<10)
	}
	return p.buf
}

// end reads what comes after the archive, so that all of it was compared with
// its digest.
func (p *pass) end() error {
	if _, err := io.Copy(io.Discard, p.stream); err != nil {
		return p.malformed(err)
	}
	if _, err := io.Copy(io.Discard, p.packed); err != nil {
		return err
	}
	return io.EOF
}

// malformed explains an error of the format. Bytes that were damaged or replaced
// on the way are the likelier cause.
func (p *pass) malformed(err error) error {
	var mismatch *oci.DigestMismatchError
	if _, rest := io.Copy(io.Discard, p.packed); errors.As(rest, &mismatch) {
		return rest
	}
	return fmt.Errorf("archive: %w", err)
}

// check refuses names and kinds of entries that have no business in an archive
// of blobs.
func check(h *tar.Header) (entry, error) {
	if len(h.Name) > maxName {
		return entry{}, fmt.Errorf("archive has a name of %d bytes, at most %d are accepted", len(h.Name), maxName)
	}
	name := path.Clean(h.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsAny(h.Name, "\\\x00") {
		return entry{}, fmt.Errorf("archive has the entry %q, which leads out of it", h.Name)
	}
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return entry{}, fmt.Errorf("archive has the entry %q, which is neither a file nor a directory", h.Name)
	}
	return entry{name: name, size: h.Size}, nil
}

// bounded fails instead of ending when there is more than it may pass on.
type bounded struct {
	r    io.Reader
	left int64
	max  int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge()
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.tooLarge()
	}
	return n, err
}

func (b *bounded) tooLarge() error {
	return fmt.Errorf("archive is %w: more than %d bytes unpacked", oci.ErrTooLarge, b.max)
}
