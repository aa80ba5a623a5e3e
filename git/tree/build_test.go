package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/hack/benchtest"
)

// TestBuild keeps what a work tree or its rules would lose, and drops what git has not.
func TestBuild(t *testing.T) {
	t.Parallel()
	yaml := "$Id$\r\nx\n"
	src := archive(t,
		entry{kind: tar.TypeXGlobalHeader}, dir("./"), dir("./empty/"), dir("./bin"), dir("bin"),
		file(".gitignore", "*.log\nsecret/\n"), file("debug.log", "kept"), file("secret/key", "kept"),
		file(".gitattributes", "* text eol=crlf\n*.yaml filter=lfs export-ignore ident\n"), file("a.yaml", yaml),
		script("bin/run", "#!/bin/sh\n"), entry{tar.TypeReg, "bin/setuid", "x", 0o6755}, entry{tar.TypeReg, "private", "", 0o600},
		link("bin/latest", "run"), link("up/and/down", "../../bin/./run"), link("gone", "no/such/file"), link("self", "."),
		hard("bin/same", "bin/run"), hard("twin", "./a.yaml"), file("./a.yaml", yaml),
		file(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = https://example.org/x.git\n\tupdate = rebase\n"),
		file("README", "1"), file("readme", "2"), file("gitter/.github/x", ""), file("caf\u00e9 a:b|c", ""),
	)
	w := writer(t)
	built, err := tree.Build(t.Context(), w, bytes.NewReader(src), tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	repository := bare(t)
	push(t, repository, w, built.Tree)
	id := func(content string) string {
		return plumbing.ComputeHash(plumbing.BlobObject, []byte(content)).String()
	}
	want := map[string]string{
		".gitignore": "100644 " + id("*.log\nsecret/\n"), "debug.log": "100644 " + id("kept"), "secret/key": "100644 " + id("kept"),
		".gitattributes": "100644 " + id("* text eol=crlf\n*.yaml filter=lfs export-ignore ident\n"), "a.yaml": "100644 " + id(yaml),
		"bin/run": "100755 " + id("#!/bin/sh\n"), "bin/setuid": "100755 " + id("x"), "private": "100644 " + id(""),
		"bin/latest": "120000 " + id("run"), "up/and/down": "120000 " + id("../../bin/./run"), "gone": "120000 " + id("no/such/file"), "self": "120000 " + id("."),
		"bin/same": "100755 " + id("#!/bin/sh\n"), "twin": "100644 " + id(yaml),
		".gitmodules": "100644 " + id("[submodule \"x\"]\n\tpath = x\n\turl = https://example.org/x.git\n\tupdate = rebase\n"),
		"README":      "100644 " + id("1"), "readme": "100644 " + id("2"), "gitter/.github/x": "100644 " + id(""), "caf\u00e9 a:b|c": "100644 " + id(""),
	}
	if diff := cmp.Diff(want, lsTree(t, repository, "main")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if built.Files != len(want) {
		t.Errorf("got %d files, want %d", built.Files, len(want))
	}
}

// lsTree is what the real git lists of a branch: mode and hash of each path.
func lsTree(t testing.TB, dir, branch string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(git(t, dir, nil, "ls-tree", "-r", "-z", branch), "\x00"), "\x00") {
		what, path, _ := strings.Cut(line, "\t")
		fields := strings.Fields(what)
		got[path] = fields[0] + " " + fields[2]
	}
	return got
}

// TestBuildAgreesWithGit compares trees of many names with what the real git makes of the same archives when tar unpacks them.
func TestBuildAgreesWithGit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 11))
	parts := []string{"a", "b", "a.b", "a-b", "a0", "ab", "A", "-x", "x y", "\u00fc", "\u200d", "~", "#", "%41"}
	for range 4 {
		var entries []entry
		taken := map[string]bool{}
		for range 60 {
			path := parts[random.IntN(len(parts))]
			folders := []string{}
			for range random.IntN(4) {
				folders = append(folders, path)
				path += "/" + parts[random.IntN(len(parts))]
			}
			if _, ok := taken[path]; ok {
				continue
			}
			clash := false
			for _, f := range folders {
				isFile, ok := taken[f]
				clash = clash || ok && isFile
			}
			if clash {
				continue
			}
			for _, f := range folders {
				taken[f] = false
			}
			taken[path] = true
			e := file(path, strconv.Itoa(random.IntN(5)))
			switch random.IntN(4) {
			case 0:
				e.mode = 0o755
			case 1:
				e = link(path, "t"+strconv.Itoa(random.IntN(3)))
			}
			entries = append(entries, e)
		}
		src := archive(t, entries...)
		w := writer(t)
		built, err := tree.Build(t.Context(), w, bytes.NewReader(src), tree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if want := gitTree(t, src); built.Tree.String() != want {
			t.Errorf("got %s, want %s of %v", built.Tree, want, entries)
		}
		push(t, bare(t), w, built.Tree)
	}
}

// gitTree unpacks an archive and has the real git make a tree of it.
func gitTree(t testing.TB, src []byte) string {
	t.Helper()
	work := t.TempDir()
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "--no-same-owner")
	unpack.Dir, unpack.Stdin = work, bytes.NewReader(src)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	git(t, work, nil, "init", "--quiet")
	git(t, work, nil, "add", "--force", "--all")
	return strings.TrimSpace(git(t, work, nil, "write-tree"))
}

// TestBuildIsDeterministic makes the same pack of the same content, however its entries are ordered and arrive.
func TestBuildIsDeterministic(t *testing.T) {
	t.Parallel()
	entries := []entry{file("b/c", "1"), file("a", "2"), script("b/a", "3"), link("l", "a"), dir("b"), file("big", strings.Repeat("0123456789", 40_000))}
	src := archive(t, entries...)
	first := build(t, writer(t), entries...)
	for name, r := range map[string]io.Reader{
		"halves": iotest.HalfReader(bytes.NewReader(src)), "one byte": iotest.OneByteReader(bytes.NewReader(src)), "data at end": iotest.DataErrReader(bytes.NewReader(src)),
		"padded": io.MultiReader(bytes.NewReader(src), bytes.NewReader(make([]byte, 10240))), "no end": bytes.NewReader(src[:len(src)-1024]),
	} {
		built, err := tree.Build(t.Context(), writer(t), r, tree.Limits{})
		if err != nil || built.Tree != first || built.Bytes != 400_003 || built.Files != 5 {
			t.Errorf("%s: got %+v, %v, want %s", name, built, err, first)
		}
	}
}

func TestSingle(t *testing.T) {
	t.Parallel()
	w := writer(t)
	built, err := tree.Single(t.Context(), w, "config/values.yaml", 4, strings.NewReader("a: 1"), tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if want := build(t, writer(t), file("config/values.yaml", "a: 1")); built.Tree != want || built.Files != 1 || built.Bytes != 4 {
		t.Errorf("got %+v, want %s", built, want)
	}
	push(t, bare(t), w, built.Tree)
	lost := errors.New("connection lost")
	for name, c := range map[string]struct {
		name    string
		size    int64
		content io.Reader
		verdict bool
		reason  string
	}{
		"climbing":    {"../x", 1, strings.NewReader("x"), true, "a name is a path"},
		"git":         {".git", 1, strings.NewReader("x"), true, "a name is a path"},
		"nothing":     {"", 1, strings.NewReader("x"), true, "a file has a name"},
		"folder":      {"x/", 1, strings.NewReader("x"), true, "a file is no folder"},
		"root":        {".", 1, strings.NewReader("x"), true, "a file is no folder"},
		"short":       {"x", 2, strings.NewReader("x"), true, "something is missing"},
		"long":        {"x", 1, strings.NewReader("xy"), true, "something would be lost"},
		"negative":    {"x", -1, strings.NewReader(""), true, "there is no such size"},
		"too large":   {"x", 11, strings.NewReader("0123456789a"), true, "a limit"},
		"source":      {"x", 2, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(lost)), false, "the source may work later"},
		"source ends": {"x", 1, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(lost)), false, "its digest is wrong"},
	} {
		_, err := tree.Single(t.Context(), writer(t), c.name, c.size, c.content, tree.Limits{FileBytes: 10})
		if err == nil || refused(err) != c.verdict || errors.Is(err, lost) == c.verdict {
			t.Errorf("%s: got %v: %s", name, err, c.reason)
		}
	}
}

// TestBuildReportsTheSource makes sure that a source that checks itself has the last word, and that only content is to blame
// for what is wrong with content.
func TestBuildReportsTheSource(t *testing.T) {
	t.Parallel()
	lost := errors.New("digest mismatch")
	src := archive(t, file("a", "one"), file("b", strings.Repeat("x", 300<<10)))
	for name, at := range map[string]int{"at once": 0, "in a header": 100, "in a file": 513, "in a large file": 100 << 10, "behind the end": len(src)} {
		_, err := tree.Build(t.Context(), writer(t), io.MultiReader(bytes.NewReader(src[:at]), iotest.ErrReader(lost)), tree.Limits{})
		if !errors.Is(err, lost) || refused(err) {
			t.Errorf("%s: got %v, want %v", name, err, lost)
		}
	}
	_, err := tree.Build(t.Context(), writer(t), io.MultiReader(bytes.NewReader(src[:1024]), iotest.ErrReader(fmt.Errorf("connection lost: %w", io.EOF))), tree.Limits{})
	if err == nil || refused(err) {
		t.Errorf("a broken connection is no end: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tree.Build(ctx, writer(t), bytes.NewReader(src), tree.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestBuildBoundsThePack(t *testing.T) {
	t.Parallel()
	w, err := pack.New(t.TempDir(), 10<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var entries []entry
	for i := range 2000 {
		entries = append(entries, file(fmt.Sprintf("%d-%d", i, rand.Uint64()), ""))
	}
	limit := new(tree.LimitError)
	if _, err := tree.Build(t.Context(), w, bytes.NewReader(archive(t, entries...)), tree.Limits{}); !errors.As(err, &limit) || limit.Limit != 10<<10 {
		t.Errorf("got %v", err)
	}
}

// zeros is a reader of so many bytes that are not there.
func zeros(size int64) io.Reader { return io.LimitReader(zero{}, size) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestMemory builds a tree with a file of 300 MiB, and one of 10,000 files, and pushes them to nowhere.
func TestMemory(t *testing.T) { //nolint:paralleltest // it looks at the heap of the whole process
	const size = 300 << 20
	large := io.MultiReader(bytes.NewReader(header(tar.TypeReg, "large", "", size)), zeros(size), bytes.NewReader(archive(t, file("small", "x"))))
	if used := benchtest.Live(func() { drain(t, large, 2) }); used > 8<<20 {
		t.Errorf("a file of 300 MiB takes %d KiB of memory", used>>10)
	}
	many := archive(t, manifests(10_000)...)
	if used := benchtest.Live(func() { drain(t, bytes.NewReader(many), 10_000) }); used > 24<<20 {
		t.Errorf("10,000 files take %d KiB of memory", used>>10)
	}
}

// drain builds a tree and reads its pack.
func drain(t testing.TB, src io.Reader, files int) {
	t.Helper()
	w := writer(t)
	built, err := tree.Build(t.Context(), w, src, tree.Limits{})
	if err != nil || built.Files != files {
		t.Errorf("got %+v, %v", built, err)
		return
	}
	root, err := tree.Graft(t.Context(), w, nil, plumbing.ZeroHash, "clusters/production", built.Tree, true)
	if err != nil {
		t.Error(err)
	}
	r, size, err := w.Reader(root)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != size {
		t.Errorf("read %d of %d bytes: %v", n, size, err)
	}
}

// manifests are so many small files of different content, a hundred in a folder.
func manifests(n int) []entry {
	entries := make([]entry, 0, n)
	for i := range n {
		content := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: example-%d\n  namespace: team-%d\ndata:\n  key: %q\n", i, i/100, strings.Repeat("value ", i%50))
		entries = append(entries, file(fmt.Sprintf("team-%d/manifests/example-%d.yaml", i/100, i), content))
	}
	return entries
}

func TestTempFilesAreGone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w, err := pack.New(folder, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := tree.Build(t.Context(), w, strings.NewReader("no archive"), tree.Limits{}); !refused(err) {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left in %s: %v", left, filepath.Base(folder), err)
	}
}
