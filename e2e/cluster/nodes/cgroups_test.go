package nodes

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree writes files and returns the folder around them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOpenCgroups(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason  string
		files   map[string]string
		want    []string
		unified bool
		fails   bool
	}{
		"first version": {
			reason: "a hierarchy for each controller, and one of the second version beside them",
			files: map[string]string{
				"cpu/cgroup.procs": "", "cpuset/cgroup.procs": "", "memory/cgroup.procs": "", "pids/cgroup.procs": "",
				"unified/cgroup.procs": "", "unified/cgroup.controllers": "",
			},
			want: []string{"cpu", "cpuset", "memory", "pids", "unified"},
		},
		"controllers that share": {
			reason: "they are in one hierarchy, whose name has both",
			files:  map[string]string{"cpu,cpuacct/cgroup.procs": "", "cpuset/cgroup.procs": "", "memory/cgroup.procs": "", "pids/cgroup.procs": ""},
			want:   []string{"cpu,cpuacct", "cpuset", "memory", "pids"},
		},
		"second version": {
			reason: "one hierarchy for all",
			files:  map[string]string{"cgroup.controllers": "cpuset cpu io memory hugetlb pids\n", "cgroup.procs": ""},
			want:   []string{"."}, unified: true,
		},
		"no memory": {
			reason: "a kubelet needs it", files: map[string]string{"cgroup.controllers": "cpuset cpu pids\n"}, fails: true,
		},
		"nothing is mounted": {reason: "there are no controllers at all", fails: true},
	} {
		got, err := openCgroups(tree(t, tc.files), "")
		if (err != nil) != tc.fails {
			t.Errorf("%s: got %v: %s", name, err, tc.reason)
		}
		if !tc.fails && (got.unified != tc.unified || !cmp.Equal(got.hierarchies, tc.want)) {
			t.Errorf("%s: got %v, want %v: %s", name, got, tc.want, tc.reason)
		}
	}
}

func TestCreateAndRemoveGroups(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"cpuset/cpuset.cpus": "0-3\n", "cpuset/cpuset.mems": "0\n"})
	c := &cgroups{root: root, hierarchies: []string{"cpuset"}}
	// The kernel makes the files of a group with it, and removes them with it.
	for _, dir := range []string{cgroupParent, cgroupParent + "/n", cgroupParent + "/n/" + cgroupSystem} {
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			path := filepath.Join(root, "cpuset", dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.create("n"); err != nil {
		t.Fatal(err)
	}
	member := c.members("n")
	if len(member) != 1 {
		t.Fatalf("members: got %v", member)
	}
	dir := filepath.Dir(member[0])
	if cpus, err := os.ReadFile(filepath.Join(dir, "cpuset.cpus")); err != nil || string(cpus) != "0-3\n" {
		t.Errorf("processors of the group: got %q, %v; want those of the machine", cpus, err)
	}

	other := &cgroups{root: root, hierarchies: []string{"empty"}}
	if err := os.Mkdir(filepath.Join(root, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.create("n"), other.create("m"), other.remove(context.Background(), "n")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "empty", cgroupParent, "n")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group of a node that was removed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "empty", cgroupParent, "m")); err != nil {
		t.Errorf("the group of another node: %v", err)
	}
	if err := other.remove(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if err := other.remove(context.Background(), ""); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
}
