package binaries

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mixed is a module like Gitea's: it has a part in C, wants a tag, and reads files when it runs.
var mixed = module{name: "mixed", folder: "mixed", pkg: "example.com/mixed", binary: "mixed", cgo: true, tags: "wanted", static: []string{"pages"}}

func mixedSource(t *testing.T) string {
	t.Helper()
	source := t.TempDir()
	write(t, filepath.Join(source, "mixed", "go.mod"), "module example.com/mixed\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "mixed", "main.go"), "//go:build wanted\n\npackage main\n\n// #include <stdlib.h>\nimport \"C\"\n\nfunc main() { println(C.abs(-42)) }\n")
	write(t, filepath.Join(source, "mixed", "pages", "en", "index.html"), "hello")
	return source
}

func TestProgramWithPartsInC(t *testing.T) {
	t.Parallel()
	cache := open(t, filepath.Join(t.TempDir(), "cache"), mixedSource(t), &log{})
	dir, err := cache.build(t.Context(), mixed)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "mixed")).CombinedOutput(); err != nil || string(out) != "42\n" {
		t.Errorf("the built program says %q, %v", out, err)
	}
	if page, err := os.ReadFile(filepath.Join(dir, staticFolder, "pages", "en", "index.html")); err != nil || string(page) != "hello" {
		t.Errorf("what it reads is %q, %v", page, err)
	}
}

func TestNoCompiler(t *testing.T) { // changes the environment, so not in parallel
	for name, compiler := range map[string]string{"not there": "no-such-compiler -m64", "without a library": "false"} {
		t.Setenv("CC", compiler)
		cache := open(t, filepath.Join(t.TempDir(), "cache"), mixedSource(t), &log{})
		if _, err := cache.build(t.Context(), mixed); !errors.Is(err, ErrNoCompiler) || !strings.Contains(err.Error(), "apt-get install") {
			t.Errorf("%s: got %v, want ErrNoCompiler and what to do", name, err)
		}
	}
}

func TestGiteaTellsItsVersion(t *testing.T) {
	t.Parallel()
	source, err := findSource()
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := gitea.ldflags(source); err != nil || flags != "-s -w -X main.Version=1.26.0" {
		t.Errorf("got %q, %v", flags, err)
	}
	other := gitea
	other.tags = "sqlite"
	if key(t, other, source) == key(t, gitea, source) {
		t.Error("other tags, same key")
	}
	other = gitea
	other.static = nil
	if key(t, other, source) == key(t, gitea, source) {
		t.Error("other files, same key")
	}
}
