package nodes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
)

// preparedDisk returns a node whose disk has all its files.
func preparedDisk(t *testing.T) *Node {
	t.Helper()
	dir := tree(t, map[string]string{"pause": "#!", "ca": "ca", "kubelet": "k", "proxy": "p", "cert": "c", "key": "y"})
	at := func(name string) string { return filepath.Join(dir, name) }
	n := &Node{Name: "node-3", Address: nodeAddress(3), index: 3, disk: t.TempDir()}
	p := &programs{Node: &binaries.Node{Pause: at("pause")}, Runtime: &binaries.Runtime{Plugins: "/plugins"}}
	membership := &cluster.Membership{CA: at("ca"), Kubelet: at("kubelet"), Proxy: at("proxy"), Cert: at("cert"), Key: at("key")}
	for range 2 { // it is prepared again when the cluster goes on
		if err := n.prepareDisk(t.Context(), p, membership); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func TestDisk(t *testing.T) {
	t.Parallel()
	n := preparedDisk(t)
	for name, want := range map[string]string{
		"containerd.toml":         `bin_dir = "/plugins"`,
		"kubelet.yaml":            `"cgroupRoot": "/ocm-operator-nodes/node-3"`,
		"proxy.yaml":              `"hostnameOverride": "node-3"`,
		"cni/10-pods.conflist":    `"subnet": "198.19.3.0/24"`,
		"keys/ca.crt":             "ca",
		"keys/proxy.kubeconfig":   "p",
		"bin/init":                "#!",
		"sys/kernel/panic":        "10\n",
		"sys/vm/panic_on_oom":     "0\n",
		"keys/kubelet.crt":        "c",
		"keys/kubelet.key":        "y",
		"keys/kubelet.kubeconfig": "k",
	} {
		content, err := os.ReadFile(filepath.Join(n.disk, stateFolder, name))
		if err != nil || !strings.Contains(string(content), want) {
			t.Errorf("%s: got %q, %v; want it to have %q", name, content, err, want)
		}
		if strings.Contains(string(content), n.disk) {
			t.Errorf("%s names the disk by its path on this machine, where the node does not see it", name)
		}
		if ext := filepath.Ext(name); (ext == ".yaml" || ext == ".conflist") && !json.Valid(content) {
			t.Errorf("%s is no JSON: %s", name, content)
		}
	}
	if target, err := os.Readlink(filepath.Join(n.disk, "run")); err != nil || target != "/run" {
		t.Errorf("/var/run leads to %q, %v", target, err)
	}
}

func TestEachBootHasItsID(t *testing.T) {
	t.Parallel()
	n := &Node{Name: "node-1", disk: t.TempDir()}
	seen := map[string]bool{}
	for range 3 {
		if err := n.newBootID(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(n.disk, stateFolder, "sys", "kernel", "random", "boot_id"))
		if err != nil || string(content) != n.bootID+"\n" || seen[n.bootID] {
			t.Errorf("got %q, %v; want a new id, which is %q", content, err, n.bootID)
		}
		seen[n.bootID] = true
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason  string
		options Options
		want    int
		fails   bool
	}{
		"default":   {reason: "two is the least that shows what more than one node means", options: Options{Dir: "d"}, want: 2},
		"no folder": {reason: "nodes have disks", fails: true},
		"too many":  {reason: "their addresses have one digit", options: Options{Dir: "d", Count: 10}, fails: true},
		"negative":  {reason: "there are no such numbers of nodes", options: Options{Dir: "d", Count: -1}, fails: true},
	} {
		got, err := tc.options.complete()
		if (err != nil) != tc.fails || err == nil && (got.Count != tc.want || !filepath.IsAbs(got.Dir)) {
			t.Errorf("%s: got %+v, %v: %s", name, got, err, tc.reason)
		}
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := files(dir)
	if err := os.MkdirAll(f.path(), 0o755); err != nil {
		t.Fatal(err)
	}
	if state, err := ReadState(dir); err != nil || len(state.Nodes) > 0 {
		t.Errorf("no nodes: got %+v, %v", state, err)
	}
	if err := statefile.Write(f.state(), &State{Packages: "/p", Nodes: []NodeState{{Name: "node-1"}}}); err != nil {
		t.Fatal(err)
	}
	state, err := ReadState(dir)
	if err != nil || len(state.Nodes) != 1 || state.Nodes[0].Verdict() != "off" || state.programs().Root != "/p" {
		t.Errorf("got %+v, %v", state, err)
	}
	if err := os.WriteFile(f.state(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); err == nil || !strings.Contains(err.Error(), f.state()) {
		t.Errorf("a damaged file: got %v, want an error that names it", err)
	}
}

func TestMissingPrograms(t *testing.T) { // changes the environment, so not in parallel
	t.Setenv("PATH", t.TempDir())
	reasons := strings.Join(Missing(t.Context()), "\n")
	for _, want := range []string{"nsenter is not installed", "containerd", "runc", "nft", "no apt-get"} {
		if !strings.Contains(reasons, want) {
			t.Errorf("on a machine with no programs: got %q, want it to speak of %q", reasons, want)
		}
	}
}
