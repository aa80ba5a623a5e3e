package endurance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// temporary returns the files of the operator that are not meant to stay: those in its folder for such files, and in the
// embedded registry all that is neither the index nor a blob.
func (w *world) temporary() []string {
	w.t.Helper()
	var found []string
	each := func(root string, keep func(path string) bool) {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && entry.IsDir() {
				return nil
			}
			if path = strings.TrimPrefix(path, root+"/"); err == nil && !keep(path) {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	each(w.Operator.TempDir(), func(string) bool { return false })
	each(w.Operator.RegistryDir(), func(path string) bool {
		_, err := blobDigest(path)
		return path == "index.db" || err == nil
	})
	return found
}

// blobDigest returns the digest of the blob that a file of the registry is named after.
func blobDigest(path string) (digest.Digest, error) {
	parts := strings.Split(path, "/")
	if len(parts) != 4 || parts[0] != "blobs" || !strings.HasPrefix(parts[3], parts[2]) {
		return "", fmt.Errorf("%s is no blob", path)
	}
	return digest.Parse(parts[1] + ":" + parts[3])
}

// clean fails the test when a temporary file is left, or a blob is not what its name says.
func (w *world) clean() {
	w.t.Helper()
	w.Eventually("there is no temporary file", func() error {
		// A readiness check writes one for a moment.
		if left := w.temporary(); len(left) > 0 {
			return fmt.Errorf("there are %v", left)
		}
		return nil
	})
	if at := w.touched(w.Operator.TempDir()); !at.Equal(w.unused) {
		w.t.Errorf("the operator has written to its folder for temporary files at %s, which its documentation denies", at)
	}
	root, blobs := w.Operator.RegistryDir(), 0
	err := filepath.WalkDir(filepath.Join(root, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		want, err := blobDigest(strings.TrimPrefix(path, root+"/"))
		if err != nil {
			return nil // a readiness check writes a file for a moment
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		blobs++
		if got, err := want.Algorithm().FromReader(file); err != nil || got != want {
			w.t.Errorf("blob %s has digest %s: %v", want, got, err)
		}
		return nil
	})
	if err != nil {
		w.t.Fatalf("read the blobs of the embedded registry: %v", err)
	}
	w.t.Logf("%d blobs are what their names say", blobs)
}

// touched returns when a file was last made in a folder, or removed there.
func (w *world) touched(dir string) time.Time {
	w.t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return info.ModTime()
}
