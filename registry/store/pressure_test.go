package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// ailing is a disk on which some things fail.
type ailing struct {
	store.Disk

	create, remove, commit func(path string) error
}

func fails(when func(string) error, path string) error {
	if when == nil {
		return nil
	}
	return when(path)
}

func (a *ailing) CreateTemp(dir, pattern string) (store.DiskFile, error) {
	if err := fails(a.create, filepath.Join(dir, pattern)); err != nil {
		return nil, err
	}
	return a.Disk.CreateTemp(dir, pattern)
}

func (a *ailing) Remove(path string) error {
	if err := fails(a.remove, path); err != nil {
		return err
	}
	return a.Disk.Remove(path)
}

func (a *ailing) Commit(path string, write func() error) error {
	if err := fails(a.commit, path); err != nil {
		return err
	}
	return a.Disk.Commit(path, write)
}

// withoutFiles is a disk that has bytes, and no place for another upload.
func withoutFiles() *ailing {
	tries := 0
	return &ailing{Disk: store.OSDisk(), create: func(path string) error {
		if !strings.HasPrefix(filepath.Base(path), "blob-") {
			return nil
		}
		tries++
		return &os.PathError{Op: "open", Path: path + strings.Repeat("1", tries), Err: syscall.ENOSPC}
	}}
}

// TestOffersInVainBecomeRare has a repository try whenever it is told that there is room. What it lacks is nothing that shows, so
// it is told so less and less often; and nothing is collected for it.
func TestOffersInVainBecomeRare(t *testing.T) {
	t.Parallel()
	c, h := &clock{}, make(heard, 1000)
	s := open(t, t.TempDir(), store.OnDisk(withoutFiles(), store.Options{Now: c.Now, Notify: h.notify}))
	var collections atomic.Int64
	collecting(t, s, rootsFunc(func(context.Context) (store.RootSet, error) {
		collections.Add(1)
		return store.RootSet{Complete: true}, nil
	}))
	r := repository(t, s, "ns/owner")
	try := func() {
		if _, err := pushBlob(t.Context(), r, []byte("content"), ""); !errors.Is(err, store.ErrStorageFull) || strings.Contains(err.Error(), "blob-") {
			t.Fatalf("got %v", err)
		}
	}
	try()
	first := h.expect(t, store.Refused, "ns/owner")
	offers := 0
	for range 3600 {
		c.Advance(time.Second)
		s.OfferRoom()
		if len(h) == 0 {
			continue
		}
		h.expect(t, store.Room, "ns/owner")
		offers++
		try()
		if again := h.expect(t, store.Refused, "ns/owner"); again != first {
			t.Errorf("it hears %q, and heard %q", again.Detail, first.Detail)
		}
	}
	if offers < 5 || offers > 15 {
		t.Errorf("room was offered %d times in an hour", offers)
	}
	if n := collections.Load(); n > 0 {
		t.Errorf("there were %d collections, of which nothing can come", n)
	}
}

// TestNeedIsThatOfTheLastTry: who wants less now is offered less.
func TestNeedIsThatOfTheLastTry(t *testing.T) {
	t.Parallel()
	h := make(heard, 16)
	s := open(t, t.TempDir(), store.Options{MaxBytes: 1000, Notify: h.notify})
	big, r := repository(t, s, "big"), repository(t, s, "r")
	layer := push(t, big, strings.Repeat("b", 950))
	for _, size := range []int{900, 100} {
		if _, err := fill(t.Context(), r, 'r', size); !errors.Is(err, store.ErrStorageFull) {
			t.Fatal(err)
		}
	}
	h.expect(t, store.Refused, "r")
	if err := big.DeleteBlob(t.Context(), layer.Digest); err != nil {
		t.Fatal(err)
	}
	push(t, big, strings.Repeat("c", 500))
	s.OfferRoom()
	h.expect(t, store.Room, "r")
}

// TestRefusalsEnd when nobody minds them any more: whoever was refused is content with what is there, or does not try again.
func TestRefusalsEnd(t *testing.T) {
	t.Parallel()
	c, h := &clock{}, make(heard, 16)
	s := open(t, t.TempDir(), store.Options{MaxBytes: 1000, Now: c.Now, Notify: h.notify})
	for name, end := range map[string]func(){
		"settled":   func() { s.Settle("settled") },
		"forgotten": func() { c.Advance(time.Hour); s.OfferRoom() },
	} {
		if _, err := fill(t.Context(), repository(t, s, name), 'x', 5000); !errors.Is(err, store.ErrStorageFull) {
			t.Fatal(err)
		}
		h.expect(t, store.Refused, name)
		s.OfferRoom()
		if _, refused := s.Refused(name); !refused {
			t.Errorf("%s: what never fits is offered room", name)
		}
		end()
		h.expect(t, store.Room, name)
		if _, refused := s.Refused(name); refused {
			t.Errorf("%s: it is refused still", name)
		}
	}
	s.Settle("nobody")
	if len(h) > 0 {
		t.Errorf("heard %+v", <-h)
	}
}

// TestHistoryIsNotGivenUpForNothing refuses content for which there would be no room without any history, and gives up as little as
// is needed for content that fits.
func TestHistoryIsNotGivenUpForNothing(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{MaxBytes: 10_000, Now: c.Now})
	a := repository(t, s, "managed/a")
	old, shared, current := mustFill(t, a, '1', 1500), mustFill(t, a, '2', 500), mustFill(t, a, '3', 5500)
	alike := mustFill(t, repository(t, s, "managed/c"), '2', 500)
	c.Advance(2 * time.Hour)
	collecting(t, s, roots{Complete: true, Managed: managed("managed/"), Manifests: []store.Root{
		{Repository: "managed/a", Digest: old, Superseded: true},
		{Repository: "managed/a", Digest: shared, Superseded: true},
		{Repository: "managed/a", Digest: current},
		{Repository: "managed/c", Digest: alike},
	}})
	for _, size := range []int{4100, 5000} { // with 1500, and without 500 of which another needs the blob, too
		if _, err := fill(t.Context(), repository(t, s, "managed/b"), 'x', size); !errors.Is(err, store.ErrStorageFull) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !s.Holds("managed/a", old) || !s.Holds("managed/a", shared) {
			t.Errorf("history went for %d bytes, which don't fit without it", size)
		}
	}
	mustFill(t, repository(t, s, "managed/b"), 'y', 3900)
	if s.Holds("managed/a", old) || !s.Holds("managed/a", shared) || !s.Holds("managed/a", current) {
		t.Error("not the oldest history alone has gone for what fits")
	}
}

// TestCollectionGoesOnPastWhatFails: one file that can't be removed, and one directory that can't be read, keep nothing else.
func TestCollectionGoesOnPastWhatFails(t *testing.T) {
	t.Parallel()
	c, dir := &clock{}, t.TempDir()
	stuck := digest.FromString(strings.Repeat("s", 100))
	bad := syscall.EIO
	disk := &ailing{Disk: store.OSDisk(), remove: func(path string) error {
		if filepath.Base(path) == stuck.Encoded() {
			return &os.PathError{Op: "unlink", Path: path, Err: bad}
		}
		return nil
	}}
	s := open(t, dir, store.OnDisk(disk, store.Options{MaxBytes: 1000, Now: c.Now}))
	r := repository(t, s, "managed/a")
	push(t, r, strings.Repeat("s", 100))
	loose := push(t, r, strings.Repeat("l", 100))
	old, current := mustFill(t, r, 'o', 300), mustFill(t, r, 'c', 400)
	c.Advance(2 * time.Hour)
	loop := filepath.Join(dir, "blobs", "sha512", "00")
	if err := errors.Join(os.MkdirAll(filepath.Dir(loop), 0o700), os.Symlink(loop, loop)); err != nil {
		t.Fatal(err)
	}
	stats, err := s.Collect(t.Context(), roots{Complete: true, Managed: managed("managed/"), Manifests: []store.Root{
		{Repository: "managed/a", Digest: old, Superseded: true}, {Repository: "managed/a", Digest: current},
	}})
	if !errors.Is(err, bad) || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("it does not tell: %v", err)
	}
	if _, err := os.Stat(blobPath(dir, loose.Digest)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what nothing refers to: %v", err)
	}
	if stats.Superseded != 1 || s.Holds("managed/a", old) || !s.Holds("managed/a", current) {
		t.Errorf("under pressure: %+v", stats)
	}
}

// TestStartCountsFiles: blobs that no index knows take room all the same, and none is counted twice.
func TestStartCountsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, err := store.Open(dir, store.Options{NoSync: true, MaxBytes: 2000})
	if err != nil {
		t.Fatal(err)
	}
	mustFill(t, repository(t, before, "a"), 'a', 900)
	if err := errors.Join(before.Close(), os.WriteFile(filepath.Join(dir, "index.db"), []byte("no index"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, store.Options{MaxBytes: 2000})
	r := repository(t, s, "a")
	if _, err := fill(t.Context(), r, 'b', 1200); !errors.Is(err, store.ErrStorageFull) {
		t.Errorf("there is no room beside what the index does not know: %v", err)
	}
	check := func(blobs, bytes int64) {
		t.Helper()
		if got := s.Stats(); got.Blobs != blobs || got.Bytes != bytes {
			t.Errorf("the store has %+v, want %d with %d bytes", got, blobs, bytes)
		}
	}
	check(1, 900)
	adopted := push(t, r, strings.Repeat("a", 900))
	check(1, 900)
	if err := r.DeleteBlob(t.Context(), adopted.Digest); err != nil {
		t.Fatal(err)
	}
	check(0, 0)
}

// TestFullDiskStarts: a disk without room is no reason not to serve what is there.
func TestFullDiskStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	manifest, _ := artifact(t, repository(t, before, "a"), "layer")
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	full.Store(true)
	disk := &ailing{Disk: store.OSDisk(), commit: func(path string) error {
		if full.Load() {
			return &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
		}
		return nil
	}}
	s := open(t, dir, store.OnDisk(disk, store.Options{}))
	if err := checkArtifact(t.Context(), repository(t, s, "a"), manifest.Digest.String()); err != nil {
		t.Error(err)
	}
	full.Store(false)
	artifact(t, repository(t, s, "a"), "another")
}
