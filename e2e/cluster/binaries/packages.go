package binaries

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

const runtimeName = "runtime"

// ErrNoPackages says that this machine can't have packages of a distribution: there is no apt-get, no list of packages that it could
// fetch, nobody who answers where the list leads, or no such package.
var ErrNoPackages = errors.New("packages of the distribution can't be had")

// errApt says that apt-get or apt-cache has refused, for which the list of packages may be to blame.
var errApt = errors.New("ask for packages of the distribution")

// unknownPackage is how apt-get puts it that a package is not on its list.
const unknownPackage = "Unable to locate package"

// libraryName matches the packages that programs need to start; what else they depend on is scripts and documentation.
var libraryName = regexp.MustCompile(`^z?lib[a-z0-9.+-]+$`)

// keptLibraries belong to every machine. A second C library beside the first could not be told from it by the loader.
var keptLibraries = []string{"libc6", "libc-bin", "libgcc-s1", "libstdc++6"}

// packages are some of the distribution's, which are unpacked together.
type packages struct {
	// name is what they are for.
	name string
	// all are their names.
	all []string
	say func(format string, args ...any)
}

// withPackages does what takes packages of the distribution. If apt-get refuses it is done once more with a new list of them: there may
// have been none, or one that is so old that the mirrors have newer versions only.
func (c *Cache) withPackages(ctx context.Context, name string, do func() (string, error)) (string, error) {
	if !RuntimePackages() {
		return "", fmt.Errorf("%w, as this machine has no apt-get to fetch them with", ErrNoPackages)
	}
	dir, err := do()
	if !errors.Is(err, errApt) || ctx.Err() != nil {
		return dir, err
	}
	c.say("[%s] fetching a new list of packages, as they can't be had by the one there is", name)
	// Who is not root can't, and is told so at once. Where only a part of it could be fetched, that may be the part that matters.
	listErr := c.newList(ctx)
	dir, err = do()
	if !errors.Is(err, errApt) || ctx.Err() != nil {
		return dir, err
	}
	// With a new list and an answer from the mirrors, what is left is a fault, which must not pass for a lack.
	if listErr == nil && !strings.Contains(err.Error(), unknownPackage) {
		return "", err
	}
	return "", fmt.Errorf("%w: %w", ErrNoPackages, errors.Join(err, listErr))
}

// newList lets apt-get fetch its list of packages.
func (c *Cache) newList(ctx context.Context) error {
	// Of two at the same time, apt-get would refuse one.
	lock, err := filelock.Acquire(ctx, filepath.Join(c.dir, "list.lock"), nil)
	if err != nil {
		return fmt.Errorf("fetch a list of packages: %w", err)
	}
	defer func() { _ = lock.Release() }()
	// Otherwise it would be content with the list it has when nobody answers.
	if _, err := inFolder(ctx, "/", nil, "apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"); err != nil {
		return fmt.Errorf("fetch a list of packages: %w", err)
	}
	return nil
}

// unpacked returns the folder with packages of the distribution, which it fetches unless they are there.
func (c *Cache) unpacked(ctx context.Context, name string, names []string) (string, error) {
	p := &packages{name: name, all: names, say: c.say}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("find out which distribution this is: %w", err)
	}
	key := sha256.Sum256([]byte(layout + strings.Join(names, ",") + string(release)))
	dir := filepath.Join(c.dir, name+"-"+hex.EncodeToString(key[:])[:keyLength])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	lock, err := filelock.Acquire(ctx, filepath.Join(c.dir, "build.lock"), nil)
	if err != nil {
		return "", fmt.Errorf("fetch packages: %w", err)
	}
	defer func() { _ = lock.Release() }()
	if _, err := os.Stat(dir); err == nil { // fetched while we waited
		return dir, nil
	}
	if err := c.removeUnfinished(); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(c.dir, tempPrefix)
	if err != nil {
		return "", fmt.Errorf("create folder for packages: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := p.fetch(ctx, temp); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(temp, "root"), dir); err != nil {
		return "", fmt.Errorf("put the packages in their place: %w", err)
	}
	return dir, c.prune(module{name: name})
}

// fetch downloads the packages and unpacks them into the folder root in dir.
func (p *packages) fetch(ctx context.Context, dir string) error {
	start := time.Now()
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return fmt.Errorf("create folder for packages: %w", err)
	}
	p.say("[%s] fetching %d packages of the distribution", p.name, len(p.all))
	// All at once: reading the list of packages takes longer than fetching most of them.
	args := append([]string{"download", "-q", "-o", "APT::Sandbox::User=root"}, p.all...)
	if _, err := inFolder(ctx, dir, p, "apt-get", args...); err != nil {
		return fmt.Errorf("%w: %w", errApt, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	for _, file := range files {
		if _, err := inFolder(ctx, dir, nil, "dpkg", "-x", file, root); err != nil {
			return err
		}
	}
	if err := mergeIntoUsr(root); err != nil {
		return err
	}
	p.say("[%s] unpacked %d packages in %s", p.name, len(files), time.Since(start).Round(time.Second))
	return nil
}

// mergeIntoUsr moves what packages have in /lib, /bin and /sbin to where these links lead on a machine.
func mergeIntoUsr(root string) error {
	for _, folder := range []string{"lib", "bin", "sbin"} {
		old := filepath.Join(root, folder)
		err := filepath.WalkDir(old, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			to := filepath.Join(root, "usr", relative)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			return os.Rename(path, to)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move /%s of the packages into /usr: %w", folder, err)
		}
	}
	return nil
}

// packageNames returns the packages of a container runtime and the libraries that they need.
func packageNames(ctx context.Context) ([]string, error) {
	args := append([]string{
		"depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
	}, runtimePackages...)
	out, err := inFolder(ctx, "/", nil, "apt-cache", args...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errApt, err)
	}
	names := slices.Clone(runtimePackages)
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSuffix(line, "\n") // what a package depends on is indented below its name
		if libraryName.MatchString(name) && !slices.Contains(keptLibraries, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Write implements io.Writer: it tells of each package that apt-get fetches.
func (p *packages) Write(output []byte) (int, error) {
	for line := range bytes.Lines(output) {
		if fields := bytes.Fields(line); len(fields) > 4 && bytes.HasPrefix(fields[0], []byte("Get:")) {
			p.say("[%s] fetching %s", p.name, fields[4])
		}
	}
	return len(output), nil
}

// inFolder runs a program in a folder and returns its standard output, which is also shown to watch.
func inFolder(ctx context.Context, dir string, watch io.Writer, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if watch != nil {
		cmd.Stdout = io.MultiWriter(&out, watch)
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(complaints.Bytes()))
	}
	return out.Bytes(), nil
}
