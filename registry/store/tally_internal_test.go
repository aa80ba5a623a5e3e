package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// TestCensusBesideChanges: whatever is pushed and removed while the files are counted, and wherever the census is then, the totals
// are those of the files.
func TestCensusBesideChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		beside func(b *beside)
		want   int64
	}{
		"nothing": {func(*beside) {}, 300},
		"pushed":  {func(b *beside) { b.push(300, 400) }, 400},
		"removed": {func(b *beside) { b.remove(100, 200) }, 200},
		"all of it": {func(b *beside) {
			b.push(300, 400)
			b.remove(200, 300)
			b.push(200, 250)
			b.remove(0, 50)
		}, 300},
	} {
		for _, at := range []int{1, 150, 200} {
			b := newBeside(t)
			b.push(0, 300)
			b.store.blobs.set(7, 7) // a start that knew nothing
			n := 0
			err := b.store.blobs.walk(t.Context(), func(digest.Digest) {
				if n++; n == at {
					change.beside(b)
				}
			})
			if got := b.store.Stats(); err != nil || got.Blobs != change.want || got.Bytes != 1000*change.want {
				t.Errorf("%s at blob %d: %+v, want %d blobs: %v", name, at, got, change.want, err)
			}
		}
	}
}

// beside is somebody who pushes and removes blobs of 1000 bytes.
type beside struct {
	t     *testing.T
	store *Store
	repo  *Repository
}

func newBeside(t *testing.T) *beside {
	t.Helper()
	s, err := Open(t.TempDir(), Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := s.Repository("a")
	if err != nil {
		t.Fatal(err)
	}
	return &beside{t, s, r}
}

func numbered(i int) string { return fmt.Sprintf("%1000d", i) }

func (b *beside) push(from, to int) {
	b.t.Helper()
	for i := from; i < to; i++ {
		stage, err := b.repo.Stage(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		_, err = stage.Write([]byte(numbered(i)))
		_, commit := stage.Commit(b.t.Context(), "")
		if err := errors.Join(err, commit); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *beside) remove(from, to int) {
	b.t.Helper()
	for i := from; i < to; i++ {
		if err := b.repo.DeleteBlob(b.t.Context(), digest.FromString(numbered(i))); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestCensusBesideChangesUnderWay: a blob that is being written when its shelf is left counts once, by what came of it.
func TestCensusBesideChangesUnderWay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before, seen, after, want int64
		reason                    string
	}{
		"written, found":     {absent, 10, 10, 10, "it was renamed, and not told yet"},
		"written, not found": {absent, absent, 10, 10, "it was not renamed yet"},
		"failed":             {absent, absent, absent, 0, "it was not renamed"},
		"removed, found":     {10, 10, absent, 0, "it was not removed yet"},
		"removed, not found": {10, absent, absent, 0, "it was removed, and not told yet"},
		"replaced":           {10, 10, 20, 20, "the new file counts, and not the old one"},
		"not removed":        {10, 10, 10, 10, "it is there still"},
	} {
		for _, outlasts := range []bool{false, true} {
			b := blobs{tally: newTally()}
			b.begin()
			d := digest.FromString("x")
			end := b.change(d)
			b.enter(shelf(d))
			if tc.seen >= 0 {
				b.census.seen[d] = tc.seen
			}
			b.leave()
			if outlasts {
				b.end(true)
			}
			end(tc.before, tc.after)
			if !outlasts {
				b.end(true)
			}
			if got := b.bytes.Load(); got != tc.want {
				t.Errorf("%s, and it outlasts the census is %t: %d bytes, want %d: %s", name, outlasts, got, tc.want, tc.reason)
			}
		}
	}
}

func TestCensusEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := blobs{dir: t.TempDir(), tally: newTally()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.walk(ctx, nil); !errors.Is(err, context.Canceled) || b.sure() {
		t.Errorf("got %v, and that the totals are known is %t", err, b.sure())
	}
}

func TestDiskUsage(t *testing.T) {
	t.Parallel()
	if got, known := diskUsage("/proc"); known {
		t.Errorf("a file system without blocks says %+v", got)
	}
	if got, known := diskUsage(t.TempDir()); !known || got.total <= 0 || got.free > got.total {
		t.Errorf("a file system with blocks says %+v, %t", got, known)
	}
}

// TestReserveOfADiskThatIsNotThereYet: the directory may be the mount point of nothing before it is made.
func TestReserveOfADiskThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir()+"/to/be/made", Options{NoSync: true, usage: func(dir string) (usage, bool) {
		_, err := os.Stat(dir)
		return usage{free: 1 << 30, total: 1 << 30}, err == nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.room.reserve != 1<<30/100 {
		t.Errorf("the reserve is %d", s.room.reserve)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoomForFiles(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		free, files int64
		scarce      bool
		reason      string
	}{
		"no limit":  {0, 0, false, "such file systems say nothing"},
		"none":      {0, 1 << 20, true, "nobody can make a file"},
		"few":       {fewFiles, 1 << 20, true, "they are for others"},
		"enough":    {fewFiles + 1, 1 << 20, false, "there is one"},
		"small":     {2, 100, false, "a hundredth is kept"},
		"small few": {1, 100, true, "it is kept"},
	} {
		disk := usage{free: 1 << 30, total: 1 << 30, freeFiles: tc.free, files: tc.files}
		r := newRoom(Options{}, func() int64 { return 0 }, func() (usage, bool) { return disk, true })
		full := r.lacks(1)
		if (full != nil) != tc.scarce || (r.left() == 0) != tc.scarce || tc.scarce && !errors.Is(full, ErrStorageFull) {
			t.Errorf("%s: %v, and %d are left: %s", name, full, r.left(), tc.reason)
		}
	}
}

// TestReadsOfWhatMayGoAreRemembered however often everything else is read.
func TestReadsOfWhatMayGoAreRemembered(t *testing.T) {
	t.Parallel()
	r := newReads()
	now := time.Now()
	old := digest.FromString("old")
	r.spare([]Root{{Repository: "a", Digest: old, Superseded: true}, {Repository: "a", Digest: digest.FromString("current")}})
	r.note("a", old, now)
	for i := range 2 * maxReads {
		r.note(strconv.Itoa(i), old, now.Add(1))
	}
	if got := r.last("a", old); got != now.UnixNano() {
		t.Errorf("it was read at %d, want %d", got, now.UnixNano())
	}
	if len(r.at) > maxReads {
		t.Errorf("%d reads are remembered", len(r.at))
	}
}
