package manager

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// cgroupLimits are the files in which a container finds its memory limit, by cgroup version.
var cgroupLimits = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// maxMemoryLimit is what no limit of a container reaches. Version 1 of cgroups says a huge number when there is none.
const maxMemoryLimit = 1 << 50

// LimitMemory lets the garbage collector keep below the memory limit of the container, instead of letting the heap double
// before it collects. What GOMEMLIMIT says goes first. It returns the limit that was set, zero for none.
func LimitMemory() int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	limit := memoryLimit(os.ReadFile)
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	return limit
}

// memoryLimit returns nine tenths of the container's limit: the rest is for what the collector does not count, such as the
// mapped pages of the registry's index and of the program.
func memoryLimit(read func(string) ([]byte, error)) int64 {
	limit := int64(math.MaxInt64)
	for _, path := range cgroupLimits {
		raw, err := read(path)
		if err != nil {
			continue
		}
		// "max" is no number, and no limit.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n > 0 {
			limit = min(limit, n)
		}
	}
	if limit > maxMemoryLimit {
		return 0
	}
	return limit / 10 * 9
}
