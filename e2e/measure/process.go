package measure

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/server"
)

// lookEvery is how often the memory of a process is looked at.
const lookEvery = 5 * time.Millisecond

// Account adds the CPU time that processes take for some work.
func Account(work func() (Sample, error), processes ...*server.Process) (Sample, error) {
	before, err := usage(processes)
	if err != nil {
		return Sample{}, err
	}
	s, err := work()
	if err != nil {
		return Sample{}, err
	}
	after, err := usage(processes)
	s.CPU = after - before
	return s, err
}

func usage(processes []*server.Process) (time.Duration, error) {
	var all time.Duration
	for _, p := range processes {
		u, err := operator.UsageOf(p.PID())
		if err != nil {
			return 0, err
		}
		all += u.CPU
	}
	return all, nil
}

// Growth does some work and returns by how much the memory of a process was larger meanwhile, at most, than before.
func Growth(ctx context.Context, p *server.Process, work func() error) (int64, error) {
	before, err := Anonymous(p)
	if err != nil {
		return 0, err
	}
	watching, stop := context.WithCancel(ctx)
	peak := make(chan int64, 1)
	go func() { peak <- watch(watching, p) }()
	err = work()
	stop()
	return max(0, <-peak-before), err
}

// watch returns the most memory that a process has had.
func watch(ctx context.Context, p *server.Process) int64 {
	var most int64
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if now, err := Anonymous(p); err == nil {
			most = max(most, now)
		}
		select {
		case <-ctx.Done():
			return most
		case <-ticker.C:
		}
	}
}

// Anonymous returns the memory that is a process's own, and no page of a file.
func Anonymous(p *server.Process) (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/status")
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", p.PID(), err)
	}
	_, rest, _ := strings.Cut(string(status), "\nRssAnon:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("read the memory of process %d: status has no RssAnon", p.PID())
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	return n << 10, err
}

// Account adds the CPU time that the server takes for some work.
func (c *Contestant) Account(work func() (Sample, error)) (Sample, error) {
	return Account(work, c.Process)
}
