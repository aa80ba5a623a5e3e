package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// broken makes a blob unreadable, and returns what makes it readable again.
type broken func(t *testing.T, dir string, d digest.Digest) (mend func())

// unreadable are ways in which a file is neither there nor gone.
var unreadable = map[string]broken{
	// The memory of a process has nothing at its begin, which is an EIO like that of a disk.
	"reading is an I/O error": func(t *testing.T, dir string, d digest.Digest) func() {
		t.Helper()
		return inPlace(t, dir, d, func(path string) error { return os.Symlink("/proc/self/mem", path) })
	},
	"opening is an error": func(t *testing.T, dir string, d digest.Digest) func() {
		t.Helper()
		return inPlace(t, dir, d, func(path string) error { return os.Symlink(path, path) })
	},
	"a directory": func(t *testing.T, dir string, d digest.Digest) func() {
		t.Helper()
		return inPlace(t, dir, d, func(path string) error { return os.MkdirAll(filepath.Join(path, "below"), 0o700) })
	},
	"something that is waited for": func(t *testing.T, dir string, d digest.Digest) func() {
		t.Helper()
		return inPlace(t, dir, d, func(path string) error { return syscall.Mkfifo(path, 0o600) })
	},
}

// inPlace puts something else where the file of a blob is.
func inPlace(t *testing.T, dir string, d digest.Digest, put func(path string) error) (mend func()) {
	t.Helper()
	path, aside := blobPath(dir, d), filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.Rename(path, aside), put(path)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.RemoveAll(path), os.Rename(aside, path)); err != nil {
			t.Fatal(err)
		}
	}
}

// waiting scrubs with a clock that goes on when the scrub waits.
func waiting(t *testing.T, s *store.Store, c *clock) (store.ScrubStats, error) {
	t.Helper()
	return s.ScrubPaced(t.Context(), 0, c.Advance)
}

// TestUnreadableBlob is about a blob that is neither readable nor gone, for good: whoever asks hears so, then that it is
// damaged, and then that it is gone, all who use it are told, and a push brings it back.
func TestUnreadableBlob(t *testing.T) {
	t.Parallel()
	for name, unread := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, h, c := t.TempDir(), make(heard, 16), &clock{}
			s := open(t, dir, store.Options{Notify: h.notify, Now: c.Now})
			r := repository(t, s, "a")
			_, layer := artifact(t, r, "layer", "v1")
			unread(t, dir, layer.Digest)
			for range 3 {
				_, err := r.StatBlob(t.Context(), layer.Digest)
				_, _, opened := r.OpenBlob(t.Context(), layer.Digest)
				for _, err := range []error{err, opened} {
					if !errors.Is(err, store.ErrUnreadable) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
						t.Errorf("at first: %v, want %v", err, store.ErrUnreadable)
					}
				}
				c.Advance(time.Second)
			}
			if len(h) > 0 {
				t.Errorf("told at once: %+v", <-h)
			}
			c.Advance(5 * time.Second)
			if _, err := r.StatBlob(t.Context(), layer.Digest); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("later: %v, want %v", err, store.ErrDamaged)
			}
			h.expect(t, store.Lost, "a")
			if _, _, err := r.OpenBlob(t.Context(), layer.Digest); !errors.Is(err, store.ErrBlobNotFound) {
				t.Errorf("afterwards: %v, want %v", err, store.ErrBlobNotFound)
			}
			push(t, r, "layer")
			if content, err := read(t, r, layer.Digest); err != nil || content != "layer" {
				t.Errorf("pushed again: %q, %v", content, err)
			}
			if stats, err := waiting(t, s, c); err != nil || stats.Damaged+stats.Missing > 0 {
				t.Errorf("scrubbed: %+v, %v", stats, err)
			}
		})
	}
}

// TestUnreadableBlobIsReplaced pushes a blob whose file can't be read. What was pushed is sound, so nobody has to wait.
func TestUnreadableBlobIsReplaced(t *testing.T) {
	t.Parallel()
	for name, unread := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), &clock{}
			s := open(t, dir, store.Options{Now: c.Now})
			r := repository(t, s, "a")
			_, layer := artifact(t, r, "layer", "v1")
			unread(t, dir, layer.Digest)
			push(t, r, "layer")
			if content, err := read(t, r, layer.Digest); err != nil || content != "layer" {
				t.Errorf("got %q, %v", content, err)
			}
			if info, err := os.Lstat(blobPath(dir, layer.Digest)); err != nil || !info.Mode().IsRegular() {
				t.Errorf("there is %v, %v", info, err)
			}
		})
	}
}

// TestUnreadableBlobIsDeleted deletes a blob whose file can't be read.
func TestUnreadableBlobIsDeleted(t *testing.T) {
	t.Parallel()
	for name, unread := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir, store.Options{})
			r := repository(t, s, "a")
			layer := push(t, r, "layer")
			unread(t, dir, layer.Digest)
			if err := r.DeleteBlob(t.Context(), layer.Digest); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(blobPath(dir, layer.Digest)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}

// TestScrubOfUnreadableBlob goes on after a blob that can't be read, and takes that away when it still can't be in the end.
func TestScrubOfUnreadableBlob(t *testing.T) {
	t.Parallel()
	for name, unread := range unreadable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, h, c := t.TempDir(), make(heard, 64), &clock{}
			s := open(t, dir, store.Options{Notify: h.notify, Now: c.Now})
			var damaged []digest.Digest
			for i := range 16 {
				_, layer := artifact(t, repository(t, s, fmt.Sprintf("r%d", i)), fmt.Sprint("layer ", i))
				damaged = append(damaged, layer.Digest)
			}
			unread(t, dir, damaged[3])
			tampering["with the old time"](t, blobPath(dir, damaged[7]), []byte("LAYER 7"))
			stats, err := waiting(t, s, c)
			if err != nil || stats.Blobs != 17 || stats.Manifests != 16 || stats.Damaged != 2 || stats.Missing != 2 {
				t.Errorf("got %+v, %v", stats, err)
			}
			got := map[string]bool{(<-h).Repository: true, (<-h).Repository: true}
			if !got["r3"] || !got["r7"] {
				t.Errorf("told %v", got)
			}
			if at, err := s.Scrubbed(); err != nil || at.IsZero() {
				t.Errorf("the end of the scrub is not known: %v, %v", at, err)
			}
		})
	}
}

// TestPassingErrors is about a disk that gives back nothing for a while, as one behind a network does. Nothing is taken away,
// however often somebody asks, and afterwards all is as before.
func TestPassingErrors(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(n, " blobs"), func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), &clock{}
			d := &gone{Disk: store.OSDisk()}
			o := store.OnDisk(d, store.Options{Now: c.Now, Notify: func(n store.Notice) { t.Errorf("told %+v", n) }})
			s, err := store.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			var blobs []digest.Digest
			for i := range n {
				blobs = append(blobs, push(t, repository(t, s, "a"), fmt.Sprint("layer ", i)).Digest)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			// Nothing is known after a start.
			s = open(t, dir, o)
			r := repository(t, s, "a")
			d.is.Store(true)
			var mend []func()
			for _, d := range blobs {
				mend = append(mend, unreadable["reading is an I/O error"](t, dir, d))
			}
			for range 4 {
				for _, d := range blobs {
					if _, err := r.StatBlob(t.Context(), d); !errors.Is(err, store.ErrUnreadable) {
						t.Errorf("got %v, want %v", err, store.ErrUnreadable)
					}
				}
				c.Advance(10 * time.Second)
			}
			if _, err := waiting(t, s, c); !errors.Is(err, store.ErrUnreadable) {
				t.Errorf("the scrub says %v, want %v", err, store.ErrUnreadable)
			}
			c.Advance(time.Minute)
			if err := s.Check(t.Context()); err == nil {
				t.Error("the store is called sound")
			}
			d.is.Store(false)
			for _, m := range mend {
				m()
			}
			c.Advance(time.Minute)
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			for i, d := range blobs {
				if content, err := read(t, r, d); err != nil || content != fmt.Sprint("layer ", i) {
					t.Errorf("afterwards: %q, %v", content, err)
				}
			}
		})
	}
}

// gone is a disk that takes nothing at times.
type gone struct {
	store.Disk

	is atomic.Bool
}

func (g *gone) CreateTemp(dir, pattern string) (store.DiskFile, error) {
	if g.is.Load() {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(dir, pattern), Err: syscall.EIO}
	}
	return g.Disk.CreateTemp(dir, pattern)
}

// TestSickDisk takes writes, and gives back nothing. As long as not one blob can be read, none is to blame.
func TestSickDisk(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), &clock{}
	s := open(t, dir, store.Options{Now: c.Now})
	r := repository(t, s, "a")
	var mend []func()
	var blobs []digest.Digest
	for i := range 5 {
		blobs = append(blobs, push(t, r, fmt.Sprint("layer ", i)).Digest)
		if _, err := r.StatBlob(t.Context(), blobs[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range blobs {
		mend = append(mend, unreadable["reading is an I/O error"](t, dir, d))
	}
	for range 3 {
		for _, d := range blobs {
			if _, err := r.StatBlob(t.Context(), d); !errors.Is(err, store.ErrUnreadable) {
				t.Errorf("got %v, want %v", err, store.ErrUnreadable)
			}
		}
		c.Advance(time.Minute)
		if err := s.Check(t.Context()); !errors.Is(err, store.ErrUnreadable) {
			t.Errorf("the check says %v", err)
		}
	}
	// One that can be read proves that the others are to blame.
	mend[0]()
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrUnreadable) {
		t.Errorf("a verdict holds for some seconds: %v", err)
	}
	c.Advance(time.Minute)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("with one: %v", err)
	}
	if _, err := r.StatBlob(t.Context(), blobs[0]); err != nil {
		t.Error(err)
	}
	if _, err := r.StatBlob(t.Context(), blobs[1]); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("got %v, want %v", err, store.ErrDamaged)
	}
}

// TestQuarantineWithoutRoom damages blobs of a store whose disk takes nothing. They are removed then, and counted as such.
func TestQuarantineWithoutRoom(t *testing.T) {
	t.Parallel()
	for name, full := range map[string]error{"full": syscall.ENOSPC, "broken": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir, store.OnDisk(&noDirectories{Disk: store.OSDisk(), err: full}, store.Options{}))
			r := repository(t, s, "a")
			d := push(t, r, "layer").Digest
			tampering["in place"](t, blobPath(dir, d), []byte("LAYER"))
			if _, err := r.StatBlob(t.Context(), d); !errors.Is(err, store.ErrDamaged) || errors.Is(err, full) {
				t.Errorf("got %v", err)
			}
			if got := s.Stats(); got != (store.Stats{}) {
				t.Errorf("the store has %+v", got)
			}
			if got := s.Counters().DamagedBlobs; got != 1 {
				t.Errorf("%d were counted", got)
			}
			push(t, r, "layer")
			if content, err := read(t, r, d); err != nil || content != "layer" {
				t.Errorf("pushed again: %q, %v", content, err)
			}
		})
	}
}

// noDirectories is a disk without room for a quarantine.
type noDirectories struct {
	store.Disk

	err error
}

func (n *noDirectories) Mkdir(path string) error {
	if filepath.Base(path) == "quarantine" {
		return &os.PathError{Op: "mkdir", Path: path, Err: n.err}
	}
	return n.Disk.Mkdir(path)
}

// TestQuarantineIsBounded keeps sixteen damaged blobs, and when one of the old ones can't be removed, the others still are.
func TestQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := &keeping{Disk: store.OSDisk()}
	s := open(t, dir, store.OnDisk(d, store.Options{}))
	r := repository(t, s, "a")
	spoil := func(n int) {
		t.Helper()
		for range n {
			layer := push(t, r, "layer").Digest
			tampering["in place"](t, blobPath(dir, layer), []byte("LAYER"))
			if _, err := r.StatBlob(t.Context(), layer); !errors.Is(err, store.ErrDamaged) {
				t.Fatal(err)
			}
		}
	}
	spoil(16)
	files, err := filepath.Glob(filepath.Join(dir, "quarantine", "*"))
	if err != nil || len(files) != 16 {
		t.Fatal(files, err)
	}
	d.path.Store(&files[0])
	spoil(3)
	if _, err := os.Stat(files[0]); err != nil {
		t.Error(err)
	}
	if got := s.Stats(); got.Quarantined != 16 || got.QuarantinedBytes != 16*5 || got.Blobs != 0 || got.Bytes != 0 {
		t.Errorf("the store has %+v", got)
	}
	d.path.Store(nil)
	spoil(4)
	if got := s.Stats(); got.Quarantined != 16 {
		t.Errorf("the store has %+v", got)
	}
}

// keeping is a disk that does not remove one file.
type keeping struct {
	store.Disk

	path atomic.Pointer[string]
}

func (k *keeping) Remove(path string) error {
	if kept := k.path.Load(); kept != nil && *kept == path {
		return &os.PathError{Op: "remove", Path: path, Err: syscall.EIO}
	}
	return k.Disk.Remove(path)
}
