package ctf

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// maxName bounds the names of entries.
const maxName = 1024

// gzipMagic is what compressed archives begin with.
var gzipMagic = []byte{0x1f, 0x8b}

// scanFile finds out what is where in the file of an archive.
func (a *archive) scanFile(size int64) error {
	return a.entries(tar.NewReader(a.file), func(h *tar.Header, _ io.Reader) (extent, error) {
		// The reader reads no further than to the start of the content.
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err == nil && h.Size > size-offset {
			err = io.ErrUnexpectedEOF
		}
		return extent{file: a.file, offset: offset, size: h.Size}, err
	})
}

// scanStream copies what is in a stream into a temporary file, because there is
// no other way to read it in any order.
func (a *archive) scanStream(r io.Reader) error {
	if a.compressed {
		zr, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("it is no archive: %w", err)
		}
		r = zr
	}
	unpacked := &bounded{r: r, left: a.options.ArchiveBytes, max: a.options.ArchiveBytes}
	if err := a.entries(tar.NewReader(unpacked), func(h *tar.Header, content io.Reader) (extent, error) { return a.keep(content, h.Size) }); err != nil {
		return err
	}
	// What follows the archive belongs to the stream, whose end tells whether it is whole.
	if _, err := copyBuffered(io.Discard, unpacked); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	return nil
}

func (a *archive) entries(tr *tar.Reader, keep func(*tar.Header, io.Reader) (extent, error)) error {
	for n := 1; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is no archive, or damaged: %w", err)
		}
		if n > a.options.Entries {
			return fmt.Errorf("it is %w: more than %d entries", oci.ErrTooLarge, a.options.Entries)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := check(h)
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if name == indexFile {
			if err := a.readIndex(h.Size, tr); err != nil {
				return err
			}
			continue
		}
		d, ok := blobOf(name)
		if !ok {
			continue
		}
		if a.blobs[d], err = keep(h, tr); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

func (a *archive) readIndex(size int64, r io.Reader) error {
	// Two readers could disagree on which of two indexes counts.
	if a.list != nil {
		return fmt.Errorf("it has %s twice", indexFile)
	}
	if size > a.options.IndexBytes {
		return fmt.Errorf("%s is %w: %d bytes, at most %d are read", indexFile, oci.ErrTooLarge, size, a.options.IndexBytes)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("%s: %w", indexFile, err)
	}
	a.list, err = parseIndex(data)
	return err
}

// check refuses names and kinds of entries that have no business in an archive
// of blobs, and returns the name in its normal form.
func check(h *tar.Header) (string, error) {
	if len(h.Name) > maxName {
		return "", fmt.Errorf("it has a name of %d bytes, at most %d are accepted", len(h.Name), maxName)
	}
	name := path.Clean(h.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsAny(h.Name, "\\\x00") {
		return "", fmt.Errorf("it has the entry %q, which leads out of it", h.Name)
	}
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return "", fmt.Errorf("it has the entry %q, which is neither a file nor a directory", h.Name)
	}
	// The content of a sparse file is not where its header is.
	sparse := func(key string) bool { return strings.HasPrefix(key, "GNU.sparse") }
	if slices.ContainsFunc(slices.Collect(maps.Keys(h.PAXRecords)), sparse) {
		return "", fmt.Errorf("it has the entry %q, which is a sparse file", h.Name)
	}
	return name, nil
}

// blobOf returns the digest a name stands for, in either spelling:
// blobs/sha256.<hex> and blobs/sha256/<hex>.
func blobOf(name string) (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(name, blobFolder+"/")
	i := strings.IndexAny(rest, "./")
	if !ok || i < 0 {
		return "", false
	}
	d := digest.NewDigestFromEncoded(digest.Algorithm(rest[:i]), rest[i+1:])
	return d, d.Validate() == nil
}
