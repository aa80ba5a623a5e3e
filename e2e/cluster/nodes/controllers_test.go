package nodes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestBorrowControllers checks what is written, as there are no groups of the second version on every machine.
func TestBorrowControllers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason             string
		delegated          string
		borrowed, recorded string
		restored           string
	}{
		"nothing is handed down": {
			reason:   "only what nodes need is, and it is taken back",
			borrowed: "+cpuset +cpu +memory +hugetlb +pids", recorded: "cpuset cpu memory hugetlb pids", restored: "-pids",
		},
		"some is": {
			reason:    "what was there before is not ours to take back",
			delegated: "cpuset cpu io hugetlb pids\n", borrowed: "+memory", recorded: "memory", restored: "-memory",
		},
		"all is": {
			reason:    "nothing is written",
			delegated: "cpuset cpu memory hugetlb pids\n", borrowed: "cpuset cpu memory hugetlb pids\n", restored: "cpuset cpu memory hugetlb pids\n",
		},
	} {
		root := tree(t, map[string]string{"cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma\n", "cgroup.subtree_control": tc.delegated})
		record := filepath.Join(t.TempDir(), "record")
		c, err := openCgroups(root, record)
		if err != nil {
			t.Fatal(err)
		}
		read := func(path string) string {
			content, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			return string(content)
		}
		if err := c.borrow(); err != nil {
			t.Fatal(err)
		}
		if got := read(filepath.Join(root, "cgroup.subtree_control")); got != tc.borrowed {
			t.Errorf("%s: handed down %q, want %q: %s", name, got, tc.borrowed, tc.reason)
		}
		if got := read(record); got != tc.recorded {
			t.Errorf("%s: recorded %q, want %q: %s", name, got, tc.recorded, tc.reason)
		}
		again, err := openCgroups(root, record) // another process, after the first one was killed
		if err != nil {
			t.Fatal(err)
		}
		if err := again.restore(); err != nil {
			t.Fatal(err)
		}
		// The kernel takes each write for itself; a file shows the last one.
		if got := read(filepath.Join(root, "cgroup.subtree_control")); got != tc.restored {
			t.Errorf("%s: taken back %q, want %q: %s", name, got, tc.restored, tc.reason)
		}
		if got := read(record); got != "" {
			t.Errorf("%s: %q is still recorded after it was taken back", name, got)
		}
	}
}

// TestBorrowFromTheDead: what somebody has borrowed who was killed stays recorded until it is taken back.
func TestBorrowFromTheDead(t *testing.T) {
	t.Parallel()
	const available, delegated, recorded = "cpuset cpu io memory hugetlb pids\n", "cpuset io memory\n", "cpuset cpu memory"
	for name, tc := range map[string]struct {
		reason                      string
		borrow                      func(*cgroups) error
		recorded, written, restored string
	}{
		"for nodes":  {reason: "it has lent two more, and gets back all", borrow: (*cgroups).borrow, recorded: "cpuset cpu memory hugetlb pids", written: "+cpu +hugetlb +pids", restored: "-pids"},
		"for a look": {reason: "nobody has removed what the dead one has left", borrow: (*cgroups).tryBorrow, recorded: recorded, written: delegated, restored: "-memory"},
	} {
		root := tree(t, map[string]string{"cgroup.controllers": available, "cgroup.subtree_control": delegated})
		record := filepath.Join(tree(t, map[string]string{"record": recorded}), "record")
		c, err := openCgroups(root, record)
		if err != nil {
			t.Fatal(err)
		}
		if err := tc.borrow(c); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{record: tc.recorded, filepath.Join(root, "cgroup.subtree_control"): tc.written} {
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s: %s has %q, %v; want %q: %s", name, filepath.Base(path), got, err, want, tc.reason)
			}
		}
		if err := c.restore(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(root, "cgroup.subtree_control")); err != nil || string(got) != tc.restored {
			t.Errorf("%s: taken back at last %q, %v; want %q: %s", name, got, err, tc.restored, tc.reason)
		}
		if _, err := os.Stat(record); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it is still recorded after it was taken back: %v", name, err)
		}
	}
}

// TestTryBorrow leaves a machine that has lent nothing as it is.
func TestTryBorrow(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"cgroup.controllers": "cpuset cpu memory pids\n", "cgroup.subtree_control": "memory\n"})
	record := filepath.Join(t.TempDir(), "record")
	c, err := openCgroups(root, record)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.tryBorrow(); err != nil {
		t.Fatal(err)
	}
	// The last of the writes, which the kernel takes one by one.
	if got, err := os.ReadFile(filepath.Join(root, "cgroup.subtree_control")); err != nil || string(got) != "-pids" {
		t.Errorf("written last: %q, %v; want that what was borrowed is taken back", got, err)
	}
	if _, err := os.Stat(record); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still recorded: %v", err)
	}
}

func TestControllersThatStay(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"cgroup.controllers": "cpuset cpu memory pids\n", "cgroup.procs": "1\n"})
	// A container with control groups of its own has processes in the uppermost one, and the kernel refuses the write. So it
	// does with this file, which can be read as well.
	if err := os.Symlink("/proc/version", filepath.Join(root, "cgroup.subtree_control")); err != nil {
		t.Fatal(err)
	}
	c, err := openCgroups(root, filepath.Join(t.TempDir(), "record"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.borrow(); err == nil {
		t.Error("a machine that hands nothing down: got no error")
	}
}
