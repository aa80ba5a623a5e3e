// Package binaries finds or builds the programs that a real cluster consists of, the Kubernetes control plane and
// Flux's controllers, the helm command and others by which tests look at charts, registries of other projects, and a forge. They are
// built from Go modules, so no image and no release has to be downloaded, and kept outside the clone in the user's cache folder,
// so only the first build on a machine takes minutes.
package binaries

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

// ErrNotBuilt says that a program is not in the cache.
var ErrNotBuilt = errors.New("not built yet; run: go run ./e2e/cluster/cmd/testcluster build")

const (
	// keepBuilds is how many builds of a program stay in the cache, so that switching branches does not build anew.
	keepBuilds   = 3
	crdFolder    = "crds"
	staticFolder = "static"
	tempPrefix   = ".building-"
)

// Options says where to look. The zero value is right inside a clone of this repository.
type Options struct {
	Dir      string    // the cache; default ocm-operator in the user's cache folder
	Source   string    // the folder with the nested modules; default e2e/cluster of the clone around the working directory
	Progress io.Writer // told what is going on; default nobody
}

// Cache holds built programs, a folder per version.
type Cache struct {
	dir      string
	source   string
	progress io.Writer
}

// Open returns the cache. It builds nothing.
func Open(o Options) (*Cache, error) {
	c := &Cache{dir: o.Dir, source: o.Source, progress: o.Progress}
	if c.progress == nil {
		c.progress = io.Discard
	}
	var err error
	if c.dir == "" {
		if c.dir, err = defaultDir(); err != nil {
			return nil, err
		}
	}
	if c.source == "" {
		if c.source, err = findSource(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ControlPlane builds the control plane if it is missing, and returns the folder with kube-apiserver, etcd, kubectl,
// kube-controller-manager and kube-scheduler.
func (c *Cache) ControlPlane(ctx context.Context) (string, error) {
	return c.build(ctx, controlPlane)
}

// CachedControlPlane returns what ControlPlane returns, or ErrNotBuilt instead of building.
func (c *Cache) CachedControlPlane() (string, error) {
	return c.cached(controlPlane)
}

// APIServerAssets returns a folder with kube-apiserver, etcd and kubectl, fit for KUBEBUILDER_ASSETS. Downloaded
// programs are preferred, as nothing has to be built then.
func (c *Cache) APIServerAssets(ctx context.Context) (string, error) {
	dir, found, err := Downloaded()
	if err != nil {
		return "", err
	}
	if found {
		return dir, nil
	}
	return c.ControlPlane(ctx)
}

// Flux holds the paths of Flux's controllers and the files with their custom resource definitions, among which are those
// of helm-controller, though it can't be built here itself.
type Flux struct {
	SourceController    string
	KustomizeController string
	CRDs                []string
}

// Flux builds Flux's controllers if they are missing.
func (c *Cache) Flux(ctx context.Context) (*Flux, error) {
	source, err := c.build(ctx, sourceController)
	if err != nil {
		return nil, err
	}
	kustomize, err := c.build(ctx, kustomizeController)
	if err != nil {
		return nil, err
	}
	helm, err := c.build(ctx, helmController)
	if err != nil {
		return nil, err
	}
	flux := &Flux{
		SourceController:    filepath.Join(source, sourceController.binary),
		KustomizeController: filepath.Join(kustomize, kustomizeController.binary),
	}
	for _, dir := range []string{source, kustomize, helm} {
		files, err := filepath.Glob(filepath.Join(dir, crdFolder, "*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("list custom resource definitions: %w", err)
		}
		flux.CRDs = append(flux.CRDs, files...)
	}
	return flux, nil
}

// Node holds the paths of the programs of a node that are built here. Those of its container runtime come from the machine,
// see Runtime.
type Node struct {
	// ControlPlane is kubelet or kube-proxy, depending on the name under which it is called.
	ControlPlane string
	// Pause is the first process of a pod, CoreDNS the cluster's name server.
	Pause, CoreDNS string
}

// Node builds the programs of a node if they are missing.
func (c *Cache) Node(ctx context.Context) (*Node, error) {
	node := &Node{}
	for _, program := range []struct {
		module module
		path   *string
	}{{controlPlane, &node.ControlPlane}, {pause, &node.Pause}, {coreDNS, &node.CoreDNS}} {
		var err error
		if *program.path, err = c.program(ctx, program.module); err != nil {
			return nil, err
		}
	}
	return node, nil
}

// Helm builds the helm command if it is missing, and returns its path.
func (c *Cache) Helm(ctx context.Context) (string, error) {
	return c.program(ctx, helm)
}

// Registries builds the program with the registries of other projects if it is missing, and returns its path.
func (c *Cache) Registries(ctx context.Context) (string, error) {
	return c.program(ctx, registries)
}

// Gitea holds the paths of a forge.
type Gitea struct {
	Program string
	// Static is the folder with what the program reads: its STATIC_ROOT_PATH.
	Static string
}

// Gitea builds Gitea if it is missing, or returns ErrNoCompiler where that is not possible.
func (c *Cache) Gitea(ctx context.Context) (*Gitea, error) {
	dir, err := c.build(ctx, gitea)
	if err != nil {
		return nil, err
	}
	return &Gitea{Program: filepath.Join(dir, gitea.binary), Static: filepath.Join(dir, staticFolder)}, nil
}

// BuildAll builds everything that is missing, one program at a time. Where there is no C compiler it does without Gitea.
func (c *Cache) BuildAll(ctx context.Context) error {
	// Tests run meanwhile, and wait for what they need: what many of them need is first.
	for _, build := range []func() error{
		func() error { _, err := c.ControlPlane(ctx); return err },
		func() error { _, err := c.Flux(ctx); return err },
		func() error { _, err := c.Helm(ctx); return err },
		func() error { _, err := c.Registries(ctx); return err },
		func() error { _, err := c.ChartTools(ctx); return err },
		func() error { _, err := c.Node(ctx); return err },
	} {
		if err := build(); err != nil {
			return err
		}
	}
	_, err := c.Gitea(ctx)
	if errors.Is(err, ErrNoCompiler) {
		c.say("%v", err)
		return nil
	}
	return err
}

// program returns the path of the program, which it builds unless it is there.
func (c *Cache) program(ctx context.Context, m module) (string, error) {
	dir, err := c.build(ctx, m)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, m.binary), nil
}

// build returns the folder of the program, which it builds unless it is there.
func (c *Cache) build(ctx context.Context, m module) (string, error) {
	dir, err := c.cached(m)
	if !errors.Is(err, ErrNotBuilt) {
		return dir, err
	}
	// One lock for all programs: two big builds at once are slower than one after the other.
	busy, lockFile := false, filepath.Join(c.dir, "build.lock")
	lock, err := filelock.Acquire(ctx, lockFile, func() bool {
		if !busy {
			busy = true
			c.say("[%s] waiting: another process is building", m.name)
		}
		_, err := c.cached(m)
		return err == nil
	})
	if err != nil {
		return "", fmt.Errorf("build %s: %w", m.name, err)
	}
	defer func() { _ = lock.Release() }()
	if dir, err := c.cached(m); !errors.Is(err, ErrNotBuilt) { // built while we waited
		return dir, err
	}
	return c.buildLocked(ctx, m)
}

// buildLocked builds into a temporary folder and renames it, so that a folder of the right name is always complete.
func (c *Cache) buildLocked(ctx context.Context, m module) (string, error) {
	key, err := m.key(c.source)
	if err != nil {
		return "", err
	}
	if err := c.removeUnfinished(); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(c.dir, tempPrefix)
	if err != nil {
		return "", fmt.Errorf("create folder for the build of %s: %w", m.name, err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	start := time.Now()
	c.say("[%s] building from source; the first time this takes minutes", m.name)
	if err := (&builder{module: m, source: c.source, say: c.say}).run(ctx, temp); err != nil {
		return "", fmt.Errorf("build %s: %w", m.name, err)
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return "", fmt.Errorf("open folder of %s to all: %w", m.name, err)
	}
	dir := filepath.Join(c.dir, m.name+"-"+key)
	if err := os.Rename(temp, dir); err != nil {
		return "", fmt.Errorf("put %s in its place: %w", m.name, err)
	}
	c.say("[%s] built in %s: %s", m.name, time.Since(start).Round(time.Second), dir)
	return dir, c.prune(m)
}

// cached returns the folder of the program and marks it as used.
func (c *Cache) cached(m module) (string, error) {
	key, err := m.key(c.source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(c.dir, m.name+"-"+key)
	if _, err := os.Stat(filepath.Join(dir, m.binary)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: %w", m.name, ErrNotBuilt)
		}
		return "", fmt.Errorf("look for %s: %w", m.name, err)
	}
	now := time.Now()
	_ = os.Chtimes(dir, now, now) // only prune reads it; a cache that can't be written to works as well
	return dir, nil
}

// prune removes the builds of a program that were not used for longest.
func (c *Cache) prune(m module) error {
	type build struct {
		path string
		used time.Time
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("list builds: %w", err)
	}
	var builds []build
	for _, entry := range entries {
		key, ours := strings.CutPrefix(entry.Name(), m.name+"-")
		if !ours || len(key) != keyLength {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("list builds: %w", err)
		}
		builds = append(builds, build{filepath.Join(c.dir, entry.Name()), info.ModTime()})
	}
	slices.SortFunc(builds, func(a, b build) int { return cmp.Or(b.used.Compare(a.used), strings.Compare(a.path, b.path)) })
	for _, old := range builds[min(keepBuilds, len(builds)):] {
		if err := os.RemoveAll(old.path); err != nil {
			return fmt.Errorf("remove old build: %w", err)
		}
		c.say("[%s] removed old build %s", m.name, filepath.Base(old.path))
	}
	return nil
}

// removeUnfinished removes what a build left behind that was killed. Whoever holds the lock may: nobody else builds.
func (c *Cache) removeUnfinished() error {
	left, err := filepath.Glob(filepath.Join(c.dir, tempPrefix+"*"))
	if err != nil {
		return fmt.Errorf("list unfinished builds: %w", err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove unfinished build: %w", err)
		}
	}
	return nil
}

func (c *Cache) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.progress, format+"\n", args...) // progress is for people; losing a line harms nothing
}

func defaultDir() (string, error) {
	// os.UserCacheDir is not asked, as it ignores XDG_CACHE_HOME on macOS.
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ocm-operator"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for built programs (set XDG_CACHE_HOME): %w", err)
	}
	return filepath.Join(home, ".cache", "ocm-operator"), nil
}
