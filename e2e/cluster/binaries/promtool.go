package binaries

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const promtoolName = "promtool"

// ErrNoPromtool says that this machine neither has the program nor can fetch it.
var ErrNoPromtool = errors.New("promtool is not installed, and the packages of the distribution don't have it; install Prometheus")

// Promtool returns the path of the program by which tests evaluate alerts: the one that is installed, or the one of the distribution's
// package of Prometheus, unpacked into the cache. Where neither is to be had the error matches ErrNoPromtool.
func (c *Cache) Promtool(ctx context.Context) (string, error) {
	if path, err := exec.LookPath(promtoolName); err == nil {
		return path, nil
	}
	if !RuntimePackages() {
		return "", fmt.Errorf("%w: this machine has no apt-get to fetch it with", ErrNoPromtool)
	}
	// Nothing that the package depends on: the program needs no library but that for C.
	root, err := c.unpacked(ctx, promtoolName, []string{"prometheus"})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoPromtool, err)
	}
	path := filepath.Join(root, "usr", "bin", promtoolName)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: the package prometheus has none: %w", ErrNoPromtool, err)
	}
	return path, nil
}
