package binaries

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	write(t, filepath.Join(dir, "apt-get"), head+`shift 4
for name; do echo "Get:1 http://mirror stable/main amd64 $name amd64 1.0 [1 kB]"; echo "$name" > "$name.deb"; done
`)
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
	if _, err := c.Runtime(t.Context(), false); err == nil || !strings.Contains(err.Error(), "not installed: containerd") {
		t.Errorf("without packages: got %v, want what is not installed", err)
	}
	distribution(t)
	write(t, filepath.Join(os.Getenv("PATH"), "apt-get"), "#!/bin/sh\necho no such package >&2\nexit 100\n")
	if _, err := c.Runtime(t.Context(), false); err == nil || !strings.Contains(err.Error(), "no such package") || !strings.Contains(err.Error(), "apt-get update") {
		t.Errorf("no packages: got %v, want the complaint and what to do", err)
	}
}
