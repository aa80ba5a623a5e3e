package nodes

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machine is what nodes could change about this machine.
type machine struct {
	// Settings, Mounts and Routes have to stay as they are.
	Settings map[string]string
	Mounts   []string
	Routes   []string
	// Links and Groups are only those of nodes.
	Links, Groups []string
}

// settings are those that a node's programs would change if they could.
var settings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/hostname", "net/ipv4/ip_forward",
	"net/netfilter/nf_conntrack_max", "net/bridge/bridge-nf-call-iptables", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

func look(t *testing.T) machine {
	t.Helper()
	m := machine{Settings: map[string]string{}, Mounts: mounts(t), Routes: allRoutes(t)}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Name, "ocm-") {
			m.Links = append(m.Links, link.Name)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/" + cgroupParent, "/sys/fs/cgroup/" + cgroupParent, cgroupRecord} {
		groups, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		m.Groups = append(m.Groups, groups...)
	}
	for _, path := range append(paths("/proc/sys/", settings), cgroupRoot+"/cgroup.subtree_control") {
		value, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m.Settings[path] = string(value)
	}
	return m
}

func paths(dir string, names []string) []string {
	var all []string
	for _, name := range names {
		all = append(all, dir+name)
	}
	return all
}

// mounts lists where on the machine something is mounted that could be a node's.
func mounts(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			t.Fatalf("a mount of this machine: %q", line)
		}
		point := fields[4]
		own := slices.Contains([]string{"/proc", "/usr", "/run", "/var"}, point) || strings.HasPrefix(point, "/proc/sys/") ||
			strings.Contains(point, "/nodes/node-") || strings.HasPrefix(point, "/var/lib/kubelet") || strings.HasPrefix(point, "/run/containerd")
		if own {
			nodes = append(nodes, line)
		}
	}
	return nodes
}

// allRoutes lists the routes of all tables. Those of nodes are marked by the name of their link.
func allRoutes(t *testing.T) []string {
	t.Helper()
	routes, err := readRoutes()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range routes {
		link := strconv.Itoa(r.Interface)
		if found, err := net.InterfaceByIndex(r.Interface); err == nil {
			link = found.Name
		}
		all = append(all, r.Destination.String()+" to "+link+": "+r.Detail)
	}
	if len(all) == 0 {
		t.Fatal("this machine has no routes at all, not even to itself")
	}
	slices.Sort(all)
	return all
}

// same checks that the machine is as it was, and that nothing of nodes is left, not even of those that were there before.
func (m machine) same(t *testing.T, what string) {
	t.Helper()
	m.Links, m.Groups = nil, nil
	m.Routes = slices.DeleteFunc(slices.Clone(m.Routes), func(r string) bool { return strings.Contains(r, " to "+machineLink+":") })
	after := look(t)
	for path := range after.Settings { // a module that was loaded meanwhile brings its own
		if _, known := m.Settings[path]; !known {
			delete(after.Settings, path)
		}
	}
	if diff := cmp.Diff(m, after); diff != "" {
		t.Errorf("%s: the machine is not as it was (-before +after):\n%s", what, diff)
	}
}
