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
	// What somebody who was killed has borrowed stays recorded, or nobody would take it back.
	recorded, err := c.borrowed()
	if err != nil {
		return err
	}
	for _, name := range missing {
		if !slices.Contains(recorded, name) {
			recorded = append(recorded, name)
		}
	}
	// Recorded first: taking back what was never given does nothing.
	if err := os.WriteFile(c.record, []byte(strings.Join(recorded, " ")), 0o600); err != nil {
		return fmt.Errorf("record which controllers the machine hands down for nodes: %w", err)
	}
	return control(c.root, "+", missing)
}

// tryBorrow tells whether the machine lends its controllers, and leaves them as they are. The caller holds the machine's lock.
func (c *cgroups) tryBorrow() error {
	recorded, err := c.borrowed()
	if err != nil || len(recorded) > 0 {
		// It has lent them before, to somebody who was killed. Some can't be taken back before the groups of that one are removed, and
		// whoever does that needs the record.
		return err
	}
	return errors.Join(c.borrow(), c.restore())
}

// restore takes back what borrow has handed down, unless somebody else needs it by now.
func (c *cgroups) restore() error {
	recorded, err := c.borrowed()
	if err != nil {
		return err
	}
	for _, name := range recorded { // one by one, as one may be needed where another is not
		if err := control(c.root, "-", []string{name}); err != nil && !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	if err := os.Remove(c.record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget which controllers the machine has handed down for nodes: %w", err)
	}
	return nil
}

// borrowed lists what is recorded, which is nothing when there is no record.
func (c *cgroups) borrowed() ([]string, error) {
	content, err := os.ReadFile(c.record)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("find out which controllers the machine has handed down for nodes: %w", err)
	}
	return strings.Fields(string(content)), nil
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
