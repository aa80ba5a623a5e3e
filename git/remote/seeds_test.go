package remote

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// packSeeds are packs that git makes, with differences that name their base by its place and by its hash.
func packSeeds(f *testing.F) [][]byte {
	f.Helper()
	dir := filepath.Join(f.TempDir(), "site.git")
	files := map[string]string{}
	for _, name := range []string{"a", "b/c", "b/d", "b/e"} {
		files[name] = string(bytes.Repeat([]byte("a line of a file\n"), 20)) + name
	}
	gittest.NewRepository(f, dir, files, "main")
	gittest.Commit(f, dir, "main", map[string]string{"a": "changed"})
	var seeds [][]byte
	for _, offsets := range []string{"true", "false"} {
		gittest.Config(f, dir, "repack.useDeltaBaseOffset", offsets)
		gittest.Git(f, dir, "repack", "-adfq")
		packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
		if err != nil || len(packs) != 1 {
			f.Fatalf("found packs %v (%v), want one", packs, err)
		}
		raw, err := os.ReadFile(packs[0])
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, raw)
	}
	return seeds
}
