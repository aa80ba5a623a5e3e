package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Identity names one run of one process. A process id alone does not: the kernel gives it to somebody else after the
// process has ended, and a cluster must never kill that somebody. The time of start tells the two apart.
type Identity struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// Identify returns the identity of the running process pid.
func Identify(pid int) (Identity, error) {
	started, err := startTime(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	return Identity{PID: pid, Started: started}, nil
}

// Alive tells whether this very process still runs. A zombie does not.
func (i Identity) Alive() bool {
	if i.PID <= 0 || i.Started == "" {
		return false
	}
	started, err := startTime(i.PID)
	return err == nil && started == i.Started
}

// Signal sends a signal to this very process. It returns os.ErrProcessDone when that process has ended, whoever has
// its id now.
func (i Identity) Signal(sig syscall.Signal) error {
	if i.PID <= 0 {
		return os.ErrProcessDone
	}
	// The handle is taken before the identity is checked: where the kernel has process descriptors, the handle then
	// can't come to mean another process in between.
	handle, err := os.FindProcess(i.PID)
	if err != nil {
		return os.ErrProcessDone
	}
	defer func() { _ = handle.Release() }()
	if !i.Alive() {
		return os.ErrProcessDone
	}
	if err := handle.Signal(sig); err != nil {
		if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return fmt.Errorf("signal process %d: %w", i.PID, err)
	}
	return nil
}

// End asks this very process to end, and kills it when it has not ended after grace. It returns when the process is
// gone.
func (i Identity) End(grace time.Duration) error {
	for _, attempt := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, 5 * time.Second}} {
		if err := i.Signal(attempt.signal); err != nil {
			if errors.Is(err, os.ErrProcessDone) {
				return nil
			}
			return err
		}
		if i.endsWithin(attempt.wait) {
			return nil
		}
	}
	return fmt.Errorf("process %d survived SIGKILL; end it by hand", i.PID)
}

// endsWithin waits for the end of the process. It isn't our child, so its end can only be looked for.
func (i Identity) endsWithin(wait time.Duration) bool {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); <-ticker.C {
		if !i.Alive() {
			return true
		}
	}
	return !i.Alive()
}
