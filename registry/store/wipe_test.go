package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestWipedDirectories takes directories away from a running store. What was in them is gone, which is not
// to be hidden, and everything can be pushed again.
func TestWipedDirectories(t *testing.T) {
	t.Parallel()
	for name, wipe := range map[string][]string{
		"one blob directory": {"blobs/sha256/" + digest.FromString("layer").Encoded()[:2]},
		"all blobs":          {"blobs/sha256"},
		"blobs themselves":   {"blobs"},
		"uploads":            {"uploads"},
		"everything":         {"blobs", "uploads"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := store.Open(dir, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			r := repository(t, s, "team/app")
			before, layer := artifact(t, r, "layer", "v1")
			for _, path := range wipe {
				if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.StatBlob(t.Context(), layer.Digest); name != "uploads" && !errors.Is(err, store.ErrBlobNotFound) {
				t.Errorf("a blob that is gone: %v", err)
			}
			after, _ := artifact(t, r, "layer", "v1")
			if after.Digest != before.Digest {
				t.Errorf("manifest %s is now %s", before.Digest, after.Digest)
			}
			if content, err := read(t, r, layer.Digest); err != nil || content != "layer" {
				t.Errorf("pushed again: %q, %v", content, err)
			}
		})
	}
}

// TestIndexSurvivesItsFile takes everything away from a running store, and stops it in order. What was pushed before and
// after is known to the next one, as are the leases.
func TestIndexSurvivesItsFile(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"the files": "*", "the directory itself": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "registry")
			s, err := store.Open(dir, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			gone, err := filepath.Glob(filepath.Join(dir, path))
			if err != nil || len(gone) == 0 {
				t.Fatalf("nothing to remove: %v", err)
			}
			for _, path := range gone {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
			r := repository(t, s, "team/app")
			manifest, _ := artifact(t, r, "layer", "v1")
			loose := push(t, r, "leased only")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = store.Open(dir, store.Options{}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			r = repository(t, s, "team/app")
			if got, _, err := r.Manifest(t.Context(), "v1"); err != nil || got.Digest != manifest.Digest {
				t.Errorf("manifest %s (%v), want %s", got.Digest, err, manifest.Digest)
			}
			collect(t, s)
			if content, err := read(t, r, loose.Digest); err != nil || content != "leased only" {
				t.Errorf("a blob that a lease alone keeps: %q, %v", content, err)
			}
		})
	}
}

// TestIndexOfAnotherStays: a file that is there when a store stops is not replaced.
func TestIndexOfAnotherStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	artifact(t, repository(t, old, "old"), "layer", "v1")
	if err := os.Remove(filepath.Join(dir, "index.db")); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	manifest, _ := artifact(t, repository(t, s, "new"), "layer", "v1")
	if err := errors.Join(old.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _, err := repository(t, s, "new").Manifest(t.Context(), "v1"); err != nil || got.Digest != manifest.Digest {
		t.Errorf("manifest %s (%v), want %s", got.Digest, err, manifest.Digest)
	}
}

// TestCheckLooksAtBlobs makes the probe go the way that a blob goes.
func TestCheckLooksAtBlobs(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), &clock{}
	s := open(t, dir, store.Options{Now: c.Now})
	check := func() error {
		c.Advance(time.Minute)
		return s.Check(t.Context())
	}
	blobs := filepath.Join(dir, "blobs")
	if err := errors.Join(check(), os.RemoveAll(blobs), os.RemoveAll(filepath.Join(dir, "uploads"))); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Errorf("directories that can be made again: %v", err)
	}
	if left, err := os.ReadDir(blobs); err != nil || len(left) > 0 {
		t.Errorf("the probe left %v, %v", left, err)
	}
	if err := errors.Join(os.Remove(blobs), os.WriteFile(blobs, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := check(); err == nil {
		t.Error("a store that can't keep a blob is ready")
	}
	if err := os.Remove(blobs); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Errorf("a store that can keep blobs again: %v", err)
	}
}

// TestFailedDirectorySync fails a push after the file has its name. Nobody may rely on that name.
func TestFailedDirectorySync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, d := repository(t, s, "team/app"), digest.FromString("content")
	broken, synced := errors.New("input/output error"), map[string]int{}
	fails, mu := true, sync.Mutex{}
	s.SyncDirs(func(path string, really func() error) error {
		mu.Lock()
		defer mu.Unlock()
		if synced[path]++; fails && filepath.Base(path) == d.Encoded()[:2] {
			return broken
		}
		return really()
	})
	if _, err := pushBlob(t.Context(), r, []byte("content"), ""); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if _, err := r.StatBlob(t.Context(), d); !errors.Is(err, store.ErrBlobNotFound) {
		t.Errorf("a blob whose push failed: %v", err)
	}
	target := filepath.Join(dir, "blobs", "sha256", d.Encoded()[:2], d.Encoded())
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its file: %v", err)
	}
	if got := s.Stats(); got != (store.Stats{}) {
		t.Errorf("it is counted: %+v", got)
	}
	// A process that was killed in between leaves the file, and the next one finds it.
	if err := os.WriteFile(target, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pushBlob(t.Context(), r, []byte("content"), ""); !errors.Is(err, broken) {
		t.Errorf("a file with a name that is not on the disk was taken: %v", err)
	}
	mu.Lock()
	fails = false
	mu.Unlock()
	put := func() int {
		_, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, nil, push(t, r, "content")), "v1")
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return synced[filepath.Dir(target)]
	}
	before := put()
	if after := put(); after != before {
		t.Errorf("a directory that is known to be on the disk was synced %d times more", after-before)
	}
	if content, err := read(t, r, d); err != nil || content != "content" {
		t.Errorf("got %q, %v", content, err)
	}
}
