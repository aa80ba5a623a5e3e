package cuemap

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// limit bounds what this process may use of the processor, in seconds, and may still use of memory. At the
// one bound it ends, at the latest a second later by the kernel; at the other its runtime ends it.
func limit(cpu uint64, memory int64) error {
	used, err := dataSize()
	if err != nil {
		return err
	}
	late := make(chan os.Signal, 1)
	signal.Notify(late, syscall.SIGXCPU)
	go func() {
		<-late
		os.Exit(exitTime)
	}()
	if err := setLimit(syscall.RLIMIT_CPU, cpu, cpu+1); err != nil {
		return fmt.Errorf("processor: %w", err)
	}
	data := used + uint64(max(memory, 0))
	if err := setLimit(syscall.RLIMIT_DATA, data, data); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return nil
}

// setLimit sets a limit, or leaves one that is lower.
func setLimit(resource int, soft, hard uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	hard = min(hard, now.Max)
	return syscall.Setrlimit(resource, &syscall.Rlimit{Cur: min(soft, hard), Max: hard})
}

// dataSize is what the process has of the memory that RLIMIT_DATA counts.
func dataSize() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmData:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmData in /proc/self/status")
}
