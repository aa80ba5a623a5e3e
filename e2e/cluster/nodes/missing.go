package nodes

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

// leastMemory is what two nodes, their control plane and a few pods need, in KiB.
const leastMemory = 2 << 20

// tools are the programs by which nodes are made; any machine with a shell has them, as they are in util-linux and coreutils.
var tools = []string{"sh", "mount", "nsenter", "unshare", "find", "stat"}

// Missing says why this machine can't have nodes. If it says nothing, it can, and a test that needs nodes must run.
func Missing(ctx context.Context) []string {
	if runtime.GOOS != "linux" {
		return []string{"nodes are made of namespaces and control groups, which only Linux has"}
	}
	reasons := missingPrograms()
	if os.Geteuid() != 0 {
		return append(reasons, "only root can make network interfaces, mounts and control groups, and this is user "+strconv.Itoa(os.Geteuid()))
	}
	if len(reasons) > 0 {
		return reasons // what follows needs them
	}
	if err := tryCgroups(cgroupRoot, cgroupRecord); err != nil {
		reasons = append(reasons, err.Error())
	}
	if err := tryKernel(ctx); err != nil {
		reasons = append(reasons, err.Error())
	}
	taken, err := takenRanges()
	if err != nil {
		reasons = append(reasons, err.Error())
	}
	reasons = append(reasons, taken...)
	// How much of it is free now says little about later. If it is too little the start fails, and is seen.
	if total, err := memory(); err != nil || total < leastMemory {
		reasons = append(reasons, fmt.Sprintf("this machine has %d MiB of memory, and %d are needed", total>>10, leastMemory>>10))
	}
	return reasons
}

func missingPrograms() []string {
	var reasons []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			reasons = append(reasons, "the program "+tool+" is not installed")
		}
	}
	if missing := binaries.MissingRuntime(); len(missing) > 0 && !binaries.RuntimePackages() {
		reasons = append(reasons, "not installed, and no apt-get to fetch them with: "+strings.Join(missing, ", "))
	}
	return reasons
}

// tryCgroups makes a control group and removes it again.
func tryCgroups(root, record string) error {
	groups, err := openCgroups(root, record)
	if err != nil {
		return err
	}
	for _, hierarchy := range groups.hierarchies {
		dir := filepath.Join(root, hierarchy, cgroupParent+"-"+strconv.Itoa(os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("no control group can be made: %w", err)
		}
		if err := os.Remove(dir); err != nil {
			return fmt.Errorf("remove control group: %w", err)
		}
	}
	if missing, err := groups.notDelegated(root); err != nil || len(missing) == 0 {
		return err
	}
	lock, err := filelock.Try(machineLock)
	if errors.Is(err, filelock.ErrLocked) {
		return nil // somebody has nodes, or is about to: then so can we
	}
	if err != nil {
		return err
	}
	return errors.Join(groups.tryBorrow(), lock.Release())
}

//go:embed try.sh
var tryScript string

// tryKernel does in new namespaces, of which nothing stays, what a node needs of the kernel.
func tryKernel(ctx context.Context) error {
	cmd := command(ctx, "unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--propagation", "private", "sh", "-c", tryScript)
	cmd.Env = append(os.Environ(), searchPath())
	if err := runCommand(cmd); err != nil {
		return fmt.Errorf("the kernel refuses what a node is made of: %w", err)
	}
	return nil
}

// memory returns how much the machine has, in KiB.
func memory() (int, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("find out how much memory there is: %w", err)
	}
	for line := range bytes.Lines(content) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == "MemTotal:" {
			return strconv.Atoi(string(fields[1]))
		}
	}
	return 0, fmt.Errorf("the kernel does not say how much memory there is")
}
