package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/hack/benchtest"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

func blobPath(dir string, d digest.Digest) string {
	return filepath.Join(dir, "blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded())
}

// tampering changes a file of a blob in ways that keep its size, and some of them its times.
var tampering = map[string]func(t *testing.T, path string, bad []byte){
	"in place": func(t *testing.T, path string, bad []byte) {
		t.Helper()
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"another file": func(t *testing.T, path string, bad []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path+".new", bad, 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	},
	"with the old time": func(t *testing.T, path string, bad []byte) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path, bad, 0o600), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
	},
}

// TestTamperedBlob changes a blob behind the store's back, while it runs and while it doesn't. Nobody gets the bytes, and
// pushing the blob again repairs it.
func TestTamperedBlob(t *testing.T) {
	t.Parallel()
	for name, tamper := range tampering {
		for when, restarts := range map[string]bool{"while it runs": false, "while it is stopped": true} {
			for how, first := range map[string]func(*store.Repository, context.Context, digest.Digest) error{
				"opened": func(r *store.Repository, ctx context.Context, d digest.Digest) error {
					_, _, err := r.OpenBlob(ctx, d)
					return err
				},
				"looked for": func(r *store.Repository, ctx context.Context, d digest.Digest) error {
					_, err := r.StatBlob(ctx, d)
					return err
				},
				"mounted": func(r *store.Repository, ctx context.Context, d digest.Digest) error {
					_, err := r.MountBlob(ctx, r, d)
					return err
				},
			} {
				t.Run(strings.Join([]string{name, when, how}, " "), func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					s, err := store.Open(dir, store.Options{NoSync: true})
					if err != nil {
						t.Fatal(err)
					}
					desc, layer := artifact(t, repository(t, s, "team/app"), "layer", "v1")
					if content, err := read(t, repository(t, s, "team/app"), layer.Digest); err != nil || content != "layer" {
						t.Fatalf("before: %q, %v", content, err)
					}
					if restarts {
						if err := s.Close(); err != nil {
							t.Fatal(err)
						}
					}
					tamper(t, blobPath(dir, layer.Digest), []byte("LAYER"))
					if restarts {
						if s, err = store.Open(dir, store.Options{NoSync: true}); err != nil {
							t.Fatal(err)
						}
					}
					defer s.Close()
					r := repository(t, s, "team/app")
					err = first(r, t.Context(), layer.Digest)
					if mismatch, ok := errors.AsType[*store.DigestMismatchError](err); !errors.Is(err, store.ErrDamaged) || !ok || mismatch.Want != layer.Digest {
						t.Errorf("got %v, want %v", err, store.ErrDamaged)
					}
					if _, _, err := r.OpenBlob(t.Context(), layer.Digest); !errors.Is(err, store.ErrBlobNotFound) {
						t.Errorf("afterwards: %v, want %v", err, store.ErrBlobNotFound)
					}
					again, _ := artifact(t, r, "layer", "v1")
					if content, err := read(t, r, layer.Digest); err != nil || content != "layer" || again.Digest != desc.Digest {
						t.Errorf("pushed again: %q, %v", content, err)
					}
				})
			}
		}
	}
}

// TestTamperedBlobIsReplaced pushes a blob whose file is there already with other bytes of the same length.
func TestTamperedBlobIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	r := repository(t, s, "team/app")
	_, layer := artifact(t, r, "layer", "v1")
	s.Counted()
	before := s.Stats()
	tampering["in place"](t, blobPath(dir, layer.Digest), []byte("LAYER"))
	push(t, r, "layer")
	if content, err := read(t, r, layer.Digest); err != nil || content != "layer" {
		t.Errorf("got %q, %v", content, err)
	}
	before.Quarantined, before.QuarantinedBytes = 1, int64(len("LAYER"))
	if after := s.Stats(); after != before {
		t.Errorf("the store has %+v, want %+v", after, before)
	}
}

// TestTamperedUpload changes the file of an upload after it was written and before it is a blob. Nobody gets the bytes, and
// pushing the blob again repairs it.
func TestTamperedUpload(t *testing.T) {
	t.Parallel()
	for name, tamper := range tampering {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := repository(t, open(t, dir, store.Options{}), "team/app")
			stage, err := r.Stage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			content := strings.Repeat("too much for memory ", 10_000)
			if _, err := io.WriteString(stage, content); err != nil {
				t.Fatal(err)
			}
			uploads, err := filepath.Glob(filepath.Join(dir, "uploads", "blob-*"))
			if err != nil || len(uploads) != 1 {
				t.Fatalf("uploads are %v, %v", uploads, err)
			}
			tamper(t, uploads[0], []byte("evil"))
			good := digest.FromString(content)
			if _, err := stage.Commit(t.Context(), good); err != nil {
				t.Fatal(err)
			}
			if got, err := read(t, r, good); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("got %q, %v; want %v", got, err, store.ErrDamaged)
			}
			push(t, r, content)
			if got, err := read(t, r, good); err != nil || got != content {
				t.Errorf("pushed again: %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestProofEndsWithItsContext stops a look at a blob that nobody waits for any more. That says nothing of the blob.
func TestProofEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	r := repository(t, s, "team/app")
	_, layer := artifact(t, r, "layer", "v1")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(blobPath(dir, layer.Digest), later, later); err != nil {
		t.Fatal(err)
	}
	ctx := &ending{Context: t.Context(), after: 1}
	if _, _, err := r.OpenBlob(ctx, layer.Digest); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if content, err := read(t, r, layer.Digest); err != nil || content != "layer" {
		t.Errorf("got %q, %v", content, err)
	}
}

// ending is over after it was asked some times.
type ending struct {
	context.Context

	after int
}

func (e *ending) Err() error {
	if e.after--; e.after >= 0 {
		return nil
	}
	return context.Canceled
}

// BenchmarkOpenBlob opens a blob: one that is known to be sound, and one that is compared with its digest first.
func BenchmarkOpenBlob(b *testing.B) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 16<<20/16)
	for name, touched := range map[string]bool{"known": false, "compared": true} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			s := open(b, dir, store.Options{})
			r := repository(b, s, "team/app")
			desc := push(b, r, string(content))
			n := 0
			benchtest.Run(b, content, func() error {
				if touched {
					n++
					at := time.Unix(int64(n), 0)
					if err := os.Chtimes(blobPath(dir, desc.Digest), at, at); err != nil {
						return err
					}
				}
				f, _, err := r.OpenBlob(b.Context(), desc.Digest)
				if err != nil {
					return err
				}
				return f.(io.Closer).Close()
			})
		})
	}
}
