package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestFailedSync has the disk refuse a blob after its name was given, or its name. The push of the manifest fails, nothing is
// left that the next one could take for a blob, and when the disk is well again everything can be pushed.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	broken, content := errors.New("input/output error"), []byte("content")
	d := digest.FromBytes(content)
	for name, part := range map[string]string{"bytes": "uploads", "name": "blobs"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := store.Open(dir, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			r := repository(t, s, "team/app")
			push(t, r, "content")
			if err := r.DeleteBlob(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			var fails atomic.Bool
			s.SyncDirs(func(path string, really func() error) error {
				if strings.HasPrefix(path, filepath.Join(dir, part)) && fails.Load() {
					return broken
				}
				return really()
			})
			fails.Store(true)
			put := func() error {
				desc, err := pushBlob(t.Context(), r, content, "")
				if err != nil {
					t.Fatal(err)
				}
				_, err = r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, nil, desc), "v1")
				return err
			}
			if err := put(); !errors.Is(err, broken) {
				t.Errorf("got %v, want %v", err, broken)
			}
			if _, err := os.Stat(blobPath(dir, d)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its file: %v", err)
			}
			if got := s.Stats(); got != (store.Stats{}) {
				t.Errorf("it is counted: %+v", got)
			}
			if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("its manifest: %v", err)
			}
			fails.Store(false)
			if err := put(); err != nil {
				t.Errorf("with a sound disk: %v", err)
			}
		})
	}
}

// TestFoundBlobIsSynced finds a blob that was left by a process that was killed. A manifest names it after it was synced once more.
func TestFoundBlobIsSynced(t *testing.T) {
	t.Parallel()
	broken, content := errors.New("input/output error"), []byte("content")
	dir := t.TempDir()
	path := blobPath(dir, digest.FromBytes(content))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SyncDirs(func(synced string, really func() error) error {
		if synced == path {
			return broken
		}
		return really()
	})
	r := repository(t, s, "team/app")
	desc := push(t, r, "content")
	_, err = r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, nil, desc), "v1")
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its file: %v", err)
	}
}

// TestFoundBlobOfOthers has the disk fail once while a blob is synced for another manifest. Those who have it keep it.
func TestFoundBlobOfOthers(t *testing.T) {
	t.Parallel()
	broken, content, dir := errors.New("input/output error"), []byte("content"), t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	body := image(t, nil, push(t, repository(t, s, "team/app"), "content"))
	if _, err := repository(t, s, "team/app").PutManifest(t.Context(), ocispec.MediaTypeImageManifest, body, "v1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var sound atomic.Bool
	s.SyncDirs(func(path string, really func() error) error {
		if path == blobPath(dir, digest.FromBytes(content)) && !sound.Load() {
			return broken
		}
		return really()
	})
	r := repository(t, s, "team/app")
	if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, body, "v2"); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if err := checkArtifact(t.Context(), r, "v1"); err != nil {
		t.Errorf("what was there before: %v", err)
	}
	sound.Store(true)
	if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, body, "v2"); err != nil {
		t.Errorf("with a sound disk: %v", err)
	}
}

// TestManyUnsynced has many push many small blobs at once, more than wait for the disk, and large ones among them.
func TestManyUnsynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var group errgroup.Group
	for n := range 8 {
		r := repository(t, s, fmt.Sprint("team/app", n))
		group.Go(func() error {
			var layers []ocispec.Descriptor
			for i := range 24 {
				desc, err := pushBlob(t.Context(), r, []byte(strings.Repeat(fmt.Sprint(n, " ", i, "\n"), 1+i%2*20_000)), "")
				if err != nil {
					return err
				}
				layers = append(layers, desc)
			}
			_, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, nil, layers[0], layers...), "v1")
			if err != nil {
				return err
			}
			return checkArtifact(t.Context(), r, "v1")
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) > 0 {
		t.Errorf("left of uploads: %v, %v", left, err)
	}
	if got := s.Stats(); got.Blobs != 8*24 || got.Staged != 0 || got.StagedBytes != 0 {
		t.Errorf("got %+v", got)
	}
}
