package artifactset

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Names of the index in the two flavours of artifact sets; the second one is
// that of OCI image layouts, too.
const (
	descriptorFile = "artifact-descriptor.json"
	indexFile      = "index.json"
)

// isIndex tells whether an entry is the index of the archive.
func isIndex(e blobtar.Entry) bool { return e.Name == descriptorFile || e.Name == indexFile }

// pass is one walk through the archive.
type pass struct {
	raw     io.ReadCloser
	packed  *bufio.Reader // raw
	stream  io.Reader     // unpacked
	tar     *tar.Reader
	limits  Limits
	entries int
	indexes int
}

func newPass(ctx context.Context, open Opener, l Limits) (*pass, error) {
	raw, err := open(ctx)
	if err != nil {
		return nil, err
	}
	p := &pass{raw: raw, packed: bufio.NewReader(stream.Bounded(raw, l.Bytes, "archive")), limits: l}
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
	p.stream = stream.Bounded(p.stream, l.Bytes, "unpacked archive")
	p.tar = tar.NewReader(p.stream)
	return p, nil
}

// next returns the next regular file, or io.EOF after the archive was read to
// its last byte.
func (p *pass) next() (blobtar.Entry, error) {
	for {
		header, err := p.tar.Next()
		if errors.Is(err, io.EOF) {
			return blobtar.Entry{}, p.end()
		}
		if err != nil {
			return blobtar.Entry{}, p.malformed(err)
		}
		if p.entries++; p.entries > p.limits.Entries {
			return blobtar.Entry{}, fmt.Errorf("archive is %w: it has more than %d entries", oci.ErrTooLarge, p.limits.Entries)
		}
		e, isFile, err := blobtar.EntryOf(header)
		if err != nil {
			return blobtar.Entry{}, fmt.Errorf("archive: %w", err)
		}
		if !isFile {
			continue
		}
		if isIndex(e) {
			p.indexes++
		}
		// Two readers could disagree on which of two indexes counts.
		if p.indexes > 1 {
			return blobtar.Entry{}, errors.New("archive has more than one index")
		}
		return e, nil
	}
}

// readSmall reads an entry that has to fit into memory.
func (p *pass) readSmall(e blobtar.Entry) ([]byte, error) {
	if e.Size > p.limits.ManifestBytes {
		return nil, fmt.Errorf("%s of the archive is %w: %d bytes, at most %d are read", e.Name, oci.ErrTooLarge, e.Size, p.limits.ManifestBytes)
	}
	raw, err := io.ReadAll(p.tar)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return raw, nil
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
// on the way are the likelier cause, unless there are too many of them.
func (p *pass) malformed(err error) error {
	if errors.Is(err, oci.ErrTooLarge) {
		return err
	}
	var mismatch *oci.DigestMismatchError
	if _, rest := io.Copy(io.Discard, p.packed); errors.As(rest, &mismatch) {
		return rest
	}
	return fmt.Errorf("archive: %w", err)
}
