package binaries

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

// AssetsVariable is the environment variable that points at downloaded control-plane programs.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// minorVersion is the Kubernetes version that the operator is tested with.
const minorVersion = "1.36"

var assetNames = []string{"kube-apiserver", "etcd", "kubectl"}

// Downloaded returns the folder of downloaded kube-apiserver, etcd and kubectl: the one that KUBEBUILDER_ASSETS names,
// or the newest of the right minor version that "setup-envtest use" has put in its default place.
func Downloaded() (dir string, found bool, err error) {
	if dir := os.Getenv(AssetsVariable); dir != "" {
		for _, name := range assetNames {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return "", false, fmt.Errorf("%s is set, but has no %s (correct or unset it): %w", AssetsVariable, name, err)
			}
		}
		return dir, true, nil
	}
	root, err := setupEnvtestDir()
	if err != nil {
		return "", false, nil //nolint:nilerr // without a home there is no default place, and nothing downloaded there
	}
	dir = newest(root)
	return dir, dir != "", nil
}

// setupEnvtestDir returns where setup-envtest keeps what it downloads.
func setupEnvtestDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "kubebuilder-envtest", "k8s"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "io.kubebuilder.envtest", "k8s"), nil
	}
	return filepath.Join(home, ".local", "share", "kubebuilder-envtest", "k8s"), nil
}

// newest returns the complete folder with the highest patch version, or nothing.
func newest(root string) string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return ""
	}
	name := regexp.MustCompile("^" + regexp.QuoteMeta(minorVersion) + `\.(\d+)-` + runtime.GOOS + "-" + runtime.GOARCH + "$")
	best, bestDir := -1, ""
	for _, entry := range entries {
		match := name.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		patch, err := strconv.Atoi(match[1])
		if dir := filepath.Join(root, entry.Name()); err == nil && patch > best && complete(dir) {
			best, bestDir = patch, dir
		}
	}
	return bestDir
}

func complete(dir string) bool {
	for _, name := range assetNames {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}
