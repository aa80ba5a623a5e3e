package tree_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

// FuzzBuild checks, for anything at all, that Build ends, that what it accepted stays in its folder wherever it is checked
// out, and that its pack is read by another reader.
func FuzzBuild(f *testing.F) {
	f.Add(archive(f, dir("a"), file("a/b", "content"), script("run", "x"), link("a/l", "../run"), hard("c", "a/b")))
	f.Add(archive(f, link("a/up", ".."), link("l", "a/up/a"), link("m", "l/up"), file("b/.gitignore", "*")))
	f.Add(archive(f, file(".GIT/config", ""), link("x", "../y")))
	f.Add(archive(f, file(".gitmodules", "[submodule \"x\"]\n\tpath = x\n")))
	f.Add(append(header(tar.TypeReg, "f", "", 600), make([]byte, 700)...))
	f.Add(archive(f, file(strings.Repeat("long/", 30)+"name", "x"), file("caf\u00e9\u200d", "")))
	f.Add(append(gnuSparse("hole", 1<<18), make([]byte, 1024)...))
	f.Add(archive(f, link("gi7eba~1", "x"), entry{kind: tar.TypeFifo, name: "p"}, file("f", ""), file("f/x", "")))
	f.Add([]byte("text"))
	f.Add(make([]byte, 1024))
	limits := tree.Limits{Files: 100, Bytes: 1 << 20, FileBytes: 1 << 19, PathBytes: 200, Depth: 8}
	f.Fuzz(func(t *testing.T, src []byte) {
		w := writer(t)
		built, err := tree.Build(t.Context(), w, bytes.NewReader(src), limits)
		if err != nil {
			if !refused(err) {
				t.Fatalf("%v is no verdict", err)
			}
			return
		}
		all := list(t, w, built.Tree)
		if len(all) != built.Files || len(all) > limits.Files || built.Bytes > limits.Bytes {
			t.Fatalf("%d files are there of %+v", len(all), built)
		}
		checkInside(t, w, all)
		checkPack(t, w)
	})
}

// FuzzPath puts one name and the target of one link into an otherwise sound archive, and one content into git's own files.
func FuzzPath(f *testing.F) {
	for _, seed := range [][3]string{
		{"a", "b", ""}, {"./a/", "../b", "x"}, {"/a", "/b", ""}, {"a/../b", "x/..", ""}, {".g\u200cit", "..\\c", ""}, {"git~1:x", "./../x", "[submodule \"a\"]"}, {"a\xff", "a\n", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, name, target, content string) {
		if strings.ContainsRune(name+target, 0) {
			return // no archive can say so
		}
		var src bytes.Buffer
		out := tar.NewWriter(&src)
		for _, h := range []tar.Header{
			{Typeflag: tar.TypeReg, Name: name, Format: tar.FormatGNU},
			{Typeflag: tar.TypeSymlink, Name: "dir/sub/link", Linkname: target, Format: tar.FormatGNU},
			{Typeflag: tar.TypeReg, Name: ".gitmodules", Size: int64(len(content))},
		} {
			if out.WriteHeader(&h) != nil {
				return
			}
		}
		if _, err := out.Write([]byte(content)); err != nil || out.Close() != nil {
			return
		}
		w := writer(t)
		built, err := tree.Build(t.Context(), w, &src, tree.Limits{})
		if err != nil {
			if !refused(err) || len(err.Error()) > 3000 {
				t.Fatalf("%v is no verdict", err)
			}
			return
		}
		checkInside(t, w, list(t, w, built.Tree))
	})
}

// FuzzGraft puts a tree into one that others have made, and compares all files before and after. Trees are lines of a kind
// and a path.
func FuzzGraft(f *testing.F) {
	f.Add("f README\nl apps/link\ns lib\no old\nf apps/web/a\nf apps/web/deep/b\nf apps.txt", "f a\nx deep/run\nl l", "apps/web", true)
	f.Add("f README\ns apps/web/lib\nf apps/web/a\nd wide/x", "f a\nx new/run", "./apps/web/", false)
	f.Add("", "f a/b", "", false)
	f.Add("f a/b/c", "", "a/b", true)
	f.Add("f a", "f b", "a", true)
	f.Add("f a/.git/x\nf .git/y", "f b/c", "a/b/../c", true)
	f.Fuzz(func(t *testing.T, base, content, subPath string, prune bool) {
		w := writer(t)
		root := plant(t, w, base)
		leaf, err := tree.Build(t.Context(), w, bytes.NewReader(archiveOf(t, content)), tree.Limits{Files: 100})
		if err != nil {
			return
		}
		got, err := tree.Graft(t.Context(), w, w, root, subPath, leaf.Tree, prune)
		if err != nil {
			if !refused(err) {
				t.Fatalf("%v is no verdict", err)
			}
			return
		}
		clean, err := tree.CleanPath(subPath)
		if err != nil {
			t.Fatalf("a path that was used is refused: %v", err)
		}
		if again, err := tree.Graft(t.Context(), w, w, got, subPath, leaf.Tree, prune); err != nil || again != got {
			t.Fatalf("the second time: got %s, %v, want %s", again, err, got)
		}
		before, after, want := list(t, w, root), list(t, w, got), list(t, w, leaf.Tree)
		checkGraft(t, before, after, want, clean, prune)
		changes, err := tree.Diff(t.Context(), w, root, got, 1000)
		if differ := differences(before, after); err != nil || changes.Total != differ {
			t.Fatalf("%d files differ, not %+v: %v", differ, changes, err)
		}
		checkPack(t, w)
	})
}

// checkGraft checks what is there after a tree was put below a path.
func checkGraft(t *testing.T, before, after, want map[string]object.TreeEntry, subPath string, prune bool) {
	t.Helper()
	inside := func(path string) (string, bool) {
		if subPath == "" {
			return path, true
		}
		return strings.CutPrefix(path, subPath+"/")
	}
	for path, e := range after {
		rest, in := inside(path)
		if old, ok := before[path]; !in && (!ok || old != e) {
			t.Fatalf("%q is outside of %q and has become %v", path, subPath, e)
		}
		if w, ok := want[rest]; in && (ok && w != e || !ok && prune || !ok && before[path] != e) {
			t.Fatalf("%q is %v, and not as wanted", path, e)
		}
	}
	for path := range want {
		if _, ok := after[strings.TrimPrefix(subPath+"/"+path, "/")]; !ok {
			t.Fatalf("%q is missing", path)
		}
	}
	for path := range before {
		rest, in := inside(path)
		if _, ok := after[path]; ok || in && prune {
			continue
		}
		// A file may have become a folder, if it was within.
		if !in || !slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(p string) bool { return strings.HasPrefix(p, rest+"/") }) {
			t.Fatalf("%q is gone", path)
		}
	}
}

func differences(a, b map[string]object.TreeEntry) int {
	n := 0
	for path, e := range a {
		if other, ok := b[path]; !ok || other != e {
			n++
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			n++
		}
	}
	return n
}

// lines splits a tree of a fuzz target into kinds and paths; it is not longer than what can be looked at.
func lines(spec string) [][2]string {
	var all [][2]string
	for line := range strings.SplitSeq(spec, "\n") {
		if kind, path, ok := strings.Cut(line, " "); ok && path != "" && len(all) < 50 && len(path) < 100 {
			all = append(all, [2]string{kind, path})
		}
	}
	return all
}

// archiveOf is an archive of lines.
func archiveOf(t testing.TB, spec string) []byte {
	t.Helper()
	entries := []entry{dir(".")}
	for i, l := range lines(spec) {
		if strings.ContainsRune(l[1], 0) || strings.HasSuffix(l[1], "/") {
			continue
		}
		switch l[0] {
		case "x":
			entries = append(entries, script(l[1], strconv.Itoa(i)))
		case "l":
			entries = append(entries, link(l[1], "x"))
		default:
			entries = append(entries, file(l[1], strconv.Itoa(i)))
		}
	}
	return archive(t, entries...)
}

// plant writes a tree of lines that nobody has checked, as others may have pushed it.
func plant(t testing.TB, w *pack.Writer, spec string) plumbing.Hash {
	t.Helper()
	root := map[string]any{}
	for i, l := range lines(spec) {
		at, parts := root, strings.Split(l[1], "/")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		h, err := w.Object(plumbing.BlobObject, fmt.Append(nil, "old", i))
		if err != nil {
			t.Fatal(err)
		}
		e := object.TreeEntry{Mode: filemode.Regular, Hash: h}
		switch l[0] {
		case "s":
			e.Mode, e.Hash = filemode.Submodule, plumbing.NewHash(submodule)
		case "l":
			e.Mode = filemode.Symlink
		case "o":
			e.Mode = 0o100664
		}
		at[parts[len(parts)-1]] = e
	}
	return plantFolder(t, w, root)
}

func plantFolder(t testing.TB, w *pack.Writer, folder map[string]any) plumbing.Hash {
	t.Helper()
	var entries []object.TreeEntry
	for name, what := range folder {
		if name == "" || strings.ContainsRune(name, 0) {
			continue
		}
		e, ok := what.(object.TreeEntry)
		if !ok {
			e = object.TreeEntry{Mode: filemode.Dir, Hash: plantFolder(t, w, what.(map[string]any))}
		}
		e.Name = name
		entries = append(entries, e)
	}
	content, err := pack.EncodeTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	h, err := w.Object(plumbing.TreeObject, content)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// checkInside follows every name and every link as the file systems of Linux, macOS and Windows would.
func checkInside(t *testing.T, w *pack.Writer, all map[string]object.TreeEntry) {
	t.Helper()
	links := map[string]string{}
	for path, e := range all {
		for part := range strings.SplitSeq(path, "/") {
			checkName(t, path, part)
		}
		if e.Mode != filemode.Symlink {
			continue
		}
		target, err := w.Content(e.Hash, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		links[path] = string(target)
	}
	for path := range links {
		if !stays(links, path, nil, 0) {
			t.Fatalf("the link %q to %q leaves the folder", path, links[path])
		}
	}
}

func checkName(t *testing.T, path, part string) {
	t.Helper()
	plain := strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, part))
	plain, _, _ = strings.Cut(plain, ":")
	plain = strings.TrimRight(plain, " .")
	if part == "" || part == "." || part == ".." || plain == ".git" || plain == "git~1" || strings.ContainsAny(part, "\\\x00\n\x7f") || len(part) > 255 {
		t.Fatalf("%q has the part %q", path, part)
	}
}

// stays walks a path from a folder, follows each link on its way, and tells whether it is never above the root.
func stays(links map[string]string, path string, at []string, hops int) bool {
	if hops > 40 {
		return true // no file system goes on
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return false
			}
			at = at[:len(at)-1]
			continue
		}
		next := append(slices.Clone(at), part)
		if target, ok := links[strings.Join(next, "/")]; ok {
			if strings.HasPrefix(target, "/") {
				return false
			}
			return stays(links, target+"/"+strings.Join(parts[i+1:], "/"), at, hops+1)
		}
		at = next
	}
	return true
}

// checkPack has go-git read the whole pack.
func checkPack(t *testing.T, w *pack.Writer) {
	t.Helper()
	r, _, err := w.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	store := memory.NewStorage()
	if err := packfile.UpdateObjectStorage(store, r); err != nil {
		t.Fatal(err)
	}
	if len(store.Objects) != w.Objects() {
		t.Fatalf("the pack has %d objects of %d", len(store.Objects), w.Objects())
	}
}
