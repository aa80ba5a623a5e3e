package tree_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

const submodule = "1111111111111111111111111111111111111111"

// existing is a repository of others: with submodules, links, a file that its own rules ignore, and modes of the early days.
func existing(t testing.TB, dir string) plumbing.Hash {
	t.Helper()
	root := theirs(t, dir, map[string]string{
		"README": "100644 read", ".gitignore": "100644 *.log\n", "old.log": "100644 old", "lib": "160000 " + submodule, "run": "100755 run", "l": "120000 /etc/passwd",
		"apps/web/a.yaml": "100644 a", "apps/web/b.yaml": "100644 b", "apps/web/deep/c.yaml": "100644 c", "apps/web/vendor": "160000 " + submodule,
		"apps/api/x.yaml": "100644 x", "apps/link": "120000 ../README", "apps.txt": "100644 sorts before apps/",
	})
	// The index of git knows no such modes, so that tree is made by hand.
	entries, err := stored{t, dir}.Tree(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if entries[i].Name == "README" {
			entries[i].Mode = 0o100664
		}
	}
	return hashObject(t, dir, entries)
}

func hashObject(t testing.TB, dir string, entries []object.TreeEntry) plumbing.Hash {
	t.Helper()
	content, err := pack.EncodeTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return plumbing.NewHash(strings.TrimSpace(git(t, dir, bytes.NewReader(content), "hash-object", "-w", "-t", "tree", "--stdin", "--literally")))
}

// TestGraft compares what the real git lists before and after.
func TestGraft(t *testing.T) {
	t.Parallel()
	none := dir("only/folders")
	content := []entry{file("a.yaml", "a2"), script("deep/run", "x"), file("new/n.yaml", "n"), file("deep/trace.log", "ignored")}
	dir := bare(t)
	root := existing(t, dir)
	before := lsTree(t, dir, root.String())
	for name, c := range map[string]struct {
		path    string
		content []entry
		prune   bool
		added   []string // paths below the root
		removed []string
		reason  string
	}{
		"merge":          {"apps/web", content, false, []string{"apps/web/a.yaml", "apps/web/deep/run", "apps/web/new/n.yaml", "apps/web/deep/trace.log"}, nil, "what others have put there stays"},
		"prune":          {"apps/web", content, true, []string{"apps/web/a.yaml", "apps/web/deep/run", "apps/web/new/n.yaml", "apps/web/deep/trace.log"}, []string{"apps/web/b.yaml", "apps/web/deep/c.yaml", "apps/web/vendor"}, "the folder is the content"},
		"new folder":     {"./clusters/one/", content, true, []string{"clusters/one/a.yaml", "clusters/one/deep/run", "clusters/one/new/n.yaml", "clusters/one/deep/trace.log"}, nil, "folders are made"},
		"below a folder": {"apps/web/deep/er", content[:1], false, []string{"apps/web/deep/er/a.yaml"}, nil, "folders are made"},
		"root":           {"", content, false, []string{"a.yaml", "deep/run", "new/n.yaml", "deep/trace.log"}, nil, "the root is a folder"},
		"over a link":    {"", []entry{file("l", "x"), file("apps/link/x", "y")}, false, []string{"l", "apps/link/x"}, []string{"apps/link"}, "the content counts where both have something"},
		"remove":         {"apps/api", []entry{none}, true, nil, []string{"apps/api/x.yaml"}, "no content is no folder"},
		"nothing":        {"apps/web", []entry{none}, false, nil, nil, "nothing is added"},
		"nothing new":    {"other", []entry{none}, true, nil, nil, "git has no folders"},
		"the same":       {"apps/web", []entry{file("a.yaml", "a"), file("deep/c.yaml", "c")}, false, nil, nil, "it is there"},
		"the same tree":  {"apps/api", []entry{file("x.yaml", "x")}, true, nil, nil, "it is there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := writer(t)
			leaf := build(t, w, c.content...)
			have := stored{t, dir}
			got := graft(t, w, have, root, c.path, leaf, c.prune)
			repository := t.TempDir()
			if err := os.CopyFS(repository, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			take(t, repository, w, got)
			want := maps.Clone(before)
			for _, path := range c.removed {
				delete(want, path)
			}
			for path, e := range list(t, tree.Combine(w, have), leaf) {
				path = strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(c.path, "./"), "/")+"/"+path, "/")
				want[path] = fmt.Sprintf("%06o %s", uint32(e.Mode), e.Hash)
			}
			if diff := cmp.Diff(want, lsTree(t, repository, "main")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			for _, path := range c.added {
				if _, ok := want[path]; !ok {
					t.Errorf("%s is missing", path)
				}
			}
			if unchanged := len(c.added)+len(c.removed) == 0; unchanged != (got == root) {
				t.Errorf("got %s for %s, want the same: %v: %s", got, root, unchanged, c.reason)
			}
			if again := graft(t, w, have, got, c.path, leaf, c.prune); again != got {
				t.Errorf("the second time: got %s, want %s", again, got)
			}
			at, err := tree.At(t.Context(), tree.Combine(w, have), got, c.path)
			if err != nil || c.prune && at != leaf && (leaf != tree.Empty() || !at.IsZero()) {
				t.Errorf("at %s is %s, want %s: %v", c.path, at, leaf, err)
			}
		})
	}
}

// TestGraftEmptyRepository makes the first tree, also if it is that of nothing.
func TestGraftEmptyRepository(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path  string
		files []entry
		want  int
	}{"folder": {"a/b", []entry{file("x", "y")}, 1}, "root": {"", []entry{file("x", "y"), file("z", "")}, 2}, "nothing": {"a/b", nil, 0}, "nothing at the root": {"", nil, 0}} {
		for _, prune := range []bool{false, true} {
			w := writer(t)
			dir := bare(t)
			root := graft(t, w, nil, plumbing.ZeroHash, c.path, build(t, w, c.files...), prune)
			push(t, dir, w, root)
			if got := list(t, w, root); len(got) != c.want {
				t.Errorf("%s: got %v", name, got)
			}
			again := graft(t, w, w, root, c.path, build(t, w, c.files...), prune)
			if again != root {
				t.Errorf("%s: the second time: got %s, want %s", name, again, root)
			}
		}
	}
}

// TestGraftRemovesEmptyFolders leaves no folder that has nothing in it, as git would.
func TestGraftRemovesEmptyFolders(t *testing.T) {
	t.Parallel()
	w := writer(t)
	root := graft(t, w, nil, plumbing.ZeroHash, "a/b/c", build(t, w, file("x", "y")), true)
	root = graft(t, w, nil, root, "a/k", build(t, w, file("kept", "")), true)
	root = graft(t, w, nil, root, "a/b/c", tree.Empty(), true)
	push(t, bare(t), w, root)
	if want := graft(t, w, nil, plumbing.ZeroHash, "a/k", build(t, w, file("kept", "")), true); root != want {
		t.Errorf("got %v", list(t, w, root))
	}
	if root = graft(t, w, nil, root, "a/k", plumbing.ZeroHash, true); root != tree.Empty() {
		t.Errorf("got %v", list(t, w, root))
	}
	push(t, bare(t), w, root)
}

func TestGraftRefuses(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	root := existing(t, dir)
	for name, c := range map[string]struct {
		path    string
		content entry
		prune   bool
		want    string
		reason  string
	}{
		"through a file":      {"README/x", file("a", ""), true, `"README" is a file`, "it would be gone"},
		"through a link":      {"apps/link/x", file("a", ""), true, `"apps/link" is a symbolic link`, "it leads elsewhere"},
		"through a submodule": {"lib/x", file("a", ""), true, `"lib" is a submodule`, "it is another repository"},
		"at a file":           {"run", file("a", ""), true, `"run" is a file`, "it would be gone"},
		"at a link":           {"l", file("a", ""), false, `"l" is a symbolic link`, "it leads elsewhere"},
		"at a submodule":      {"apps/web/vendor", file("a", ""), false, `"apps/web/vendor" is a submodule`, "it is another repository"},
		"file over a folder":  {"apps/web", file("deep", ""), false, "set prune", "what others have put there would be gone"},
		"file over submodule": {"apps/web", file("vendor", ""), false, "set prune", "what others have put there would be gone"},
		"folder over one":     {"apps/web", file("vendor/x", ""), false, "set prune", "what others have put there would be gone"},
		"climbing":            {"../..", file("a", ""), true, "..", "outside of the repository"},
		"climbing later":      {"apps/../../x", file("a", ""), true, "..", "outside of the repository"},
		"git":                 {"apps/.git", file("a", ""), true, ".git", "where git keeps its configuration"},
		"absolute":            {"/apps", file("a", ""), true, "absolute", "outside of the repository"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := writer(t)
			path := new(tree.PathError)
			got, err := tree.Graft(t.Context(), w, stored{t, dir}, root, c.path, build(t, w, c.content), c.prune)
			if !errors.As(err, &path) || !strings.Contains(err.Error(), c.want) || !got.IsZero() {
				t.Errorf("got %s, %v, want %q: %s", got, err, c.want, c.reason)
			}
			if at, err := tree.At(t.Context(), stored{t, dir}, root, c.path); !at.IsZero() && name != "file over a folder" && c.path != "apps/web" {
				t.Errorf("at %s is %s, %v", c.path, at, err)
			}
		})
	}
}

// TestGraftKeepsOddEntries rewrites trees that others have written strangely, and refuses those that git would not read.
func TestGraftKeepsOddEntries(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	blob := plumbing.NewHash(strings.TrimSpace(git(t, dir, strings.NewReader("x"), "hash-object", "-w", "--stdin")))
	inner := hashObject(t, dir, []object.TreeEntry{{Name: "f", Mode: filemode.Regular, Hash: blob}})
	odd := []object.TreeEntry{
		{Name: ".git", Mode: filemode.Dir, Hash: inner},
		{Name: "a", Mode: 0o100664, Hash: blob},
		{Name: "s", Mode: filemode.Submodule, Hash: plumbing.NewHash(submodule)},
		{Name: "wide", Mode: 0o040755, Hash: inner},
		{Name: "x\ny", Mode: 0o100600, Hash: blob},
	}
	w := writer(t)
	have := stored{t, dir}
	leaf := build(t, w, file("new", "1"))
	root := graft(t, w, have, hashObject(t, dir, odd), "wide/sub", leaf, true)
	got, err := w.Tree(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	got[3].Hash = inner // the one that has changed
	if diff := cmp.Diff(odd, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	hash := string(blob[:])
	for name, content := range map[string]string{"twice": "100644 a\x00" + hash + "100644 a\x00" + hash, "slash": "100644 a/b\x00" + hash} {
		h := strings.TrimSpace(git(t, dir, strings.NewReader(content), "hash-object", "-w", "-t", "tree", "--stdin", "--literally"))
		path := new(tree.PathError)
		if _, err := tree.Graft(t.Context(), w, have, plumbing.NewHash(h), "sub", leaf, true); !errors.As(err, &path) || path.Path != "." {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// failing is a Source that has nothing.
type failing struct{ err error }

func (f failing) Tree(context.Context, plumbing.Hash) ([]object.TreeEntry, error) { return nil, f.err }

func TestSourceFails(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	w := writer(t)
	leaf := build(t, w, file("a", ""))
	root := plumbing.NewHash(submodule)
	for _, prune := range []bool{true, false} {
		for _, path := range []string{"", "a"} {
			if _, err := tree.Graft(t.Context(), w, failing{lost}, root, path, leaf, prune); !errors.Is(err, lost) && (!prune || path != "") {
				t.Errorf("%q, %v: got %v", path, prune, err)
			}
		}
	}
	if _, err := tree.At(t.Context(), failing{lost}, root, "a"); !errors.Is(err, lost) {
		t.Errorf("At: got %v", err)
	}
	if _, err := tree.Diff(t.Context(), failing{lost}, root, leaf, 1); !errors.Is(err, lost) {
		t.Errorf("Diff: got %v", err)
	}
	if _, err := tree.Diff(t.Context(), tree.Combine(w, failing{lost}), leaf, root, 1); !errors.Is(err, lost) {
		t.Errorf("Diff: got %v", err)
	}
	if _, err := tree.Graft(t.Context(), w, nil, root, "a", leaf, true); !errors.Is(err, pack.ErrNotFound) {
		t.Errorf("no source: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tree.Graft(ctx, w, w, leaf, "b", leaf, true); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// TestDiffAgreesWithGit compares changes of random trees with what the real git says of them.
func TestDiffAgreesWithGit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 5))
	dir := bare(t)
	some := func() []entry {
		var entries []entry
		for i := range 30 {
			path := fmt.Sprintf("%c/%c/f%d", 'a'+rune(random.IntN(3)), 'a'+rune(random.IntN(3)), i)
			switch random.IntN(5) {
			case 0:
				entries = append(entries, script(path, strconv.Itoa(random.IntN(3))))
			case 1:
				entries = append(entries, link(path, strconv.Itoa(random.IntN(3))))
			case 2:
				entries = append(entries, file(path+"/below", ""))
			default:
				entries = append(entries, file(path, strconv.Itoa(random.IntN(3))))
			}
		}
		return entries
	}
	for range 4 {
		w := writer(t)
		from, to := build(t, w, some()...), build(t, w, some()...)
		take(t, dir, w, from)
		take(t, dir, w, to)
		changes, err := tree.Diff(t.Context(), w, from, to, 1000)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for kind, files := range map[string][]tree.File{"A": changes.Added, "M": changes.Modified, "D": changes.Removed} {
			for _, f := range files {
				got[f.Path] = fmt.Sprintf("%s %s %s", kind, f.Old, f.New)
			}
		}
		want := map[string]string{}
		for line := range strings.Lines(git(t, dir, nil, "diff-tree", "-r", "--no-renames", "--no-abbrev", from.String(), to.String())) {
			f := strings.Fields(line) // two modes, two hashes, the kind and the path
			want[f[5]] = fmt.Sprintf("%s %s %s", strings.Replace(f[4], "T", "M", 1), f[2], f[3])
		}
		if diff := cmp.Diff(want, got); diff != "" || changes.Total != len(want) || changes.Partial {
			t.Errorf("%d changes (-want +got):\n%s", changes.Total, diff)
		}
		short, err := tree.Diff(t.Context(), w, from, to, 3)
		if err != nil || short.Total != len(want) || len(short.Added)+len(short.Modified)+len(short.Removed) != 3 {
			t.Errorf("bounded: got %+v, %v", short, err)
		}
	}
}

// TestDiffBomb compares trees that stand for more files than can be counted, and trees without an end.
func TestDiffBomb(t *testing.T) {
	t.Parallel()
	w := writer(t)
	h := build(t, w, file("f", ""))
	for range 12 {
		var entries []object.TreeEntry
		for i := range 10 {
			entries = append(entries, object.TreeEntry{Name: strconv.Itoa(i), Mode: filemode.Dir, Hash: h})
		}
		content, err := pack.EncodeTree(entries)
		if err != nil {
			t.Fatal(err)
		}
		if h, err = w.Object(plumbing.TreeObject, content); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := tree.Diff(t.Context(), w, h, plumbing.ZeroHash, 5); err != nil || !got.Partial || got.Total == 0 || len(got.Removed) != 5 {
		t.Errorf("wide: got %+v, %v", got, err)
	}
	if got, err := tree.Diff(t.Context(), circle{}, h, plumbing.ZeroHash, 5); err != nil || !got.Partial || got.Total > 0 {
		t.Errorf("deep: got %+v, %v", got, err)
	}
}

// circle is a Source of a folder that is in itself.
type circle struct{}

func (circle) Tree(_ context.Context, h plumbing.Hash) ([]object.TreeEntry, error) {
	return []object.TreeEntry{{Name: "x", Mode: filemode.Dir, Hash: h}}, nil
}

// TestOnlyNews pushes one file of many that has changed: what the repository has is neither written nor sent again, and trees
// that were left out are still found for what is built of them.
func TestOnlyNews(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	files := []entry{file("a/one", "1"), file("a/two", "2"), file("b/three", "3"), script("b/c/four", "4")}
	first := writer(t)
	root := graft(t, first, nil, plumbing.ZeroHash, "x/y", build(t, first, files...), true)
	commit := push(t, dir, first, root)
	known := map[plumbing.Hash]bool{}
	for line := range strings.Lines(git(t, dir, nil, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")) {
		known[plumbing.NewHash(strings.TrimSpace(line))] = true
	}
	for name, c := range map[string]struct {
		path  string
		prune bool
		files []entry
		news  int
	}{
		"changed":         {"x/y", true, append([]entry{file("b/new", "5")}, files...), 5}, // the file, and the trees b, y, x and the root
		"merged":          {"x/y", false, []entry{file("b/new", "5")}, 7},                  // as above, and two of the content that stay behind
		"merged, known":   {"x/y", false, files, 0},
		"elsewhere":       {"z", false, files, 1},
		"merged to other": {"x/y/a", false, files, 4},
	} {
		w := writer(t)
		w.SetKnown(func(h plumbing.Hash) bool { return known[h] })
		leaf := build(t, w, c.files...)
		next := graft(t, w, stored{t, dir}, root, c.path, leaf, c.prune)
		if w.Objects() != c.news {
			t.Errorf("%s: %d objects were written, want %d", name, w.Objects(), c.news)
		}
		if (c.news == 0) != (next == root) {
			t.Errorf("%s: got %s for %s", name, next, root)
		}
		repository := t.TempDir()
		if err := os.CopyFS(repository, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		push(t, repository, w, next, commit)
	}
}
