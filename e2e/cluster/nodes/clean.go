package nodes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

// clean removes everything that nodes leave on a machine. The caller holds the machine's lock, therefore whatever is found is
// nobody's any more.
func clean(ctx context.Context, p *programs, f files, groups *cgroups) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	state, err := f.readState()
	if errors.Is(err, errNoNodes) {
		state, err = &State{}, nil
	}
	if err != nil {
		return err
	}
	var errs []error
	processes := state.Network
	for _, node := range state.Nodes {
		processes = append(processes, node.Processes...)
	}
	for _, identity := range processes {
		errs = append(errs, identity.End(0))
	}
	errs = append(errs, groups.remove(ctx, ""), disconnect(ctx, p))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove what nodes have left: %w", err)
	}
	return f.removeState()
}

// Down ends the cluster in dir, and removes what its nodes have left on the machine if it was killed. It returns
// cluster.ErrNoCluster when nothing is recorded there.
func Down(ctx context.Context, dir string) error { return down(ctx, dir, machineLock) }

// passing is longer than anybody holds the machine's lock who has no nodes, and therefore removes nothing.
const passing = 5 * time.Second

// down is Down with another file in place of the machine's lock.
func down(ctx context.Context, dir, lockFile string) error {
	err := cluster.Down(ctx, dir)
	if err != nil && !errors.Is(err, cluster.ErrNoCluster) {
		return err
	}
	left, readErr := files(dir).readState()
	if errors.Is(readErr, errNoNodes) {
		return err
	}
	if readErr != nil {
		return readErr
	}
	lock, lockErr := takeOver(ctx, lockFile, passing)
	if lockErr != nil {
		return lockErr
	}
	if lock == nil {
		// Somebody else has nodes by now, and has removed what was left before that.
		return files(dir).removeState()
	}
	groups, groupsErr := openCgroups(cgroupRoot, cgroupRecord)
	if groupsErr != nil {
		return errors.Join(groupsErr, lock.Release())
	}
	return errors.Join(clean(ctx, left.programs(), files(dir), groups), lock.Release())
}

// takeOver takes the machine's lock, unless somebody has it for longer than the grace: then it returns neither lock nor error.
func takeOver(ctx context.Context, lockFile string, grace time.Duration) (*filelock.Lock, error) {
	deadline := time.Now().Add(grace)
	return filelock.Acquire(ctx, lockFile, func() bool { return time.Now().After(deadline) })
}

// Supervise runs a cluster with nodes until ctx ends, and then stops it; see cluster.Supervise.
func Supervise(ctx context.Context, o Options) error {
	c, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	err = cluster.Supervise(ctx, c.options.controlPlane((*extension)(c)))
	return errors.Join(err, c.release(ctx))
}
