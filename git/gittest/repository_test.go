package gittest_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

func TestRepository(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "team", "site.git")
	first := gittest.NewRepository(t, dir, map[string]string{"README.md": "hello\n", "a/b/c.txt": ""}, "trunk")
	second := gittest.Apply(t, dir, gittest.Change{
		Branch: "trunk", Message: "run\n\nOcm-Sync: a/b\n", Remove: []string{"a"},
		Files: map[string]string{"run.sh": "#!/bin/sh\n", "link": "run.sh", `odd "name"\`: "x", "new\nline": "y"},
		Modes: map[string]string{"run.sh": gittest.Executable, "link": gittest.Symlink},
	})
	if gittest.Tip(t, dir, "trunk") != second || gittest.Tip(t, dir, "tru") != "" || gittest.Tip(t, dir, "absent") != "" {
		t.Errorf("branches are %v, want trunk at %s", gittest.Branches(t, dir), second)
	}
	modes := map[string]string{}
	for path, file := range gittest.Files(t, dir, "trunk") {
		modes[path] = file.Mode + " " + file.Content
	}
	want := map[string]string{
		"README.md": "100644 hello\n", "run.sh": "100755 #!/bin/sh\n", "link": "120000 run.sh", `odd "name"\`: "100644 x", "new\nline": "100644 y",
	}
	if diff := cmp.Diff(want, modes); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	log := gittest.Log(t, dir, "trunk")
	if len(log) != 2 || log[0].Hash != second || log[1].Hash != first || log[0].Parents[0] != first || len(log[1].Parents) != 0 {
		t.Fatalf("got the log %+v, want %s and %s", log, second, first)
	}
	if log[0].Message != "run\n\nOcm-Sync: a/b\n" || log[0].AuthorEmail != "somebody@example.com" || log[0].Tree != gittest.Tree(t, dir, second) {
		t.Errorf("got %+v", log[0])
	}
	if gittest.Tree(t, dir, first+":a") == gittest.Tree(t, dir, first) {
		t.Error("the tree of a folder is that of the commit")
	}
	gittest.Fsck(t, dir)
}

func TestBranchesMove(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "site.git")
	first := gittest.NewRepository(t, dir, map[string]string{"a": "1"}, "main")
	second := gittest.Commit(t, dir, "main", map[string]string{"a": "2"})
	gittest.Branch(t, dir, "topic", first)
	third := gittest.Commit(t, dir, "topic", nil)
	if gittest.Tree(t, dir, third) != gittest.Tree(t, dir, first) {
		t.Error("a commit without files has another tree")
	}
	forced := gittest.Apply(t, dir, gittest.Change{Branch: "topic", From: second, Files: map[string]string{"b": "1"}})
	root := gittest.Apply(t, dir, gittest.Change{Branch: "other", Root: true, Files: map[string]string{"c": "1"}})
	if log := gittest.Log(t, dir, "topic"); log[0].Hash != forced || log[1].Hash != second {
		t.Errorf("got the log %+v of the branch that was moved", log)
	}
	again := gittest.Apply(t, dir, gittest.Change{Branch: "other", Root: true, Files: map[string]string{"d": "1"}})
	if diff := cmp.Diff(map[string]string{"d": "1"}, gittest.Contents(t, dir, "other")); diff != "" || len(gittest.Log(t, dir, again)) != 1 || again == root {
		t.Errorf("a root commit has ancestors, or files of them:\n%s", diff)
	}
	gittest.DeleteBranch(t, dir, "topic")
	if diff := cmp.Diff(map[string]string{"main": second, "other": again}, gittest.Branches(t, dir)); diff != "" {
		t.Errorf("branches (-want +got):\n%s", diff)
	}
	if log := gittest.Log(t, dir, "topic"); log != nil {
		t.Errorf("got the log %+v of a branch that is gone", log)
	}
}

func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "empty.git")
	if commit := gittest.NewRepository(t, dir, nil, "trunk"); commit != "" || len(gittest.Branches(t, dir)) != 0 {
		t.Errorf("got commit %q and branches %v, want none", commit, gittest.Branches(t, dir))
	}
	if head := gittest.Git(t, dir, "symbolic-ref", "HEAD"); head != "refs/heads/trunk\n" {
		t.Errorf("HEAD is %q", head)
	}
	gittest.Fsck(t, dir)
	gittest.Commit(t, dir, "trunk", map[string]string{"a": "1"})
	if diff := cmp.Diff(map[string]string{"a": "1"}, gittest.Contents(t, gittest.Clone(t, dir), "HEAD")); diff != "" {
		t.Errorf("a clone (-want +got):\n%s", diff)
	}
}

func TestLargeRepository(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "large.git")
	commit := gittest.NewLargeRepository(t, dir, "main", 20, 1<<20+7)
	files, size := gittest.Contents(t, dir, commit), 0
	for _, content := range files {
		size += len(content)
	}
	if len(files) != 20 || size != 1<<20+7 {
		t.Errorf("got %d files of %d bytes in all", len(files), size)
	}
	var packed int
	for line := range strings.Lines(gittest.Git(t, dir, "count-objects", "-v")) {
		if kib, ok := strings.CutPrefix(line, "size-pack: "); ok {
			for _, digit := range strings.TrimSpace(kib) {
				packed = packed*10 + int(digit-'0')
			}
		}
	}
	if packed < 1024 {
		t.Errorf("compression makes %d KiB of it", packed)
	}
	gittest.Fsck(t, dir)
}

// faults notes what a helper complains about.
type faults struct {
	testing.TB

	errors int
}

func (f *faults) Helper()               {}
func (f *faults) Errorf(string, ...any) { f.errors++ }

func TestFsckSeesFaults(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bad.git")
	gittest.NewRepository(t, dir, map[string]string{"a": "1"}, "main")
	blob := strings.TrimSpace(gittest.Git(t, dir, "rev-parse", "main:a"))
	tree := filepath.Join(t.TempDir(), "tree")
	writeFile(t, tree, "100644 .git\x00"+hexBytes(t, blob))
	bad := strings.TrimSpace(gittest.Git(t, dir, "hash-object", "-t", "tree", "-w", "--literally", tree))
	commit := strings.TrimSpace(gittest.Git(t, dir, "commit-tree", "-m", "bad", bad))
	gittest.Branch(t, dir, "bad", commit)
	seen := &faults{TB: t}
	gittest.Fsck(seen, dir)
	if seen.errors != 1 {
		t.Errorf("git fsck complains %d times about a file .git, want once", seen.errors)
	}
}
