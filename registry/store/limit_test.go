package store_test

import (
	"errors"
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
