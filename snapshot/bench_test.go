package snapshot_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/ocm-operator/ocm-operator/hack/benchtest"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// BenchmarkWriteTree writes a snapshot of a tree of files: read, canonical form, digest, disk. It is written anew each time,
// as its only file that is not the same has another content.
func BenchmarkWriteTree(b *testing.B) {
	plain := archivetest.Manifests(64 << 20)
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := snapshottest.Repository(b, snapshot.Embedded(s), "a")
	n := 0
	benchtest.Run(b, plain, func() error {
		n++
		src := io.MultiReader(bytes.NewReader(archivetest.File("n", string(rune('a'+n)))), bytes.NewReader(plain))
		_, err := snapshot.Write(b.Context(), r, snapshot.Meta{Tag: "v1"}, func(w io.Writer) error {
			_, err := archive.Copy(w, src, nil, archive.Limits{})
			return err
		})
		return err
	})
}
