package tree_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/hack/benchtest"
)

// BenchmarkBuild makes a pack of an archive: of 10,000 small files that are all new, of as many that are all known, and of
// one large file that can't be compressed.
func BenchmarkBuild(b *testing.B) {
	many := archive(b, manifests(10_000)...)
	noise := make([]byte, 64<<20)
	if _, err := rand.Read(noise); err != nil {
		b.Fatal(err)
	}
	large := archive(b, file("large", string(noise)))
	everything := func(plumbing.Hash) bool { return true }
	for name, c := range map[string]struct {
		src   []byte
		known func(plumbing.Hash) bool
	}{"10000-files": {many, nil}, "10000-known-files": {many, everything}, "large-file": {large, nil}} {
		b.Run(name, func(b *testing.B) {
			benchtest.Run(b, c.src, func() error { return buildOnce(b, c.src, c.known) })
		})
	}
}

// buildOnce builds a tree, and reads the pack that a push would send.
func buildOnce(b *testing.B, src []byte, known func(plumbing.Hash) bool) error {
	b.Helper()
	w, err := pack.New(b.TempDir(), 1<<30)
	if err != nil {
		return err
	}
	defer w.Close()
	w.SetKnown(known)
	built, err := tree.Build(b.Context(), w, bytes.NewReader(src), tree.Limits{})
	if err != nil {
		return err
	}
	r, _, err := w.Reader(built.Tree)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// BenchmarkGraft puts a tree of a hundred folders into one that has them already, with one file that differs.
func BenchmarkGraft(b *testing.B) {
	w := writer(b)
	files := manifests(10_000)
	root := graft(b, w, nil, plumbing.ZeroHash, "clusters/production", build(b, w, files...), true)
	files[4711] = entry{tar.TypeReg, files[4711].name, "changed", 0o644}
	leaf := build(b, w, files...)
	for name, prune := range map[string]bool{"merge": false, "prune": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				graft(b, w, w, root, "clusters/production", leaf, prune)
			}
		})
	}
	b.Run("diff", func(b *testing.B) {
		b.ReportAllocs()
		next := graft(b, w, w, root, "clusters/production", leaf, true)
		for b.Loop() {
			if changes, err := tree.Diff(b.Context(), w, root, next, 10); err != nil || changes.Total != 1 {
				b.Fatalf("got %+v, %v", changes, err)
			}
		}
	})
}
