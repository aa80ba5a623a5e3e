package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestMaxBlobBytes holds pushes to a size, however many writes they come in.
func TestMaxBlobBytes(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{MaxBlobBytes: 10})
	r := repository(t, s, "team/app")
	push(t, r, "0123456789")
	stage, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	if _, err := stage.Write([]byte("012345")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := stage.Write([]byte("56789")); n != 0 || !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("the eleventh byte: %d, %v", n, err)
		}
	}
	if _, err := stage.Commit(t.Context(), ""); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("commit: %v", err)
	}
	if _, err := r.StatBlob(t.Context(), digest.FromString("012345")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what fitted is kept: %v", err)
	}
}

// TestMaxStagedBytes holds all uploads together to a size. What ends, in whatever way, makes room for others.
func TestMaxStagedBytes(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{MaxStagedBytes: 10})
	r := repository(t, s, "team/app")
	begin := func(content string) *store.Stage {
		t.Helper()
		stage, err := r.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stage.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		return stage
	}
	check := func(staged, bytes int64) {
		t.Helper()
		if got := s.Stats(); got.Staged != staged || got.StagedBytes != bytes {
			t.Errorf("got %+v, want %d uploads of %d bytes", got, staged, bytes)
		}
	}
	one, two := begin("0123"), begin("456789")
	check(2, 10)
	refused := begin("")
	check(3, 10)
	for range 2 {
		_, err := refused.Write([]byte("x"))
		if !errors.Is(err, store.ErrStagingFull) || !strings.Contains(err.Error(), "hold at most 10 bytes") {
			t.Errorf("the eleventh byte: %v", err)
		}
	}
	if _, err := refused.Commit(t.Context(), ""); !errors.Is(err, store.ErrStagingFull) {
		t.Errorf("commit of what was refused: %v", err)
	}
	check(2, 10) // the refused one was ended
	if err := errors.Join(refused.Close(), refused.Close()); err != nil {
		t.Error(err)
	}
	check(2, 10)
	if _, err := one.Commit(t.Context(), ""); err != nil {
		t.Error(err)
	}
	check(1, 6)
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	check(0, 0)
	push(t, r, "9876543210")
	push(t, r, "9876543210") // is there already
	if _, err := begin("012345678").Commit(t.Context(), digest.FromString("other")); err == nil {
		t.Error("another digest was committed")
	}
	check(0, 0)
}

// TestStagedOfAKilledProcess finds uploads on the disk that nobody will end: they are gone after the start, and take no room.
func TestStagedOfAKilledProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "uploads", "blob-left")
	if err := errors.Join(os.MkdirAll(filepath.Dir(left), 0o700), os.WriteFile(left, make([]byte, 1<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, store.Options{MaxStagedBytes: 10})
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the upload is still there: %v", err)
	}
	push(t, repository(t, s, "team/app"), "0123456789")
	if got := s.Stats(); got.Staged != 0 || got.StagedBytes != 0 || got.Blobs != 1 {
		t.Errorf("got %+v", got)
	}
}
