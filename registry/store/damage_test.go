package store_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// damage flips a bit of a manifest in the index of a store that is closed.
func damage(t *testing.T, dir string, d digest.Digest) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "index.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		body := bytes.Clone(store.Body(tx, d))
		body[len(body)-1] ^= 1
		return store.PutBody(tx, d, body)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedManifest changes a manifest behind the store's back. The error says once whose fault that is, its repository is
// told, and a push repairs it.
func TestDamagedManifest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	desc, _ := artifact(t, repository(t, s, "team/app"), "layer", "v1")
	_, body, err := repository(t, s, "team/app").Manifest(t.Context(), "v1")
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	damage(t, dir, desc.Digest)
	heard := make(chan store.Notice, 8)
	reopened := open(t, dir, store.Options{Notify: func(n store.Notice) { heard <- n }})
	r := repository(t, reopened, "team/app")
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want %v", err, store.ErrDamaged)
	}
	if got := <-heard; got.Kind != store.Lost || got.Repository != "team/app" || !strings.Contains(got.Detail, "is damaged") {
		t.Errorf("the repository was told %+v", got)
	}
	for _, ref := range []string{"v1", desc.Digest.String()} {
		if _, _, err := r.Manifest(t.Context(), ref); !errors.Is(err, store.ErrManifestNotFound) {
			t.Errorf("%s afterwards: got %v, want %v", ref, err, store.ErrManifestNotFound)
		}
	}
	if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, indexOf(t, desc)); !errors.As(err, new(*store.MissingBlobError)) {
		t.Errorf("an index of it is taken: %v", err)
	}
	for range 2 {
		if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, body, "v1"); err != nil {
			t.Fatal(err)
		}
		if _, got, err := r.Manifest(t.Context(), "v1"); err != nil || !bytes.Equal(got, body) {
			t.Errorf("pushed again: %v", err)
		}
	}
	if len(heard) > 0 {
		t.Errorf("it was told again: %+v", <-heard)
	}
	if stats := collect(t, reopened); stats.Manifests != 0 {
		t.Errorf("got %+v", stats)
	}
}
