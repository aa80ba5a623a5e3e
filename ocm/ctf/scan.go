package ctf

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// unpackedName is what messages call what is in an archive, whose name they have in
// front.
const unpackedName = "what is unpacked from it"

// gzipMagic is what compressed archives begin with.
var gzipMagic = []byte{0x1f, 0x8b}

// scanFile finds out what is where in the file of an archive.
func (a *archive) scanFile(size int64) error {
	return a.entries(tar.NewReader(a.file), func(blob int64, _ io.Reader) (extent, error) {
		// The reader reads no further than to the start of the content.
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err == nil && blob > size-offset {
			err = io.ErrUnexpectedEOF
		}
		return extent{file: a.file, offset: offset, size: blob}, err
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
	unpacked := stream.Bounded(r, a.options.ArchiveBytes, unpackedName)
	if err := a.entries(tar.NewReader(unpacked), func(size int64, content io.Reader) (extent, error) { return a.keep(content, size) }); err != nil {
		return err
	}
	// What follows the archive belongs to the stream, whose end tells whether it is whole.
	if _, err := stream.Copy(io.Discard, unpacked); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	return nil
}

func (a *archive) entries(tr *tar.Reader, keep func(size int64, content io.Reader) (extent, error)) error {
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
		e, isFile, err := blobtar.EntryOf(h)
		if err != nil {
			return err
		}
		if !isFile {
			continue
		}
		if e.Name == indexFile {
			if err := a.readIndex(e.Size, tr); err != nil {
				return err
			}
			continue
		}
		d, ok := e.Digest()
		if !ok {
			continue
		}
		if a.blobs[d], err = keep(e.Size, tr); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
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
