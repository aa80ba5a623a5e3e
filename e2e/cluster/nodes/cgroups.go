package nodes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	// cgroupParent is the control group that holds those of all nodes.
	cgroupParent = "ocm-operator-nodes"
	// cgroupSystem is the group of a node's own programs; those of its pods are made by kubelet.
	cgroupSystem = "system"
	// cgroupRecord is where it is written down which controllers the machine's groups have not had before.
	cgroupRecord = "/run/ocm-operator-nodes.controllers"
)

// cgroups is where the kernel's control groups are mounted, in their first version or in their second.
type cgroups struct {
	root    string
	unified bool
	// hierarchies are the folders below root in which groups are made: one per controller, or only root itself.
	hierarchies []string
	// record is a file that outlives its writer, who may be killed before it can take back what is recorded there.
	record string
}

// wantedControllers are those that a kubelet can't do without.
var wantedControllers = []string{"cpu", "cpuset", "memory", "pids"}

// openCgroups looks at the control groups below root, which is /sys/fs/cgroup but in tests, as is the record.
func openCgroups(root, record string) (*cgroups, error) {
	if content, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil {
		if err := wantControllers(strings.Fields(string(content))); err != nil {
			return nil, err
		}
		return &cgroups{root: root, unified: true, hierarchies: []string{"."}, record: record}, nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	c := &cgroups{root: root, record: record}
	for _, entry := range entries {
		if !entry.IsDir() { // a controller that shares a hierarchy is a link to it
			continue
		}
		// The second version may be beside the first, with no controllers; runc makes groups there as well.
		if _, err := os.Stat(filepath.Join(root, entry.Name(), "cgroup.procs")); err == nil {
			c.hierarchies = append(c.hierarchies, entry.Name())
		}
	}
	return c, wantControllers(slices.Concat(c.hierarchies, strings.Split(strings.Join(c.hierarchies, ","), ",")))
}

func wantControllers(have []string) error {
	for _, name := range wantedControllers {
		if !slices.Contains(have, name) {
			return fmt.Errorf("there are no control groups for %s", name)
		}
	}
	return nil
}

// create makes the groups of a node. The machine's controllers were borrowed before.
func (c *cgroups) create(node string) error {
	for _, hierarchy := range c.hierarchies {
		dir := filepath.Join(c.root, hierarchy)
		for _, name := range []string{cgroupParent, node, cgroupSystem} {
			if err := c.delegate(dir); err != nil {
				return err
			}
			dir = filepath.Join(dir, name)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("create control group: %w", err)
			}
			if err := inheritSets(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritSets copies the processors and memory nodes of the group above: in the first version a group has none at first, and
// takes no process then.
func inheritSets(dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(own)) != "" {
			continue
		}
		above, aboveErr := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
		if errors.Is(aboveErr, fs.ErrNotExist) {
			continue // the root of the second version has no such file, nor is it needed there
		}
		if err := errors.Join(err, aboveErr); err != nil {
			return fmt.Errorf("read processors of control group: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), above, 0o644); err != nil {
			return fmt.Errorf("set processors of control group: %w", err)
		}
	}
	return nil
}

// members are the files by which a process joins the group of a node's own programs.
func (c *cgroups) members(node string) []string {
	var files []string
	for _, hierarchy := range c.hierarchies {
		files = append(files, filepath.Join(c.root, hierarchy, cgroupParent, node, cgroupSystem, "cgroup.procs"))
	}
	return files
}

// remove removes the groups below the one of that name, and itself, as soon as the kernel has taken their last processes
// out. Name is a node, or nothing for all of them.
func (c *cgroups) remove(ctx context.Context, name string) error {
	var errs []error
	for _, hierarchy := range c.hierarchies {
		dir := filepath.Join(c.root, hierarchy, cgroupParent, name)
		errs = append(errs, poll(ctx, "control group "+dir+" can be removed", func(context.Context) error { return removeGroups(dir) }))
	}
	if name == "" {
		errs = append(errs, c.restore())
	}
	return errors.Join(errs...)
}

// removeGroups removes a group and those below it. Files in them are the kernel's and go with them.
func removeGroups(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroups(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
