package gitsync

import (
	"fmt"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

const (
	// manyFiles are in one snapshot.
	manyFiles = 10_000
	// largeBytes is what the files of a large repository have together, and largeFiles how many they are.
	largeBytes, largeFiles = 200 << 20, 400
	// memory is how much the operator may have resident while it works with a large repository.
	memory = 150 << 20
)

// TestLarge has an operator for itself: what is measured is its own.
func TestLarge(t *testing.T) {
	w := newWorld(t, "--git-cross-namespace-refs")
	h := plainHost(t)
	t.Run("repository with filters", func(t *testing.T) { largeRepository(t, w.forTest(t), h, true) })
	t.Run("repository without filters", func(t *testing.T) { largeRepository(t, w.forTest(t), h, false) })
	t.Run("many files", func(t *testing.T) { manyFilesAtOnce(t, w.forTest(t), h) })
	t.Run("other namespace allowed", func(t *testing.T) { otherNamespaceAllowed(t, w.forTest(t), h) })
}

// largeRepository brings a few files into a repository that has a lot, from a server that sends only what it is asked for, or all of it.
func largeRepository(t *testing.T, w *world, h *host, filters bool) {
	r := h.missing(w)
	gittest.NewLargeRepository(t, r.dir, "main", largeFiles, largeBytes)
	if filters {
		gittest.LikeForge(t, r.dir)
	}
	w.deliver("1.0.0", v1...)
	w.measured("the first version", func() {
		w.sync(app, spec(r))
		w.synced(app, "1.0.0")
	})
	w.measured("the second version", func() {
		w.publish("2.0.0", v2...)
		w.synced(app, "2.0.0")
	})
	files := gittest.Git(t, r.dir, "ls-tree", "-r", "--name-only", "main", subPath)
	if files != subPath+"/app.yaml\n" {
		t.Errorf("the folder holds %q", files)
	}
	if removed := gittest.Git(t, r.dir, "diff", "--name-status", "--diff-filter=DM", "main~2", "main"); removed != "" {
		t.Errorf("the files of others are not what they were: %s", removed)
	}
	gittest.Git(t, r.dir, "fsck", "--strict", "--connectivity-only")
}

// measured tells how long something took and how much memory the operator had at most meanwhile, which is bounded.
func (w *world) measured(what string, do func()) {
	w.t.Helper()
	if err := w.Operator.ResetPeak(); err != nil {
		w.t.Fatal(err)
	}
	before, err := w.Operator.Usage()
	if err != nil {
		w.t.Fatal(err)
	}
	began := time.Now()
	do()
	took := time.Since(began)
	after, err := w.Operator.Usage()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%s: %d ms, %d ms of CPU, %d MiB resident at most, %d MiB before", what, took.Milliseconds(), (after.CPU - before.CPU).Milliseconds(), after.Peak>>20, before.Resident>>20)
	if after.Peak > memory {
		w.t.Errorf("%s: the operator had %d MiB resident, want at most %d", what, after.Peak>>20, memory>>20)
	}
}

// manyFilesAtOnce brings a snapshot of many files into a repository, and then one in which a few of them have changed.
func manyFilesAtOnce(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	files := func(change func(i int) bool) []entry {
		var all []entry
		for i := range manyFiles {
			version := 1
			if change(i) {
				version = 2
			}
			all = append(all, file(fmt.Sprintf("part-%02d/app-%05d.yaml", i%100, i), fmt.Sprintf("number: %d\nversion: %d\n", i, version)))
		}
		return all
	}
	first := files(func(int) bool { return false })
	w.deliver("1.0.0", first...)
	w.measured("10,000 files", func() {
		w.sync(app, spec(r))
		w.synced(app, "1.0.0")
	})
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, first)))
	second := files(func(i int) bool { return i%1000 == 7 })[:manyFiles-100]
	w.measured("110 of them changed", func() {
		w.publish("2.0.0", second...)
		w.synced(app, "2.0.0")
	})
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, second)))
	gittest.Fsck(t, r.dir)
}

// otherNamespaceAllowed is what the flag is for.
func otherNamespaceAllowed(t *testing.T, w *world, h *host) {
	owner := w.forTest(t)
	owner.deliver("1.0.0", v1...)
	r := h.repository(w, own)
	s := spec(r)
	s.SourceRef.Namespace = owner.Namespace
	w.sync(app, s)
	w.synced(app, "1.0.0")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1)))
}
