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

	strip            = "-s -w"
	mainModule       = "module github.com/ocm-operator/ocm-operator"
	kubernetesModule = "k8s.io/kubernetes"
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
	helm = module{name: "helm", folder: "helm", pkg: "helm.sh/helm/v4/cmd/helm", binary: "helm"}
	// registries are no part of a cluster, hence the folder beside it.
	registries = module{name: "registries", folder: filepath.Join("..", "registries"), pkg: ".", binary: "registries"}
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
	for _, s := range []string{layout, runtime.Version(), runtime.GOOS, runtime.GOARCH, m.pkg, ldflags, strings.Join(m.links, ",")} {
		part(s)
	}
	if m.types != "" {
		part(m.types)
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

var kubernetesVersion = regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(kubernetesModule) + ` (v(\d+)\.(\d+)\.\S+)`)

// ldflags gives the control plane its version number, which clients read and upstream's release scripts set likewise.
func (m module) ldflags(source string) (string, error) {
	if m.folder != controlPlane.folder {
		return strip, nil
	}
	path := filepath.Join(source, m.folder, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the Kubernetes version: %w", err)
	}
	version := kubernetesVersion.FindStringSubmatch(string(content))
	if version == nil {
		return "", fmt.Errorf("%s requires no version of %s", path, kubernetesModule)
	}
	const variable = " -X k8s.io/component-base/version."
	return strip + variable + "gitVersion=" + version[1] + variable + "gitMajor=" + version[2] +
		variable + "gitMinor=" + version[3] + variable + "gitTreeState=clean", nil
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
