package binaries

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Runtime says where the programs of a container runtime are. They are written in more than Go and have to fit the machine,
// so they are not built here: either they are installed, or they are unpacked from packages of the distribution.
type Runtime struct {
	// Root is the folder with the unpacked packages, to be laid over the root folder. Empty means that all are installed.
	Root string
	// Plugins is the folder with the network plugins, below Root if there is one.
	Plugins string
	// From says for people where the programs come from.
	From string
}

var (
	// runtimePrograms are looked for in PATH.
	runtimePrograms = []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc", "nft", "ip"}
	// runtimePlugins are looked for in the folders in which distributions put them.
	runtimePlugins        = []string{"ptp", "host-local", "loopback", "portmap"}
	runtimePluginsFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}
	// runtimePackages are the packages of Debian, and of what is derived from it, that have them.
	runtimePackages = []string{"containerd", "runc", "containernetworking-plugins", "nftables", "iproute2"}
)

// MissingRuntime lists what of a container runtime is not installed.
func MissingRuntime() []string {
	var missing []string
	for _, program := range runtimePrograms {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if installedPlugins() == "" {
		missing = append(missing, "network plugins "+strings.Join(runtimePlugins, ", "))
	}
	return missing
}

// RuntimePackages tells whether this machine can fetch and unpack packages.
func RuntimePackages() bool {
	for _, program := range []string{"apt-get", "apt-cache", "dpkg"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return true
}

func installedPlugins() string {
	for _, folder := range runtimePluginsFolders {
		if hasPlugins(folder) {
			return folder
		}
	}
	return ""
}

func hasPlugins(folder string) bool {
	return !slices.ContainsFunc(runtimePlugins, func(plugin string) bool {
		_, err := os.Stat(filepath.Join(folder, plugin))
		return err != nil
	})
}

// Runtime finds the programs of a container runtime, and fetches them from the distribution's packages if one of them is not
// installed, or if packages asks for it. Nothing is installed by that: the packages are unpacked into the cache. Where they are needed
// and can't be had the error matches ErrNoPackages.
func (c *Cache) Runtime(ctx context.Context, packages bool) (*Runtime, error) {
	missing := MissingRuntime()
	if len(missing) == 0 && !packages {
		return &Runtime{Plugins: installedPlugins(), From: "container runtime: the one that is installed"}, nil
	}
	root, err := c.withPackages(ctx, runtimeName, func() (string, error) {
		names, err := packageNames(ctx)
		if err != nil {
			return "", err
		}
		return c.unpacked(ctx, runtimeName, names)
	})
	if errors.Is(err, ErrNoPackages) && len(missing) > 0 {
		return nil, fmt.Errorf("not installed (install them): %s: %w", strings.Join(missing, ", "), err)
	}
	if err != nil {
		return nil, err
	}
	const plugins = "/usr/lib/cni"
	if !hasPlugins(filepath.Join(root, plugins)) {
		return nil, errors.New("the packages have no network plugins in /usr/lib/cni; install containerd, runc, nftables and network plugins by hand")
	}
	return &Runtime{Root: root, Plugins: plugins, From: "container runtime: packages of the distribution, unpacked in " + root}, nil
}
