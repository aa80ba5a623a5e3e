package scratch_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/internal/scratch"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// TestFile keeps content, and nothing that anybody could find.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := scratch.Create(dir, "test-")
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is there, %v", left, err)
	}
	if _, err := f.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("xy"), 1); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(f, 0, 10)); err != nil || string(got) != "axy" {
		t.Errorf("content is %q, %v", got, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Write([]byte("x")); !errors.Is(err, os.ErrClosed) || oci.SideOf(err) != oci.Here {
		t.Errorf("Write = %v of side %q", err, oci.SideOf(err))
	}
}

// TestNoFolder is about this side, whoever the content is from.
func TestNoFolder(t *testing.T) {
	t.Parallel()
	_, err := scratch.Create(filepath.Join(t.TempDir(), "none"), "test-")
	if !errors.Is(err, fs.ErrNotExist) || oci.SideOf(err) != oci.Here {
		t.Errorf("Create = %v of side %q", err, oci.SideOf(err))
	}
}
