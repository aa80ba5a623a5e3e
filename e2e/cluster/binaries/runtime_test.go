package binaries

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// download is apt-get as it fetches packages.
const download = `shift 4
for name; do echo "Get:1 http://mirror stable/main amd64 $name amd64 1.0 [1 kB]"; echo "$name" > "$name.deb"; done
`

// distribution makes the programs of a distribution's packages the only ones there are. Each call of them is noted in the
// file that is returned.
func distribution(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	head := "#!/bin/sh\nset -e\necho \"${0##*/} $*\" >> " + calls + "\n"
	write(t, filepath.Join(dir, "apt-cache"), head+`echo containerd
echo "  Depends: libc6"
echo libc6
echo libseccomp2
echo "  |Depends: libother"
echo zlib1g
echo debconf
`)
	write(t, filepath.Join(dir, "apt-get"), head+download)
	write(t, filepath.Join(dir, "dpkg"), head+`/bin/mkdir -p "$3/usr/lib/cni" "$3/lib/x86_64-linux-gnu" "$3/usr/bin"
for plugin in ptp host-local loopback portmap; do echo > "$3/usr/lib/cni/$plugin"; done
echo > "$3/lib/x86_64-linux-gnu/${2##*/}.so"
`)
	t.Setenv("PATH", dir)
	return calls
}

func TestRuntimeFromPackages(t *testing.T) { // changes the environment, so not in parallel
	calls := distribution(t)
	progress := &log{}
	c, err := Open(Options{Dir: t.TempDir(), Source: t.TempDir(), Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	if missing := strings.Join(MissingRuntime(), " "); !strings.Contains(missing, "containerd") || !strings.Contains(missing, "nft") {
		t.Errorf("missing: got %q", missing)
	}
	runtime, err := c.Runtime(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.Plugins != "/usr/lib/cni" || !strings.Contains(runtime.From, runtime.Root) {
		t.Errorf("got %+v", runtime)
	}
	for name, want := range map[string]bool{"libseccomp2": true, "zlib1g": true, "nftables": true, "iproute2": true, "libc6": false, "debconf": false, "libother": false} {
		_, err := os.Stat(filepath.Join(runtime.Root, "usr", "lib", "x86_64-linux-gnu", name+".deb.so"))
		if (err == nil) != want {
			t.Errorf("%s is unpacked into /usr: %t, want %t", name, err == nil, want)
		}
	}
	if progress.count("fetching libseccomp2") != 1 {
		t.Errorf("progress: %s", progress.lines.String())
	}
	before, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Runtime(t.Context(), true)
	if err != nil || *again != *runtime {
		t.Errorf("again: got %+v, %v; want the same", again, err)
	}
	after, err := os.ReadFile(calls)
	if err != nil || strings.Count(string(after), "apt-get") != strings.Count(string(before), "apt-get") {
		t.Errorf("packages are fetched again: %s, %v", after, err)
	}
}

func TestRuntimeThatCanNotBeHad(t *testing.T) { // changes the environment, so not in parallel
	c, err := Open(Options{Dir: t.TempDir(), Source: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := c.Runtime(t.Context(), false); !errors.Is(err, ErrNoPackages) || !strings.Contains(err.Error(), "containerd") {
		t.Errorf("nothing to fetch it with: got %v, want ErrNoPackages and what is not installed", err)
	}
	distribution(t)
	write(t, filepath.Join(os.Getenv("PATH"), "dpkg"), "#!/bin/sh\necho no space >&2\nexit 2\n")
	if _, err := c.Runtime(t.Context(), false); err == nil || errors.Is(err, ErrNoPackages) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("packages that can't be unpacked: got %v, want the complaint, and not that there are none", err)
	}
	distribution(t)
	write(t, filepath.Join(os.Getenv("PATH"), "dpkg"), "#!/bin/sh\n")
	if _, err := c.Runtime(t.Context(), false); err == nil || errors.Is(err, ErrNoPackages) || !strings.Contains(err.Error(), "plugins") {
		t.Errorf("packages without plugins: got %v, want what is missing, and not that there are no packages", err)
	}
}

// TestListOfPackages refuses packages in different ways, and looks at what becomes of that with a new list of them.
func TestListOfPackages(t *testing.T) { // changes the environment, so not in parallel
	const (
		unknown = `echo "E: Unable to locate package runc" >&2; exit 100; `
		gone    = `echo "E: Failed to fetch http://mirror/runc_1.0_amd64.deb  404  Not Found" >&2; exit 100; `
		silence = `echo "E: Failed to fetch http://mirror/InRelease  Temporary failure resolving 'mirror'" >&2; exit 100; `
		full    = `echo "E: write (28: No space left on device)" >&2; exit 100; `
	)
	for name, tc := range map[string]struct {
		reason string
		// update and download are what apt-get does before it has done so; the file "listed" stands for a new list.
		update, download string
		updates          int
		fails, lacks     bool
	}{
		"a list":                  {reason: "it is not fetched again", update: silence, updates: 0},
		"no list":                 {reason: "it is fetched", update: ": > listed; ", download: "[ -e listed ] || { " + unknown + "}; ", updates: 1},
		"an old list":             {reason: "it is fetched anew", update: ": > listed; ", download: "[ -e listed ] || { " + gone + "}; ", updates: 1},
		"a part of a list":        {reason: "it may be the one that matters", update: ": > listed; " + silence, download: "[ -e listed ] || { " + unknown + "}; ", updates: 1},
		"no network":              {reason: "nobody answers", update: silence, download: unknown, updates: 1, fails: true, lacks: true},
		"no such package":         {reason: "the new list has none either", download: unknown, updates: 1, fails: true, lacks: true},
		"a fault for apt-get too": {reason: "there are a list and a mirror, so it is no lack", download: full, updates: 1, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			calls := distribution(t)
			listed := filepath.Join(t.TempDir(), "listed")
			script := "#!/bin/sh\necho \"apt-get $*\" >> " + calls + "\nif [ \"$1\" = update ]; then " + tc.update + "exit 0; fi\n" + tc.download + download
			write(t, filepath.Join(os.Getenv("PATH"), "apt-get"), strings.ReplaceAll(script, "listed", listed))
			c, err := Open(Options{Dir: t.TempDir(), Source: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Runtime(t.Context(), true)
			if (err != nil) != tc.fails || errors.Is(err, ErrNoPackages) != tc.lacks {
				t.Errorf("%s: got %v; want an error: %t, that there are no packages: %t", tc.reason, err, tc.fails, tc.lacks)
			}
			content, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(content), "apt-get update"); got != tc.updates {
				t.Errorf("%s: the list was fetched %d times, want %d:\n%s", tc.reason, got, tc.updates, content)
			}
		})
	}
}
