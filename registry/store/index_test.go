package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestIndexOfNoUse starts over indexes that this version can't read. A registry that does not start helps nobody: what it had is
// written again, and finds the files of the blobs.
func TestIndexOfNoUse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil  func(t *testing.T, path string)
		says   string
		aside  bool
		reason string
	}{
		"no database": {
			spoil:  func(t *testing.T, path string) { t.Helper(); write(t, path, bytes.Repeat([]byte("x"), 1<<16)) },
			says:   "damaged",
			aside:  true,
			reason: "somebody may want to know what has happened to it",
		},
		"cut": {
			spoil:  func(t *testing.T, path string) { t.Helper(); write(t, path, make([]byte, 100)) },
			says:   "damaged",
			aside:  true,
			reason: "what has not even the first pages is no database",
		},
		"empty": {
			spoil:  func(t *testing.T, path string) { t.Helper(); write(t, path, nil) },
			reason: "a file without content lacks nothing",
		},
		"old format": {
			spoil:  func(t *testing.T, path string) { t.Helper(); setFormat(t, path, "1") },
			says:   "old format",
			reason: "the keys of format 1 were others",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := store.Open(dir, store.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			manifest, layer := artifact(t, repository(t, s, "team/app"), "layer", "v1")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "index.db")
			tc.spoil(t, path)
			var said string
			s = open(t, dir, store.Options{Log: func(message string) { said = message }})
			if !strings.Contains(said, tc.says) || (said == "") != (tc.says == "") {
				t.Errorf("%s: it says %q, want something about %q", tc.reason, said, tc.says)
			}
			if _, err := os.Stat(path + ".damaged"); (err == nil) != tc.aside {
				t.Errorf("%s: the old file was put aside: %v", tc.reason, err)
			}
			r := repository(t, s, "team/app")
			if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, store.ErrManifestNotFound) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, store.ErrManifestNotFound)
			}
			if again, _ := artifact(t, r, "layer", "v1"); again.Digest != manifest.Digest {
				t.Errorf("%s: pushed again it is %s, was %s", tc.reason, again.Digest, manifest.Digest)
			}
			if content, err := read(t, r, layer.Digest); err != nil || content != "layer" {
				t.Errorf("%s: got %q, %v", tc.reason, content, err)
			}
		})
	}
}

// TestIndexOfANewerVersion is not touched: nobody knows what is in it.
func TestIndexOfANewerVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	setFormat(t, filepath.Join(dir, "index.db"), "99")
	if _, err := store.Open(dir, store.Options{NoSync: true}); err == nil || !strings.Contains(err.Error(), `format "99"`) {
		t.Errorf("got %v", err)
	}
}

// TestRepositoriesComeAndGo makes and removes repositories with names that begin alike, and with everything a repository can have.
func TestRepositoriesComeAndGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	names := []string{"a", "a-b", "a/b", "a0", "b"}
	manifests := map[string]digest.Digest{}
	for _, name := range names {
		r := repository(t, s, name)
		m, _ := artifact(t, r, "content", "v1", "v2")
		signature, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, &m, push(t, r, "{}"), push(t, r, "signature")))
		if err != nil {
			t.Fatal(err)
		}
		manifests[name] = m.Digest
		if found, _, err := r.Referrers(t.Context(), m.Digest, "", "", 10); err != nil || len(found) != 1 || found[0].Digest != signature.Digest {
			t.Errorf("%s: referrers are %v, %v", name, found, err)
		}
		if err := r.DeleteManifest(t.Context(), signature.Digest); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range names {
		if err := repository(t, s, name).DeleteManifest(t.Context(), manifests[name]); err != nil {
			t.Fatal(err)
		}
		left, _, err := s.Repositories(t.Context(), "", 10)
		if err != nil || strings.Join(left, " ") != strings.Join(names[i+1:], " ") {
			t.Errorf("without %s there are %v, %v", name, left, err)
		}
		for _, other := range left {
			if tags, _, err := repository(t, s, other).Tags(t.Context(), "", 10); err != nil || strings.Join(tags, " ") != "v1 v2" {
				t.Errorf("without %s, %s has the tags %v, %v", name, other, tags, err)
			}
		}
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func setFormat(t *testing.T, path, format string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("state")).Put([]byte("format"), []byte(format)) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
