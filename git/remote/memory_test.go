package remote_test

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

// peak runs something and returns how many bytes of memory objects took more at the same time than before, garbage
// included.
func peak(do func()) uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := read()
	highest := before
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		ticks := time.NewTicker(time.Millisecond)
		defer ticks.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticks.C:
				highest = max(highest, read())
			}
		}
	})
	do()
	close(done)
	watch.Wait()
	return highest - before
}

// large is a repository with much content.
type large struct {
	files  int
	size   int64
	filter bool
}

func (l large) serve(t testing.TB) (o remote.Options, commit string) {
	t.Helper()
	s := gittest.NewServer(t, gittest.Options{})
	commit = gittest.NewLargeRepository(t, s.Dir("site.git"), "main", l.files, l.size)
	if l.filter {
		gittest.LikeForge(t, s.Dir("site.git"))
	}
	return remote.Options{URL: s.RepositoryURL("site.git")}, commit
}

// TestMemory fetches much content with little memory. It runs alone.
func TestMemory(t *testing.T) { //nolint:paralleltest // what other tests need would be counted
	for name, l := range map[string]large{
		"many files": {files: 24, size: 24 << 20}, "one file": {files: 1, size: 24 << 20}, "left out": {files: 24, size: 24 << 20, filter: true},
	} {
		t.Run(name, func(t *testing.T) {
			o, commit := l.serve(t)
			r := open(t, o)
			used := peak(func() {
				store := fetch(t, r, commit)
				if fetched := store.Size(); (fetched < l.size) != l.filter {
					t.Errorf("%d bytes were fetched of %d", fetched, l.size)
				}
			})
			if most := uint64(8 << 20); used > most {
				t.Errorf("%d bytes of memory were used at once, want at most %d", used, most)
			}
		})
	}
}

// BenchmarkFetchLarge fetches 200 MiB, and reports the memory that is used at once.
func BenchmarkFetchLarge(b *testing.B) {
	for _, l := range []large{{files: 200, size: 200 << 20}, {files: 200, size: 200 << 20, filter: true}, {files: 2, size: 200 << 20}} {
		b.Run(fmt.Sprintf("files=%d,filter=%t", l.files, l.filter), func(b *testing.B) {
			o, commit := l.serve(b)
			r := open(b, o)
			for b.Loop() {
				used := peak(func() {
					store, err := r.Fetch(b.Context(), plumbing.NewHash(commit))
					if err != nil {
						b.Fatal(err)
					}
					if err := store.Close(); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(float64(used)/(1<<20), "MiB-heap")
			}
		})
	}
}

// BenchmarkFetchPush is what one small change costs: branches, the commit without history, and the push.
func BenchmarkFetchPush(b *testing.B) {
	s, first := serve(b, gittest.Options{}, manifests(100))
	gittest.LikeForge(b, s.Dir("site.git"))
	r := open(b, remote.Options{URL: s.RepositoryURL("site.git")})
	tip, n := first, 0
	for b.Loop() {
		n++
		refs, err := r.Refs(b.Context())
		if err != nil || refs.Branches["main"].String() != tip {
			b.Fatalf("got %v and %v, want main at %s", refs, err, tip)
		}
		store, err := r.Fetch(b.Context(), refs.Branches["main"])
		if err != nil {
			b.Fatal(err)
		}
		commit, w := change(b, entries(b, store, tip), tip, "change", strconv.Itoa(n))
		if err := r.Push(b.Context(), update("main", tip, commit, w)); err != nil {
			b.Fatal(err)
		}
		tip = commit.String()
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
