package ctf

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// maxName bounds the names of entries.
const maxName = 1024

// scan finds out what is where in the archive. Blobs of a compressed one are
// copied into a temporary file, because there is no other way to read them in
// any order.
func (a *archive) scan() error {
	if !a.compressed {
		info, err := a.file.Stat()
		if err != nil {
			return err
		}
		return a.entries(tar.NewReader(a.file), func(h *tar.Header, _ io.Reader) (extent, error) {
			// The reader reads no further than to the start of the content.
			offset, err := a.file.Seek(0, io.SeekCurrent)
			if err == nil && h.Size > info.Size()-offset {
				err = io.ErrUnexpectedEOF
			}
			return extent{file: a.file, offset: offset, size: h.Size}, err
		})
	}
	defer a.dropFile()
	zr, err := gzip.NewReader(bufio.NewReader(a.file))
	if err != nil {
		return fmt.Errorf("it is no archive: %w", err)
	}
	s, err := a.openSpool()
	if err != nil {
		return err
	}
	unpacked := &bounded{r: zr, left: a.options.ArchiveBytes, max: a.options.ArchiveBytes}
	if err := a.entries(tar.NewReader(unpacked), func(_ *tar.Header, content io.Reader) (extent, error) { return s.add(content) }); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	return nil
}

// dropFile closes the compressed archive, which is not needed any more.
func (a *archive) dropFile() {
	a.file.Close() //nolint:errcheck // it was only read
	a.file = nil
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
