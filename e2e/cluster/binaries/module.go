package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const (
	keyLength = 16 // hexadecimal digits
	// layout is part of every key; raise it when the content of a build's folder changes.
	layout = "1"

	strip = "-s -w"
	// Nobody debugs these programs; without what debuggers need, compiling takes a fifth less.
	noDebug          = "-gcflags=all=-dwarf=false"
	mainModule       = "module github.com/ocm-operator/ocm-operator"
	kubernetesModule = "k8s.io/kubernetes"
	giteaModule      = "code.gitea.io/gitea"
)

// module is a nested module and how its program is built.
type module struct {
	name   string   // of the program, in messages and in the cache
	folder string   // of the nested module
	pkg    string   // that is built
	binary string   // file name of the program
	links  []string // names under which the program is called
	crds   string   // module whose custom resource definitions are kept beside the program
	types  string   // package of types of which the program, a generator, makes those definitions
	cgo    bool     // it has parts in C
	tags   string   // of the build
	static []string // folders of pkg that the program reads when it runs; they are kept beside it
}

var (
	controlPlane = module{
		name: "control-plane", folder: "controlplane", pkg: ".", binary: "controlplane",
		links: []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"},
	}
	sourceController = module{
		name: "source-controller", folder: "sourcecontroller", pkg: "github.com/fluxcd/source-controller",
		binary: "source-controller", crds: "github.com/fluxcd/source-controller",
	}
	kustomizeController = module{
		name: "kustomize-controller", folder: "kustomizecontroller", pkg: "github.com/fluxcd/kustomize-controller",
		binary: "kustomize-controller", crds: "github.com/fluxcd/kustomize-controller",
	}
	coreDNS = module{name: "coredns", folder: "coredns", pkg: ".", binary: "coredns"}
	pause   = module{name: "pause", folder: "pause", pkg: ".", binary: "pause"}
	helm    = module{name: "helm", folder: "helm", pkg: "helm.sh/helm/v4/cmd/helm", binary: "helm"}
	// registries are no part of a cluster, hence the folder beside it.
	registries = module{name: "registries", folder: filepath.Join("..", "registries"), pkg: ".", binary: "registries"}
	// gitea has its database, SQLite, in C.
	gitea = module{
		name: "gitea", folder: filepath.Join("..", "gitea"), pkg: giteaModule, binary: "gitea",
		// Without cgo's name and user look-ups, most of the standard library is built as for all the others.
		cgo: true, tags: "sqlite,sqlite_unlock_notify,netgo,osusergo", static: []string{"options", "public", "templates"},
	}
)

// key identifies the build: same key, same program.
func (m module) key(source string) (string, error) {
	ldflags, err := m.ldflags(source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(source, m.folder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read nested module %s: %w", m.folder, err)
	}
	hash := sha256.New()
	part := func(s string) { fmt.Fprintf(hash, "%d:%s\n", len(s), s) }
	for _, s := range []string{layout, runtime.Version(), runtime.GOOS, runtime.GOARCH, m.pkg, ldflags, noDebug, strings.Join(m.links, ",")} {
		part(s)
	}
	if m.types != "" {
		part(m.types)
	}
	if m.tags != "" {
		part(m.tags)
	}
	if len(m.static) > 0 {
		part(strings.Join(m.static, ","))
	}
	for _, entry := range entries { // sorted by name
		if !entry.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", fmt.Errorf("read nested module %s: %w", m.folder, err)
		}
		part(entry.Name())
		part(string(content))
	}
	return hex.EncodeToString(hash.Sum(nil))[:keyLength], nil
}

// ldflags gives programs their version number where clients read it; upstream's release scripts set it likewise.
func (m module) ldflags(source string) (string, error) {
	switch m.name {
	case controlPlane.name:
		version, err := m.version(source, kubernetesModule)
		if err != nil {
			return "", err
		}
		numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
		if len(numbers) < 3 {
			return "", fmt.Errorf("%s requires %s %s, which is no version of a release", m.folder, kubernetesModule, version)
		}
		const variable = " -X k8s.io/component-base/version."
		return strip + variable + "gitVersion=" + version + variable + "gitMajor=" + numbers[0] +
			variable + "gitMinor=" + numbers[1] + variable + "gitTreeState=clean", nil
	case gitea.name:
		version, err := m.version(source, giteaModule)
		if err != nil {
			return "", err
		}
		return strip + " -X main.Version=" + strings.TrimPrefix(version, "v"), nil
	default:
		return strip, nil
	}
}

// version is the version of another module that the nested module requires.
func (m module) version(source, of string) (string, error) {
	path := filepath.Join(source, m.folder, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the version of %s: %w", of, err)
	}
	requirement := regexp.MustCompile(`(?m)^(?:require)?\s*` + regexp.QuoteMeta(of) + ` (v\S+)`)
	version := requirement.FindStringSubmatch(string(content))
	if version == nil {
		return "", fmt.Errorf("%s requires no version of %s", path, of)
	}
	return version[1], nil
}

// findSource finds e2e/cluster in the clone that the working directory lies in.
func findSource() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the clone: %w", err)
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the clone: %w", err)
		}
		if slices.Contains(strings.Split(string(content), "\n"), mainModule) {
			return filepath.Join(dir, "e2e", "cluster"), nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("%s lies in no clone of the ocm-operator repository; run this inside one", from)
		}
	}
}
