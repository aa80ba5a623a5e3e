package store_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/registry/store/storetest"
)

func scrub(t *testing.T, s *store.Store) store.ScrubStats {
	t.Helper()
	stats, err := s.Scrub(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// TestScrubFindsEveryBit flips one bit after another of a blob that is known to be sound, and sets its times back.
func TestScrubFindsEveryBit(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), make(heard, 16)
	s := open(t, dir, store.Options{Notify: h.notify})
	a, b := repository(t, s, "a"), repository(t, s, "b")
	_, layer := artifact(t, a, "layer", "v1")
	artifact(t, b, "layer", "v1")
	if stats := scrub(t, s); stats != (store.ScrubStats{Blobs: 2, Manifests: 1, Bytes: stats.Bytes}) {
		t.Errorf("a sound store: %+v", stats)
	}
	for bit := range len("layer") * 8 {
		bad := []byte("layer")
		bad[bit/8] ^= 1 << (bit % 8)
		tampering["with the old time"](t, blobPath(dir, layer.Digest), bad)
		if stats := scrub(t, s); stats.Damaged != 1 || stats.Missing != 1 {
			t.Fatalf("bit %d: %+v", bit, stats)
		}
		for _, name := range []string{"a", "b"} {
			if n := h.expect(t, store.Lost, name); !strings.Contains(n.Detail, layer.Digest.String()) {
				t.Errorf("heard %+v", n)
			}
		}
		push(t, a, "layer")
	}
	if stats, kept := scrub(t, s), s.Stats(); stats.Damaged+stats.Missing > 0 || kept.Quarantined != 16 || kept.QuarantinedBytes != 16*5 {
		t.Errorf("in the end: %+v, %+v", stats, kept)
	}
	if got := s.Counters(); got.DamagedBlobs != 40 || got.ScrubbedBytes == 0 {
		t.Errorf("counted %+v", got)
	}
	if at, err := s.Scrubbed(); err != nil || at.IsZero() {
		t.Errorf("the end of the scrub is not known: %v, %v", at, err)
	}
}

// TestScrubOfIndex finds a manifest that is damaged.
func TestScrubOfIndex(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), make(heard, 16)
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	desc, _ := artifact(t, repository(t, s, "a"), "layer")
	if err := errors.Join(s.Close(), storetest.DamageManifest(dir, desc.Digest)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, store.Options{Notify: h.notify})
	if stats := scrub(t, s); stats.Damaged != 1 || stats.Manifests != 1 {
		t.Errorf("got %+v", stats)
	}
	h.expect(t, store.Lost, "a")
	if _, _, err := repository(t, s, "a").Manifest(t.Context(), desc.Digest.String()); !errors.Is(err, store.ErrManifestNotFound) {
		t.Errorf("got %v", err)
	}
	artifact(t, repository(t, s, "a"), "layer")
	if stats := scrub(t, s); stats.Damaged+stats.Missing > 0 {
		t.Errorf("pushed again: %+v", stats)
	}
}

// TestLossIsToldOnce takes a file away. Whoever looks for it finds that out, and all who use it are told; looking again tells
// nobody anything, as they who are told look. The next scrub reminds them.
func TestLossIsToldOnce(t *testing.T) {
	t.Parallel()
	dir, h := t.TempDir(), make(heard, 16)
	s := open(t, dir, store.Options{Notify: h.notify})
	_, layer := artifact(t, repository(t, s, "a"), "layer")
	artifact(t, repository(t, s, "b"), "layer")
	artifact(t, repository(t, s, "c"), "other")
	if err := os.Remove(blobPath(dir, layer.Digest)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := repository(t, s, "a").StatBlob(t.Context(), layer.Digest); !errors.Is(err, store.ErrBlobNotFound) {
			t.Errorf("got %v", err)
		}
	}
	h.expect(t, store.Lost, "a")
	h.expect(t, store.Lost, "b")
	if stats := scrub(t, s); stats.Missing != 1 {
		t.Errorf("got %+v", stats)
	}
	h.expect(t, store.Lost, "a")
	h.expect(t, store.Lost, "b")
	if len(h) > 0 {
		t.Errorf("more was said: %+v", <-h)
	}
}

// TestScrubKeepsToItsRate counts what is read between two ticks.
func TestScrubKeepsToItsRate(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	r := repository(t, s, "a")
	push(t, r, strings.Repeat("x", 1<<20))
	artifact(t, r, "layer")
	const rate = 1 << 20
	var before int64
	var waited time.Duration
	stats, err := s.ScrubPaced(t.Context(), rate, func(d time.Duration) {
		waited += d
		if now := s.Counters().ScrubbedBytes; now-before > int64(float64(rate)*d.Seconds()) {
			t.Errorf("%d bytes in %s", now-before, d)
		}
		before = s.Counters().ScrubbedBytes
	})
	if least := time.Duration(float64(stats.Bytes) / rate * float64(time.Second)); err != nil || waited < least || stats.Bytes < 1<<20 {
		t.Errorf("%d bytes in %s, want at least %s; %v", stats.Bytes, waited, least, err)
	}
}

// TestScrubBesideEverything scrubs without a pause beside pushes and collections, and takes nothing away that is sound.
func TestScrubBesideEverything(t *testing.T) {
	t.Parallel()
	var live liveRoots
	s := open(t, t.TempDir(), store.Options{LeaseTTL: shortLease, Notify: func(n store.Notice) { t.Errorf("heard %+v", n) }})
	group, ctx := errgroup.WithContext(t.Context())
	ctx, stop := context.WithCancel(ctx)
	group.Go(func() error {
		defer stop()
		for i := range 100 {
			d, err := fill(ctx, repository(t, s, "managed/a"), byte(i), 1000)
			if err != nil {
				return err
			}
			live.replace("managed/a", d.Digest)
		}
		return nil
	})
	for ctx.Err() == nil {
		if _, err := s.Collect(t.Context(), &live); err != nil {
			t.Error(err)
		}
		if stats := scrub(t, s); stats.Damaged+stats.Missing > 0 {
			t.Errorf("got %+v", stats)
		}
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// TestLeftovers removes what a process that was killed has left beside its uploads, and what an upload left that nobody ended.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"blobs/probe", "quarantine/sha256-00ff-1000"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("left"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, store.Options{})
	stage, err := repository(t, s, "a").Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	content := bytes.Repeat([]byte("too much for memory "), 10_000)
	if _, err := stage.Write(content); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "uploads", "blob-left")
	if err := os.WriteFile(left, []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "uploads", "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range files {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if stats := scrub(t, s); stats.Abandoned != 1 {
		t.Errorf("got %+v", stats)
	}
	for _, name := range []string{"blobs/probe", "quarantine/sha256-00ff-1000", "uploads/blob-left"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if _, err := stage.Write(content); err != nil {
		t.Error(err)
	}
	if _, err := stage.Commit(t.Context(), ""); err != nil {
		t.Errorf("an upload that goes on: %v", err)
	}
}
