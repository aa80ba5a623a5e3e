// Package blobtar has what archives of blobs have in common, be they transport
// archives, artifact sets or OCI image layouts: what their entries may be, and what
// these are called. It does not know which indexes lead to the blobs.
package blobtar

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
)

// Folder is where the blobs are.
const Folder = "blobs"

// maxName bounds the names of entries, in bytes.
const maxName = 1024

// Epoch is the time of all entries that are written, so that equal content gives
// equal archives.
var Epoch = time.Unix(0, 0)

// Entry is a regular file of an archive.
type Entry struct {
	// Name is its path in the archive, in normal form.
	Name string
	// Size is the number of its bytes, all of which are in the archive.
	Size int64
}

// Digest returns the digest of the blob that the entry is, if it is one.
func (e Entry) Digest() (digest.Digest, bool) { return DigestOf(e.Name) }

// EntryOf returns the entry of a header, and false for what is none: directories, and
// headers that are about others. Names that lead out of the archive, and kinds of
// files that have no business in an archive of blobs, are errors.
func EntryOf(h *tar.Header) (Entry, bool, error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return Entry{}, false, nil
	}
	if len(h.Name) > maxName {
		return Entry{}, false, fmt.Errorf("an entry has a name of %d bytes, at most %d are accepted", len(h.Name), maxName)
	}
	name := path.Clean(h.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsAny(h.Name, "\\\x00") {
		return Entry{}, false, fmt.Errorf("entry %q leads out of the archive", h.Name)
	}
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return Entry{}, false, fmt.Errorf("entry %q is neither a file nor a directory", h.Name)
	}
	// The content of a sparse file is not where its header is, and a few bytes can
	// stand for any number of them.
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse") {
			return Entry{}, false, fmt.Errorf("entry %q is a sparse file, which is not accepted", h.Name)
		}
	}
	return Entry{Name: name, Size: h.Size}, h.Typeflag == tar.TypeReg, nil
}

// DigestOf returns the digest that a name stands for, in either spelling, and false
// for other names: blobs/sha256.<hex> and blobs/sha256/<hex>.
func DigestOf(name string) (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(name, Folder+"/")
	i := strings.IndexAny(rest, "./")
	if !ok || i < 0 {
		return "", false
	}
	d := digest.NewDigestFromEncoded(digest.Algorithm(rest[:i]), rest[i+1:])
	return d, d.Validate() == nil
}

// NameOf returns the name of a blob as it is written: blobs/sha256.<hex>.
func NameOf(d digest.Digest) string {
	return Folder + "/" + strings.Replace(d.String(), ":", ".", 1)
}

// WriteFile writes a file, whose content must have the given size.
func WriteFile(tw *tar.Writer, name string, size int64, content io.Reader) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: Epoch}); err != nil {
		return err
	}
	_, err := stream.Copy(tw, content)
	return err
}
