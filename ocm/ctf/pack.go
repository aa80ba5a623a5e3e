package ctf

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// write replaces the archive as a whole. What goes into it is compared with its
// digests once more.
func (a *archive) write() error {
	list, err := a.list.encode()
	if err != nil {
		return err
	}
	if int64(len(list)) > a.options.IndexBytes {
		return fmt.Errorf("%s is %w: %d bytes, at most %d are read", indexFile, oci.ErrTooLarge, len(list), a.options.IndexBytes)
	}
	prefix := "." + a.at.name + ".partial-"
	// Who holds the lock is the only one who writes them.
	if err := sweep(a.at.dir, prefix, 0); err != nil {
		return err
	}
	err = replace(a.at.dir, a.at.name, prefix, func(f *os.File) error {
		return pack(f, a.compressed, func(tw *tar.Writer) error { return a.fill(tw, list) })
	})
	return errors.Join(err, syncNames(a.at.dir, "."))
}

func (a *archive) fill(tw *tar.Writer, list []byte) error {
	if err := blobtar.WriteFile(tw, indexFile, int64(len(list)), bytes.NewReader(list)); err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: blobtar.Folder, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: blobtar.Epoch}); err != nil {
		return err
	}
	for _, d := range slices.Sorted(maps.Keys(a.blobs)) {
		e := a.blobs[d]
		verified, err := oci.Verify(io.NopCloser(e.reader()), "blob "+d.String(), e.size, d)
		if err != nil {
			return err
		}
		if err := blobtar.WriteFile(tw, blobtar.NameOf(d), e.size, verified); err != nil {
			return err
		}
	}
	return nil
}

func pack(w io.Writer, compressed bool, fill func(*tar.Writer) error) error {
	buffered := bufio.NewWriterSize(w, 128<<10)
	var packed io.WriteCloser = nopCloser{buffered}
	if compressed {
		// Most of it is compressed already: the fastest level makes it hardly larger.
		fast, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
		if err != nil {
			return err
		}
		packed = fast
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

// blobNames returns the digests of all blobs in order.
func (a *archive) blobNames() ([]digest.Digest, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.Sorted(maps.Keys(a.blobs)), nil
}
