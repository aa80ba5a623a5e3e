package process

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// startTime returns the boot id and the clock tick at which the process started.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	ticks, err := parseStat(stat)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + "/" + ticks, nil
}

// parseStat takes the start time out of /proc/PID/stat, see proc_pid_stat(5).
func parseStat(stat []byte) (string, error) {
	// The second field is the program's name in parentheses, which may itself hold blanks and parentheses.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return "", fmt.Errorf("no program name in %q", stat)
	}
	const state, startTime = 0, 19 // fields 3 and 22, counted from behind the name
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= startTime {
		return "", fmt.Errorf("only %d fields behind the name in %q", len(fields), stat)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", os.ErrProcessDone
	}
	return fields[startTime], nil
}

// attributes lets a child die with its parent, and keeps the terminal's Ctrl-C away from it: the parent ends its
// children in the right order.
func attributes(c Command) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.Isolated {
		attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	}
	return attr
}
