package tree_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

// TestModulesAgreeWithGit writes .gitmodules of many pieces. What the fsck of the real git takes for an error is refused;
// more may be.
func TestModulesAgreeWithGit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(13, 17))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	const files = 3000
	w := writer(t)
	contents := map[plumbing.Hash]string{}
	var folders []object.TreeEntry
	for i := range files {
		pieces := []string{
			"[submodule \"", pick("x", "a/b", "..", "../x", "x/..", "x/../y", `\.\./x`, `a\\..\\b`, "x..", "..x", "a/ ../b", " ..", ""), "\"]", pick("\n", " ", "\t", "; note\n"),
		}
		for range 1 + random.IntN(3) {
			pieces = append(pieces, pick("", "\t", " "), pick("url", "URL", "path", "Path", "update", "uPDATE", "branch"), pick(" = ", "=", "\t=  ", " =\t", " = \\\n"), pick("", "\"", "\\\"", "\"\""),
				pick("!cmd", "-x", "x", "../y", "./-x", "https://example.org/%0ahost", "https://example.org/x", "../../:x", "..//:x", "./../:x/y", ".././../x", "rebase", "git@host:-x", "https:///x", "http::x", ""),
				pick("", "\""), pick("\n", "", " # !\n"))
		}
		content := strings.Join(pieces, "")
		h, err := w.Object(plumbing.BlobObject, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		contents[h] = content
		leaf, err := w.Object(plumbing.TreeObject, encode(t, object.TreeEntry{Name: ".gitmodules", Mode: filemode.Regular, Hash: h}))
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, object.TreeEntry{Name: strconv.Itoa(i), Mode: filemode.Dir, Hash: leaf})
	}
	root, err := w.Object(plumbing.TreeObject, encode(t, folders...))
	if err != nil {
		t.Fatal(err)
	}
	dir := bare(t)
	r, _, err := w.Reader(root)
	if err != nil {
		t.Fatal(err)
	}
	git(t, dir, r, "index-pack", "--stdin")
	cmd := exec.CommandContext(t.Context(), "git", "fsck", "--strict", "--full", "--no-progress", "--no-dangling")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C")
	out, _ := cmd.CombinedOutput() // it fails for what it finds
	wrong, missed := 0, map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^error in blob ([0-9a-f]{40}): (.*)$`).FindAllStringSubmatch(string(out), -1) {
		wrong++
		content := contents[plumbing.NewHash(m[1])]
		if _, err := tree.Single(t.Context(), w, ".gitmodules", int64(len(content)), strings.NewReader(content), tree.Limits{}); !refused(err) {
			if missed[m[2]]++; missed[m[2]] < 3 {
				t.Errorf("git says %q of\n%s\nand it was taken: %v", m[2], content, err)
			}
		}
	}
	if wrong < files/10 {
		t.Errorf("git found %d errors in %d files:\n%.500s", wrong, files, out)
	}
}

func encode(t testing.TB, entries ...object.TreeEntry) []byte {
	t.Helper()
	content, err := pack.EncodeTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
