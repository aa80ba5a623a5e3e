package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

const limitsTimeout = 2 * time.Minute

// limit is what the machine can do at best in one respect.
type limit struct{ name, value string }

// machine describes what the measurements ran on, with the limits that hack/limits finds.
func machine(ctx context.Context) ([]limit, error) {
	limits := []limit{
		{"cores", strconv.Itoa(runtime.NumCPU())},
		{"processor", field("/proc/cpuinfo", "model name")},
		{"memory", field("/proc/meminfo", "MemTotal")},
		{"load before", firstFields("/proc/loadavg", 3)},
		{"Go", runtime.Version()},
	}
	root, err := operator.ModuleRoot()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limitsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchtime", "500ms", "./hack/limits")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("measure the limits of this machine: %w\n%s", err, out)
	}
	return append(limits, parseBenchmarks(out)...), nil
}

// parseBenchmarks reads what `go test -bench` prints.
func parseBenchmarks(out []byte) []limit {
	var limits []limit
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
		value := fields[2] + " " + fields[3]
		if len(fields) >= 6 && fields[5] == "MB/s" {
			value = fields[4] + " MB/s"
		}
		limits = append(limits, limit{name, value})
	}
	return limits
}

// field returns the first value of a name in a file of /proc, or "unknown".
func field(path, name string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(content)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstFields(path string, n int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(content))
	return strings.Join(fields[:min(n, len(fields))], " ")
}
