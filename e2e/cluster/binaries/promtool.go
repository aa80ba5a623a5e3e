package binaries

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const promtoolName = "promtool"

// Promtool returns the path of the program by which tests evaluate alerts: the one that is installed, or the one of the distribution's
// package of Prometheus, unpacked into the cache. Where neither is to be had the error matches ErrNoPackages.
func (c *Cache) Promtool(ctx context.Context) (string, error) {
	if path, err := exec.LookPath(promtoolName); err == nil {
		return path, nil
	}
	// Nothing that the package depends on: the program needs no library but that for C.
	root, err := c.withPackages(ctx, promtoolName, func() (string, error) {
		return c.unpacked(ctx, promtoolName, []string{"prometheus"})
	})
	if err != nil {
		return "", fmt.Errorf("promtool is not installed (install Prometheus, which has it): %w", err)
	}
	path := filepath.Join(root, "usr", "bin", promtoolName)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the package prometheus has no promtool; install it by hand: %w", err)
	}
	return path, nil
}
