package nodes

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// machine is what nodes could change about this machine.
type machine struct {
	// Settings, Mounts, Routes and Controllers have to stay as they are. The latter are those that the uppermost control group hands down.
	Settings    map[string]string
	Mounts      []string
	Routes      []string
	Controllers []string
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
	m := machine{Settings: map[string]string{}, Mounts: mounts(t), Controllers: handedDown(t, cgroupRoot, cgroupRecord)}
	routes, err := readRoutes()
	if err != nil {
		t.Fatal(err)
	}
	if len(routes) == 0 {
		t.Fatal("this machine has no routes at all, not even to itself")
	}
	m.Routes = ourRoutes(routes, func(index int) string {
		link, err := net.InterfaceByIndex(index)
		if err != nil {
			return strconv.Itoa(index)
		}
		return link.Name
	})
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Name, ourLinks) {
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
	for _, path := range paths("/proc/sys/", settings) {
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

// ourLinks is what the names of all links of nodes begin with.
const ourLinks = "ocm-"

// ourRoutes lists the routes to our ranges, and all over our links, whichever table they are in. Others come and go with networks with
// which nodes have nothing to do.
func ourRoutes(routes []route, name func(index int) string) []string {
	var ours []string
	for _, r := range routes {
		link := name(r.Interface)
		if r.overlapped() != "" || strings.HasPrefix(link, ourLinks) {
			ours = append(ours, r.Destination.String()+" to "+link+": "+r.Detail)
		}
	}
	slices.Sort(ours)
	return ours
}

// handedDown lists the controllers that the uppermost control group hands down, of those that nodes need. What is recorded does not
// count: it will be taken back. In the first version of control groups there are none.
func handedDown(t *testing.T, root, record string) []string {
	t.Helper()
	all := controllersIn(t, filepath.Join(root, "cgroup.subtree_control"))
	borrowed := controllersIn(t, record)
	all = slices.DeleteFunc(all, func(name string) bool {
		return slices.Contains(borrowed, name) || name != optionalController && !slices.Contains(wantedControllers, name)
	})
	slices.Sort(all)
	return all
}

// othersControllers are those that a group directly below root hands down. They can't be taken back, whoever has handed them to it.
func othersControllers(t *testing.T, root string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*", "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range files {
		all = append(all, controllersIn(t, file)...)
	}
	return all
}

// controllersIn reads a list of controllers, which is empty when there is no such file.
func controllersIn(t *testing.T, file string) []string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) { // the latter from a group that has just gone
		t.Fatal(err)
	}
	return strings.Fields(string(content))
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
	others := othersControllers(t, cgroupRoot)
	after.Controllers = slices.DeleteFunc(after.Controllers, func(name string) bool { // somebody has begun to need it meanwhile
		return !slices.Contains(m.Controllers, name) && slices.Contains(others, name)
	})
	if diff := cmp.Diff(m, after, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: the machine is not as it was (-before +after):\n%s", what, diff)
	}
}

func TestOurRoutes(t *testing.T) {
	t.Parallel()
	names := map[int]string{0: "0", 2: "eth0", 3: machineLink, 4: "docker0", 7: "7"}
	for name, tc := range map[string]struct {
		reason      string
		destination string
		link        int
		want        []string
	}{
		"the machine's default": {reason: "it changes with a lease", destination: "0.0.0.0/0", link: 2},
		"another network":       {reason: "it comes with a bridge of somebody else", destination: "172.17.0.0/16", link: 4},
		"its multicast":         {reason: "as its network", destination: "ff00::/8", link: 4},
		"a default by nodes":    {reason: "nodes are no way out", destination: "0.0.0.0/0", link: 3, want: []string{"0.0.0.0/0 to ocm-nodes: x"}},
		"our multicast":         {reason: "it goes with our link", destination: "ff00::/8", link: 3, want: []string{"ff00::/8 to ocm-nodes: x"}},
		"ours by another way":   {reason: "nobody but nodes has a route there", destination: "198.19.1.0/24", link: 2, want: []string{"198.19.1.0/24 to eth0: x"}},
		"ours to a gone link":   {reason: "it is still there", destination: "198.18.0.1/32", link: 7, want: []string{"198.18.0.1/32 to 7: x"}},
	} {
		routes := []route{{Destination: netip.MustParsePrefix(tc.destination), Interface: tc.link, Detail: "x"}}
		if diff := cmp.Diff(tc.want, ourRoutes(routes, func(index int) string { return names[index] })); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
}

// TestControllersOfTheMachine looks at a machine like those that have only the second version of control groups.
func TestControllersOfTheMachine(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	root := tree(t, map[string]string{
		"cgroup.subtree_control": "cpuset io memory pids hugetlb rdma\n", "system.slice/cgroup.subtree_control": "memory pids\n", "a/cgroup.subtree_control": "\n",
	})
	if got, want := handedDown(t, root, record), []string{"cpuset", "hugetlb", "memory", "pids"}; !cmp.Equal(got, want) {
		t.Errorf("handed down are %v, want %v, which are those that nodes need", got, want)
	}
	if err := os.WriteFile(record, []byte("cpuset hugetlb"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := handedDown(t, root, record), []string{"memory", "pids"}; !cmp.Equal(got, want) {
		t.Errorf("handed down are %v, want %v: the others were borrowed", got, want)
	}
	if got, want := othersControllers(t, root), []string{"memory", "pids"}; !cmp.Equal(got, want) {
		t.Errorf("others hand down %v, want %v", got, want)
	}
	if got := handedDown(t, t.TempDir(), record); len(got) > 0 {
		t.Errorf("in the first version %v are handed down", got)
	}
}
