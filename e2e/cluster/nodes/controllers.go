package nodes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// In the second version of control groups a group has only the controllers that the one above hands down. Kubelet insists on
// all that it knows and the machine has, so hugetlb is handed down as well where there is one.
const optionalController = "hugetlb"

// delegate lets groups below dir, which is ours, use the controllers.
func (c *cgroups) delegate(dir string) error {
	missing, err := c.notDelegated(dir)
	if err != nil || len(missing) == 0 {
		return err
	}
	return control(dir, "+", missing)
}

// borrow does the same for the machine's uppermost group, and records what restore has to take back. The caller holds the
// machine's lock.
func (c *cgroups) borrow() error {
	missing, err := c.notDelegated(c.root)
	if err != nil || len(missing) == 0 {
		return err
	}
	// Recorded first: taking back what was never given does nothing.
	if err := os.WriteFile(c.record, []byte(strings.Join(missing, " ")), 0o600); err != nil {
		return fmt.Errorf("record which controllers the machine hands down for nodes: %w", err)
	}
	return control(c.root, "+", missing)
}

// restore takes back what borrow has handed down, unless somebody else needs it by now.
func (c *cgroups) restore() error {
	content, err := os.ReadFile(c.record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find out which controllers the machine has handed down for nodes: %w", err)
	}
	for name := range strings.FieldsSeq(string(content)) { // one by one, as one may be needed where another is not
		if err := control(c.root, "-", []string{name}); err != nil && !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	return os.Remove(c.record)
}

// notDelegated lists the controllers that groups below dir lack. In the first version they lack none.
func (c *cgroups) notDelegated(dir string) ([]string, error) {
	if !c.unified {
		return nil, nil
	}
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, fmt.Errorf("read controllers: %w", err)
	}
	delegated, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return nil, fmt.Errorf("read controllers: %w", err)
	}
	var missing []string
	has := strings.Fields(string(delegated))
	for name := range strings.FieldsSeq(string(available)) {
		if (name == optionalController || slices.Contains(wantedControllers, name)) && !slices.Contains(has, name) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// control hands controllers down to the groups below dir, or takes them back.
func control(dir, sign string, controllers []string) error {
	what := sign + strings.Join(controllers, " "+sign)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(what), 0o644); err != nil {
		return fmt.Errorf("hand controllers %s down to control groups: %w", what, err)
	}
	return nil
}
