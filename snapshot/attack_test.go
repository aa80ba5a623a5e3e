package snapshot_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// TestAttacksPublishNothing writes snapshots of archives that are refused: afterwards the registry has nothing that it
// did not have before, and nothing of them is left on the disk.
func TestAttacksPublishNothing(t *testing.T) {
	t.Parallel()
	for _, a := range archivetest.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := store.Open(dir, store.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			r := snapshottest.Repository(t, snapshot.Embedded(s), "team/app")
			good := writeTree(t, r, fstest.MapFS{"a": {Data: []byte("good")}})
			before, files := s.Stats(), filesBelow(t, dir)
			var partial []digest.Digest
			_, err = snapshot.Write(t.Context(), r, snapshot.Meta{Tag: "v1"}, func(w io.Writer) error {
				sum := digest.Canonical.Digester()
				_, err := archive.Copy(io.MultiWriter(w, sum.Hash()), a.Source(), nil, a.Limits)
				partial = append(partial, sum.Digest())
				return err
			})
			if !errors.Is(err, a.Err) {
				t.Errorf("got %v, want %v", err, a.Err)
			}
			if after := s.Stats(); after != before {
				t.Errorf("the store had %+v and has %+v", before, after)
			}
			if left := filesBelow(t, dir); len(left) != len(files) {
				t.Errorf("there were the files %v, and are %v", files, left)
			}
			if _, err := r.StatBlob(t.Context(), partial[0]); !errors.Is(err, snapshot.ErrNotFound) {
				t.Errorf("what was written before the error is there: %v", err)
			}
			if desc, _, err := r.Manifest(t.Context(), "v1"); err != nil || desc.Digest != good.ManifestDigest {
				t.Errorf("the tag points at %v, %v", desc.Digest, err)
			}
		})
	}
}

// writeTree writes a snapshot of a tree with the tag v1.
func writeTree(t *testing.T, r snapshot.Repository, tree fstest.MapFS) snapshot.Result {
	t.Helper()
	result, err := snapshot.Write(t.Context(), r, snapshot.Meta{Tag: "v1"}, func(w io.Writer) error { return archive.Pack(w, tree) })
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestStopsPublishNothing ends a write from outside, and by its source, after much of it is on the disk.
func TestStopsPublishNothing(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	for name, end := range map[string]struct {
		write func(cancel context.CancelFunc) error
		want  error
	}{
		"source":  {func(context.CancelFunc) error { return lost }, lost},
		"context": {func(cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := snapshottest.Repository(t, embedded(t, dir), "team/app")
			before := filesBelow(t, dir)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := snapshot.Write(ctx, r, snapshot.Meta{Tag: "v1"}, func(w io.Writer) error {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
				if staged, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(staged) != 1 {
					t.Errorf("staged: %v, %v", staged, err)
				}
				return end.write(cancel)
			})
			if !errors.Is(err, end.want) {
				t.Errorf("got %v, want %v", err, end.want)
			}
			if after := filesBelow(t, dir); len(after) != len(before) {
				t.Errorf("there were the files %v, and are %v", before, after)
			}
		})
	}
}
