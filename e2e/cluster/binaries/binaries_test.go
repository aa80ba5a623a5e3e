package binaries

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tiny is a module like the real ones, that builds in no time.
var tiny = module{name: "tiny", folder: "tiny", pkg: ".", binary: "tiny", links: []string{"alias"}}

const tinyProgram = `package main

import "os"

func main() { os.Stdout.WriteString("it runs\n") }
`

// log collects progress.
type log struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *log) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.lines.String(), s)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// tinySource writes the tiny module and returns the folder around it.
func tinySource(t *testing.T, program string) string {
	t.Helper()
	source := t.TempDir()
	write(t, filepath.Join(source, "tiny", "go.mod"), "module example.com/tiny\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "tiny", "main.go"), program)
	return source
}

func open(t *testing.T, dir, source string, progress *log) *Cache {
	t.Helper()
	c, err := Open(Options{Dir: dir, Source: source, Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(t *testing.T, m module, source string) string {
	t.Helper()
	k, err := m.key(source)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParallelCallersBuildOnce(t *testing.T) {
	t.Parallel()
	dir, source, progress := filepath.Join(t.TempDir(), "cache"), tinySource(t, tinyProgram), &log{}
	results := make([]string, 4)
	var callers sync.WaitGroup
	for i := range results {
		callers.Go(func() {
			built, err := open(t, dir, source, progress).build(t.Context(), tiny)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			results[i] = built
		})
	}
	callers.Wait()
	if len(slices.Compact(results)) != 1 {
		t.Errorf("callers got different programs: %v", results)
	}
	if n := progress.count("building from source"); n != 1 {
		t.Errorf("built %d times, want once", n)
	}
	out, err := exec.Command(filepath.Join(results[0], "alias")).Output()
	if err != nil || string(out) != "it runs\n" {
		t.Errorf("the built program says %q, %v", out, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFailedBuildShowsTheCompilersWords(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	cache := open(t, dir, tinySource(t, "package main\n\nfunc main() { undefinedFunction() }\n"), &log{})
	_, err := cache.build(t.Context(), tiny)
	if err == nil || !strings.Contains(err.Error(), "undefinedFunction") {
		t.Fatalf("got %v, want the compiler's complaint", err)
	}
	if _, err := cache.cached(tiny); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("after the failure: got %v, want ErrNotBuilt", err)
	}
}

func TestKeyFollowsWhatIsBuilt(t *testing.T) {
	t.Parallel()
	source := tinySource(t, tinyProgram)
	before := key(t, tiny, source)
	if again := key(t, tiny, tinySource(t, tinyProgram)); again != before {
		t.Error("the same module in another clone has another key")
	}
	other := tiny
	other.links = []string{"another"}
	if key(t, other, source) == before {
		t.Error("other links, same key")
	}
	write(t, filepath.Join(source, "tiny", "go.sum"), "example.com/x v1.0.0 h1:abc=\n")
	after := key(t, tiny, source)
	if after == before {
		t.Error("another go.sum, same key")
	}
	// The boundary between a name and a content must count.
	if err := os.Rename(filepath.Join(source, "tiny", "go.sum"), filepath.Join(source, "tiny", "go.sun")); err != nil {
		t.Fatal(err)
	}
	if key(t, tiny, source) == after {
		t.Error("another file name, same key")
	}
	if _, err := tiny.key(t.TempDir()); err == nil {
		t.Error("want an error where there is no module")
	}
}

func TestControlPlaneTellsItsVersion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason, mod, want string
		fails             bool
	}{
		"required": {
			reason: "clients read it", mod: "module x\n\nrequire (\n\tk8s.io/kubectl v0.0.0\n\tk8s.io/kubernetes v1.36.3\n)\n",
			want: "gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36 ",
		},
		"missing": {reason: "a binary without a version breaks clients later", mod: "module x\n", fails: true},
	} {
		source := t.TempDir()
		write(t, filepath.Join(source, controlPlane.folder, "go.mod"), tc.mod)
		got, err := controlPlane.ldflags(source)
		if (err != nil) != tc.fails || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, %v; want %q: %s", name, got, err, tc.want, tc.reason)
		}
	}
}

func TestRealModulesHaveKeys(t *testing.T) {
	t.Parallel()
	source, err := findSource()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, m := range []module{controlPlane, sourceController, kustomizeController, helm, helmController, registries, gitea} {
		k := key(t, m, source)
		if len(k) != keyLength || seen[k] != "" {
			t.Errorf("%s has the key %q, as has %q", m.name, k, seen[k])
		}
		seen[k] = m.name
	}
}

func TestPruneKeepsTheLastUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cache := open(t, dir, tinySource(t, tinyProgram), &log{})
	now := time.Now()
	for i, name := range []string{
		"tiny-aaaaaaaaaaaaaaaa", "tiny-bbbbbbbbbbbbbbbb", "tiny-cccccccccccccccc", "tiny-dddddddddddddddd", // newest first
		"tiny-other-aaaaaaaaaaaaaaaa", "unrelated",
	} {
		path := filepath.Join(dir, name)
		write(t, filepath.Join(path, "file"), "")
		if err := os.Chtimes(path, now, now.Add(-time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cache.prune(tiny); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	want := []string{"tiny-aaaaaaaaaaaaaaaa", "tiny-bbbbbbbbbbbbbbbb", "tiny-cccccccccccccccc", "tiny-other-aaaaaaaaaaaaaaaa", "unrelated"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTracker(t *testing.T) {
	t.Parallel()
	tracker := newTracker("tiny", func(string, ...any) {})
	defer tracker.stop()
	if complaints := tracker.read(strings.NewReader("go: downloading example.com/a v1.0.0\ngo: downloading example.com/b v1.0.0\n")); len(complaints) > 0 {
		t.Errorf("downloads are no complaints: %q", complaints)
	}
	if got := tracker.status(); !strings.HasPrefix(got, "[tiny] 2 modules downloaded, ") {
		t.Errorf("while downloading: %q", got)
	}
	tracker.compiling(7)
	complaints := tracker.read(strings.NewReader("errors\nexample.com/a\n# example.com/b\n./b.go:1:1: undefined: x\n" + strings.Repeat("x", 2<<20)))
	if got := tracker.status(); !strings.HasPrefix(got, "[tiny] 2/7 packages, ") || !strings.HasSuffix(got, ": example.com/a") {
		t.Errorf("while compiling: %q", got)
	}
	if got, want := string(complaints), "# example.com/b\n./b.go:1:1: undefined: x"; got != want {
		t.Errorf("got complaints %q, want %q", got, want)
	}
}

func TestDownloaded(t *testing.T) { // changes the environment, so not in parallel
	home := t.TempDir()
	t.Setenv(AssetsVariable, "")
	t.Setenv("XDG_DATA_HOME", home)
	if dir, found, err := Downloaded(); found || err != nil {
		t.Errorf("nothing downloaded: got %q, %v", dir, err)
	}
	platform := runtime.GOOS + "-" + runtime.GOARCH
	assets := func(version string, names ...string) string {
		dir := filepath.Join(home, "kubebuilder-envtest", "k8s", version)
		for _, name := range names {
			write(t, filepath.Join(dir, name), "")
		}
		return dir
	}
	assets("1.36.2-"+platform, assetNames...)
	want := assets("1.36.10-"+platform, assetNames...)
	assets("1.36.11-"+platform, "etcd")         // an interrupted download
	assets("1.37.0-"+platform, assetNames...)   // another minor version
	assets("1.36.12-plan9-mips", assetNames...) // another platform
	if dir, found, err := Downloaded(); dir != want || !found || err != nil {
		t.Errorf("got %q, %t, %v; want %s", dir, found, err, want)
	}
	named := assets("named", assetNames...)
	t.Setenv(AssetsVariable, named)
	if dir, found, err := Downloaded(); dir != named || !found || err != nil {
		t.Errorf("named by the environment: got %q, %t, %v; want %s", dir, found, err, named)
	}
	t.Setenv(AssetsVariable, assets("incomplete", "etcd"))
	if dir, _, err := Downloaded(); err == nil {
		t.Errorf("got %q; want an error, as the user has named a folder that can't be used", dir)
	}
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if dir, err := defaultDir(); dir != "/somewhere/ocm-operator" || err != nil {
		t.Errorf("got %q, %v", dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "relative") // to be ignored, says the standard
	t.Setenv("HOME", "/home/example")
	if dir, err := defaultDir(); dir != "/home/example/.cache/ocm-operator" || err != nil {
		t.Errorf("got %q, %v", dir, err)
	}
}

func TestOutsideAClone(t *testing.T) {
	t.Chdir(t.TempDir())
	if source, err := findSource(); err == nil {
		t.Errorf("got %q, want an error", source)
	}
}
