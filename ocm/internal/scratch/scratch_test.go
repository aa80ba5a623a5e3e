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
	f, err := scratch.Create(dir, "test-", nil)
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
	_, err := scratch.Create(filepath.Join(t.TempDir(), "none"), "test-", nil)
	if !errors.Is(err, fs.ErrNotExist) || oci.SideOf(err) != oci.Here {
		t.Errorf("Create = %v of side %q", err, oci.SideOf(err))
	}
}

// room counts what is taken of it.
type room struct{ used, max int64 }

var errFull = errors.New("full")

// Take implements scratch.Room.
func (r *room) Take(n int64) error {
	if r.used+n > r.max {
		return errFull
	}
	r.used += n
	return nil
}

// Give implements scratch.Room.
func (r *room) Give(n int64) { r.used -= n }

// TestRoom takes what a file has grown by, once for what is written twice, and gives it back.
func TestRoom(t *testing.T) {
	t.Parallel()
	r := &room{max: 10}
	f, err := scratch.Create(t.TempDir(), "test-", r)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := f.WriteAt([]byte("12345678"), 0); err != nil || r.used != 8 {
			t.Errorf("%d bytes are taken, %v", r.used, err)
		}
		if n, err := f.WriteAt([]byte("90+"), 8); n != 0 || !errors.Is(err, errFull) || oci.SideOf(err) != oci.Here || r.used != 8 {
			t.Errorf("WriteAt = %d, %v of side %q, with %d bytes taken", n, err, oci.SideOf(err), r.used)
		}
	}
	if _, err := f.WriteAt([]byte("90"), 8); err != nil || r.used != 10 {
		t.Errorf("%d bytes are taken, %v", r.used, err)
	}
	if err := f.Close(); err != nil || r.used != 0 {
		t.Errorf("%d bytes are taken after Close, %v", r.used, err)
	}
	if _ = f.Close(); r.used != 0 {
		t.Errorf("%d bytes are taken after Close twice", r.used)
	}
}
