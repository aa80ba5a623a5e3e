package operator

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is how many clock ticks /proc counts in a second. Linux has told programs 100 for as long as there is /proc.
const ticks = 100

// Usage is what a process has taken of the machine.
type Usage struct {
	// CPU is the time in user and system mode, with that of children that have ended.
	CPU time.Duration
	// Resident and Peak are the resident memory in bytes, now and at most. Files is how much of what is resident now are
	// pages of files, such as the program's own, which the kernel may take back.
	Resident, Peak, Files int64
}

// PID returns the id of the operator's process.
func (o *Operator) PID() int { return o.current().cmd.Process.Pid }

// Usage returns what the operator has taken since it was started.
func (o *Operator) Usage() (Usage, error) { return UsageOf(o.PID()) }

// UsageOf returns what a process has taken since it was started. It needs /proc.
func UsageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("read the usage of process %d: %w", pid, err)
	}
	status, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return Usage{}, fmt.Errorf("read the usage of process %d: %w", pid, err)
	}
	u, err := parseUsage(string(stat), string(status))
	if err != nil {
		return Usage{}, fmt.Errorf("read the usage of process %d: %w", pid, err)
	}
	return u, nil
}

// ResetPeak makes the peak of the resident memory begin again at what is resident now.
func (o *Operator) ResetPeak() error {
	if err := os.WriteFile(procFile(o.PID(), "clear_refs"), []byte("5"), 0); err != nil {
		return fmt.Errorf("reset the peak of the operator's memory: %w", err)
	}
	return nil
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

func parseUsage(stat, status string) (Usage, error) {
	// The name of the program is in parentheses and may have any character; what is counted follows it.
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	const userTime, times = 11, 4 // of itself and of its children, in both modes
	if end < 0 || len(fields) < userTime+times {
		return Usage{}, fmt.Errorf("unknown form of stat: %q", stat)
	}
	var u Usage
	for _, field := range fields[userTime : userTime+times] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("unknown form of stat: %w", err)
		}
		u.CPU += time.Duration(n) * time.Second / ticks
	}
	var errs [3]error
	u.Resident, errs[0] = kilobytes(status, "VmRSS:")
	u.Peak, errs[1] = kilobytes(status, "VmHWM:")
	u.Files, errs[2] = kilobytes(status, "RssFile:")
	return u, errors.Join(errs[:]...)
}

func kilobytes(status, name string) (int64, error) {
	_, rest, found := strings.Cut(status, "\n"+name)
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("status has no %s", name)
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	return n << 10, err
}
