package scratch

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "crypto/sha256" // for digests, which know it by name only
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// layer is what the files of an image are packed into.
type layer struct {
	compressed []byte
	// diffID is the digest of what is compressed.
	diffID digest.Digest
}

// pack writes the files in the order of their names, each after the directories above it.
func pack(files []File) (layer, error) {
	files, err := complete(files)
	if err != nil {
		return layer{}, err
	}
	var compressed bytes.Buffer
	// Its header has neither a name nor a time.
	zw := gzip.NewWriter(&compressed)
	diffID := digest.SHA256.Digester()
	tw := tar.NewWriter(io.MultiWriter(zw, diffID.Hash()))
	for _, f := range files {
		if err := f.write(tw); err != nil {
			return layer{}, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		return layer{}, fmt.Errorf("pack files: %w", err)
	}
	return layer{compressed: compressed.Bytes(), diffID: diffID.Digest()}, nil
}

// complete checks the files, adds the directories that they need, and sorts all of them.
func complete(files []File) ([]File, error) {
	all := map[string]File{}
	for _, f := range files {
		if err := f.check(); err != nil {
			return nil, err
		}
		if _, twice := all[f.Name]; twice {
			return nil, fmt.Errorf("file %s is in the image twice", f.Name)
		}
		all[f.Name] = f
	}
	for _, f := range files {
		for dir := path.Dir(f.Name); dir != "/"; dir = path.Dir(dir) {
			if above, ok := all[dir]; ok && !above.Mode.IsDir() {
				return nil, fmt.Errorf("file %s is below %s, which is not a directory", f.Name, dir)
			} else if !ok {
				all[dir] = File{Name: dir, Mode: fs.ModeDir}
			}
		}
	}
	sorted := make([]File, 0, len(all))
	for _, f := range all {
		sorted = append(sorted, f)
	}
	// A directory is a prefix of what is in it, and so comes before it.
	slices.SortFunc(sorted, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return sorted, nil
}

func (f File) check() error {
	switch {
	case !path.IsAbs(f.Name) || path.Clean(f.Name) != f.Name || f.Name == "/":
		return fmt.Errorf("file %q: its name has to be an absolute path without . and .. and a slash at its end", f.Name)
	case f.Path != "" && f.Content != nil:
		return fmt.Errorf("file %s has a content and a path; give one of them", f.Name)
	case (f.Mode.IsDir() || f.Link != "") && (f.Path != "" || f.Content != nil), f.Mode.IsDir() && f.Link != "":
		return fmt.Errorf("file %s: only one of a directory, a link and a content", f.Name)
	case f.Mode&^(fs.ModeDir|fs.ModeSticky|fs.ModePerm) != 0:
		return fmt.Errorf("file %s has mode %s; only permissions, directories and the sticky bit are supported", f.Name, f.Mode)
	}
	return nil
}

func (f File) write(tw *tar.Writer) error {
	header := tar.Header{Name: strings.TrimPrefix(f.Name, "/"), Uid: f.UID, Gid: f.GID, Mode: f.bits(), ModTime: time.Unix(0, 0)}
	switch {
	case f.Mode.IsDir():
		header.Typeflag = tar.TypeDir
		header.Name += "/"
		return tw.WriteHeader(&header)
	case f.Link != "":
		header.Typeflag = tar.TypeSymlink
		header.Linkname = f.Link
		return tw.WriteHeader(&header)
	case f.Path != "":
		return f.copyTo(tw, header)
	default:
		header.Typeflag = tar.TypeReg
		header.Size = int64(len(f.Content))
		if err := tw.WriteHeader(&header); err != nil {
			return err
		}
		_, err := tw.Write(f.Content)
		return err
	}
}

func (f File) copyTo(tw *tar.Writer, header tar.Header) error {
	source, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // Read only.
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Path)
	}
	header.Typeflag = tar.TypeReg
	header.Size = info.Size()
	if err := tw.WriteHeader(&header); err != nil {
		return err
	}
	// A file that grows or shrinks meanwhile is noticed by its size, here or at the next header.
	_, err = io.Copy(tw, source)
	return err
}

// bits are the permissions as tar has them; those that were not given let everybody read.
func (f File) bits() int64 {
	bits := int64(f.Mode.Perm())
	switch {
	case f.Link != "":
		bits = 0o777
	case bits == 0 && f.Mode.IsDir():
		bits = 0o755
	case bits == 0:
		bits = 0o644
	}
	if f.Mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
