package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

// supervisorName is the name of the supervisor's log.
const supervisorName = "supervisor"

// Up starts a cluster in the background and returns when it is ready. command is the command line of a program that
// calls Supervise for the folder dir. A cluster that already runs there is left as it is.
func Up(ctx context.Context, dir string, command []string, progress io.Writer) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the cluster's folder: %w", err)
	}
	files := layout(dir)
	if state, err := ReadState(dir); err == nil && state.Running() {
		_, _ = fmt.Fprintf(progress, "the cluster in %s runs already\n", dir)
		return state, nil
	}
	if err := Down(ctx, dir); err != nil && !errors.Is(err, ErrNoCluster) {
		return nil, err
	}
	if err := files.create(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(files.log(supervisorName), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // outlives this process and its terminal
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the cluster's supervisor: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	return awaitReady(ctx, files, exited, progress, func() error { return cmd.Process.Signal(syscall.SIGTERM) })
}

// awaitReady copies the supervisor's log to progress until the cluster is ready.
func awaitReady(ctx context.Context, files layout, exited chan error, progress io.Writer, stop func() error) (*State, error) {
	log, err := os.Open(files.log(supervisorName))
	if err != nil {
		return nil, fmt.Errorf("open the supervisor's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		_, _ = io.Copy(progress, log) // goes on where it has stopped
		if state, err := ReadState(string(files)); err == nil && state.Running() && state.Supervisor != nil {
			_, _ = io.Copy(progress, log)
			return state, nil
		}
		select {
		case err := <-exited:
			_, _ = io.Copy(progress, log)
			return nil, fmt.Errorf("the cluster did not start, see %s: %w", log.Name(), err)
		case <-ctx.Done():
			err := stop()
			err = errors.Join(err, <-exited)
			return nil, errors.Join(fmt.Errorf("start cluster in %s: %w", files, context.Cause(ctx)), err)
		case <-ticker.C:
		}
	}
}

// Supervise runs a cluster until ctx ends, and then stops it. It returns an error when the cluster does not start or
// one of its processes ends by itself; the rest is stopped then too. It is the whole work of the process that Up
// starts.
func Supervise(ctx context.Context, o Options) error {
	self, err := process.Identify(os.Getpid())
	if err != nil {
		return err
	}
	c, err := start(ctx, o, &RecordedProcess{Identity: self, Name: supervisorName})
	if err != nil {
		return err
	}
	err = c.Wait(ctx)
	return errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
}

// Down ends every process that is recorded in dir, and no other: an id that the kernel has meanwhile given to somebody
// else is recognised by the time of its start. The folder stays. It returns ErrNoCluster when nothing is recorded.
func Down(ctx context.Context, dir string) error {
	state, err := ReadState(dir)
	if err != nil {
		return err
	}
	grace := stopGrace
	if deadline, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(deadline)/2)
	}
	if err := state.endAll(grace); err != nil {
		return fmt.Errorf("stop the cluster in %s: %w", dir, err)
	}
	return removeState(layout(dir))
}

// Delete removes what a cluster has written into dir, and dir itself if nothing else is in it. It refuses while the
// cluster runs.
func Delete(ctx context.Context, dir string) error {
	files := layout(dir)
	ctx, cancel := context.WithTimeoutCause(ctx, lockGrace, ErrInUse)
	defer cancel()
	lock, err := filelock.Acquire(ctx, files.lock(), nil)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("delete the cluster in %s: %w", dir, context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	for _, path := range files.all() {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("delete the cluster in %s: %w", dir, err)
		}
	}
	if err := lock.Remove(); err != nil {
		return err
	}
	_ = os.Remove(dir) // somebody else's files may be in it
	return nil
}
