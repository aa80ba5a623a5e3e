package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
)

// VolumesDir is a folder of every node in which tests may have volumes (hostPath and local ones). Wipe clears it.
const VolumesDir = "/var/lib/volumes"

// stateFolder is where a node keeps its own files, below its /var.
const stateFolder = "lib/node"

// tunings are the kernel settings that kubelet wants, with the values that it wants. They belong to the whole machine, so a
// node gets a file in place of each.
var tunings = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// prepareDisk writes what a node finds in its /var when it boots. What was there from an earlier boot stays.
func (n *Node) prepareDisk(ctx context.Context, p *programs, membership *cluster.Membership) error {
	if err := n.makeFolders(); err != nil {
		return err
	}
	if err := os.Symlink("/run", filepath.Join(n.disk, "run")); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create disk of node %s: %w", n.Name, err)
	}
	snapshotter, err := snapshotter(ctx, n.disk)
	if err != nil {
		return err
	}
	files := map[string]string{
		"containerd.toml": containerdConfig(p.Plugins, snapshotter), "kubelet.yaml": n.kubeletConfig(), "proxy.yaml": n.proxyConfig(),
		"cni/10-pods.conflist": networkConfig(n.index),
		"bin/kubelet":          "", "bin/kube-proxy": "", // the program is mounted over them
	}
	for name, value := range tunings {
		files[filepath.Join("sys", name)] = value + "\n"
	}
	for name, from := range map[string]string{
		"bin/init": p.Pause, "keys/ca.crt": membership.CA, "keys/kubelet.crt": membership.Cert, "keys/kubelet.key": membership.Key,
		"keys/kubelet.kubeconfig": membership.Kubelet, "keys/proxy.kubeconfig": membership.Proxy,
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("give node %s its files: %w", n.Name, err)
		}
		files[name] = string(content)
	}
	for name, content := range files {
		path := filepath.Join(n.disk, stateFolder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("give node %s its files: %w", n.Name, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			return fmt.Errorf("give node %s its files: %w", n.Name, err)
		}
	}
	return nil
}

func (n *Node) makeFolders() error {
	for _, dir := range []string{"tmp", "log", "lib/volumes", "lib/node/bin"} {
		if err := os.MkdirAll(filepath.Join(n.disk, dir), 0o755); err != nil {
			return fmt.Errorf("create disk of node %s: %w", n.Name, err)
		}
	}
	return nil
}

// newBootID gives the node what the kernel gives a machine each time it starts. By it Kubernetes knows that the node was
// rebooted.
func (n *Node) newBootID() error {
	id := string(uuid.NewUUID())
	path := filepath.Join(n.disk, stateFolder, "sys", "kernel", "random", "boot_id")
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(id+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("give node %s a boot id: %w", n.Name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bootID = id
	return nil
}

// snapshotter chooses how containerd keeps the files of containers. The faster one can't lie on a file system of its own
// kind, which a container has where this runs inside of one.
func snapshotter(ctx context.Context, dir string) (string, error) {
	cmd := command(ctx, "stat", "-f", "-c", "%T", dir)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find out the file system of %s: %w", dir, err)
	}
	if strings.TrimSpace(string(out)) == "overlayfs" {
		return "native", nil
	}
	return "overlayfs", nil
}

// containerdConfig keeps containerd from writing anywhere but in the node's own folders.
func containerdConfig(plugins, snapshotter string) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  # Lowering the score takes a capability that this machine may not give.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = "/var/lib/node/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`, containerdSocket, pauseImage, plugins, snapshotter)
}

const containerdSocket = "/run/containerd/containerd.sock"

// networkConfig leads everything that a pod sends through its node, where the proxy sees it; with a bridge between the pods
// of a node their answers would go past it.
func networkConfig(index int) string {
	route := func(destination string) map[string]string { return map[string]string{"dst": destination} }
	return encode(map[string]any{
		"cniVersion": "0.4.0", "name": "pods",
		"plugins": []any{
			map[string]any{
				"type": "ptp", "ipMasq": false,
				"ipam": map[string]any{
					"type": "host-local", "dataDir": "/run/cni-addresses",
					"ranges": []any{[]any{map[string]string{"subnet": nodePods(index)}}},
					"routes": []any{route(serviceRange), route(nodeRange), route(podRange)},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	})
}

func (n *Node) kubeletConfig() string {
	key := func(name string) string { return "/var/" + stateFolder + "/keys/" + name }
	return encode(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + cgroupParent + "/" + n.Name,
		"failSwapOn": false, "oomScoreAdj": 0, // lowering it takes a capability that this machine may not give
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"address":                  n.Address, "tlsCertFile": key("kubelet.crt"), "tlsPrivateKeyFile": key("kubelet.key"),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true},
			"x509": map[string]any{"clientCAFile": key("ca.crt")},
		},
		"authorization": map[string]any{"mode": "Webhook"},
		"clusterDomain": "cluster.local", "clusterDNS": []string{dnsAddress}, "resolvConf": "",
		// The disk is shared with everything else on this machine, and images can't be fetched again.
		"evictionHard":                map[string]string{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"imageGCHighThresholdPercent": 100,
		"volumePluginDir":             "/var/lib/kubelet/plugins-exec",
		"nodeStatusUpdateFrequency":   "5s",
		"healthzBindAddress":          n.Address,
	})
}

func (n *Node) proxyConfig() string {
	return encode(map[string]any{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
		"clientConnection": map[string]string{"kubeconfig": "/var/" + stateFolder + "/keys/proxy.kubeconfig"},
		"clusterCIDR":      podRange, "hostnameOverride": n.Name, "oomScoreAdj": 0,
		"healthzBindAddress": n.Address + ":10256", "metricsBindAddress": n.Address + ":10249",
		"nftables": map[string]string{"minSyncPeriod": "0s", "syncPeriod": "30s"},
		// These belong to the whole machine.
		"conntrack": map[string]any{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	})
}

// encode writes JSON, which is YAML too.
func encode(value map[string]any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		panic(err) // there is nothing in it that has no JSON
	}
	return out.String()
}
