package importgraph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` says of a package; Imports are those of the package itself, not of its tests.
type pkg struct {
	ImportPath string   `json:"ImportPath"`
	Imports    []string `json:"Imports"`
	Deps       []string `json:"Deps"`
}

// TestImportGraph prints the graph of the top-level packages and fails where a package reaches over a wall.
func TestImportGraph(t *testing.T) {
	t.Parallel()
	packages := list(t)
	t.Logf("who imports whom:\n%s", graph(packages))
	for _, breach := range breaches(packages) {
		t.Error(breach)
	}
}

func TestBreaches(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		given  pkg
		want   string
	}{
		"ocm knows no Kubernetes, whoever brings it": {
			reason: "a dependency of a dependency counts",
			given:  pkg{ImportPath: "ocm/oci", Imports: []string{"example.org/x"}, Deps: []string{"example.org/x", "k8s.io/api/core/v1"}},
			want:   "ocm/oci reaches k8s.io/api/core/v1",
		},
		"descriptor is the bottom of ocm": {
			given: pkg{ImportPath: "ocm/descriptor", Imports: []string{module + "/ocm/credentials"}},
			want:  "ocm/descriptor imports ocm/credentials",
		},
		"ocm inside itself": {
			given: pkg{ImportPath: "ocm", Imports: []string{module + "/ocm/descriptor"}},
		},
		"registry knows no snapshot": {
			given: pkg{ImportPath: "registry", Imports: []string{module + "/snapshot"}},
			want:  "registry imports snapshot",
		},
		"transform may read archives": {
			given: pkg{ImportPath: "transform", Imports: []string{module + "/snapshot/archive", module + "/apis/config/v1alpha1"}},
		},
		"transform may not write snapshots": {
			given: pkg{ImportPath: "transform", Imports: []string{module + "/snapshot"}},
			want:  "transform imports snapshot",
		},
		"git knows no Kubernetes, whoever brings it": {
			given: pkg{ImportPath: "git/remote", Imports: []string{"example.org/x"}, Deps: []string{"example.org/x", "k8s.io/api/core/v1"}},
			want:  "git/remote reaches k8s.io/api/core/v1",
		},
		"git knows no snapshot": {
			given: pkg{ImportPath: "git/tree", Imports: []string{module + "/snapshot/archive"}},
			want:  "git/tree imports snapshot/archive",
		},
		"git knows no component": {
			given: pkg{ImportPath: "git/message", Imports: []string{module + "/ocm"}},
			want:  "git/message imports ocm",
		},
		"git knows no custom resource": {
			given: pkg{ImportPath: "git/forge", Imports: []string{module + "/apis/delivery/v1alpha1"}},
			want:  "git/forge imports apis/delivery/v1alpha1",
		},
		"packs are below trees": {
			given: pkg{ImportPath: "git/pack", Imports: []string{module + "/git/tree"}},
			want:  "git/pack imports git/tree",
		},
		"trees are made of packs": {
			given: pkg{ImportPath: "git/tree", Imports: []string{module + "/git/pack"}},
		},
		"a forge needs no git": {
			given: pkg{ImportPath: "git/forge", Imports: []string{module + "/git/remote"}},
			want:  "git/forge imports git/remote",
		},
		"git servers are for tests": {
			given: pkg{ImportPath: "reconcilers/gitsync", Imports: []string{module + "/git/gittest"}},
			want:  "reconcilers/gitsync imports git/gittest: that is for tests only",
		},
		"the test forge is for tests": {
			given: pkg{ImportPath: "git/forge", Imports: []string{module + "/git/forge/forgetest"}},
			want:  "git/forge imports git/forge/forgetest: that is for tests only",
		},
		"kinds use git": {
			given: pkg{ImportPath: "reconcilers/gitsync", Imports: []string{module + "/git/remote"}},
		},
		"kinds are strangers": {
			given: pkg{ImportPath: "reconcilers/resource", Imports: []string{module + "/reconcilers/snapshot"}},
			want:  "reconcilers/resource imports the kind snapshot",
		},
		"kinds share the lifecycle": {
			given: pkg{ImportPath: "reconcilers/resource", Imports: []string{module + "/reconcilers/lifecycle"}},
		},
		"the lifecycle knows no kind": {
			given: pkg{ImportPath: "reconcilers/lifecycle", Imports: []string{module + "/reconcilers/resource"}},
			want:  "reconcilers/lifecycle imports the kind resource",
		},
		"the manager knows all kinds": {
			given: pkg{ImportPath: "reconcilers/manager", Imports: []string{module + "/reconcilers/resource"}},
		},
		"no kind knows the manager": {
			given: pkg{ImportPath: "reconcilers/resource", Imports: []string{module + "/reconcilers/manager"}},
			want:  "reconcilers/resource imports manager",
		},
		"nobody imports main's neighbours": {
			given: pkg{ImportPath: "snapshot", Imports: []string{module + "/reconcilers/lifecycle"}},
			want:  "snapshot imports reconcilers/lifecycle",
		},
		"test support is for tests": {
			given: pkg{ImportPath: "reconcilers/resource", Imports: []string{module + "/ocm/ocmtest"}},
			want:  "reconcilers/resource imports ocm/ocmtest: that is for tests only",
		},
		"the demo is test support": {
			given: pkg{ImportPath: "e2e/demo", Imports: []string{module + "/ocm/ocmtest", module + "/e2e/cluster"}},
		},
		"types need no client": {
			given: pkg{ImportPath: "apis/delivery/v1alpha1", Imports: []string{"k8s.io/client-go/rest"}},
			want:  "apis/delivery/v1alpha1 imports k8s.io/client-go/rest",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.given.ImportPath = module + "/" + tc.given.ImportPath
			got := strings.Join(breaches([]pkg{tc.given}), "\n")
			if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%s: breaches are %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// list asks the go command for every package of the module and of its dependencies.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Deps", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v: %s", err, stderr.String())
	}
	var packages []pkg
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("decode the answer of go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// graph draws, for each top-level package, the top-level packages it imports and below them the foreign modules.
func graph(packages []pkg) string {
	inside, outside := map[string][]string{}, map[string][]string{}
	for _, p := range packages {
		if !ours(p.ImportPath) {
			continue
		}
		from := top(relative(p.ImportPath))
		if inside[from] == nil {
			inside[from] = []string{}
		}
		for _, path := range p.Imports {
			switch to := top(relative(path)); {
			case ours(path) && to != from:
				inside[from] = append(inside[from], to)
			case !ours(path) && strings.Contains(top(path), "."):
				outside[from] = append(outside[from], origin(path))
			}
		}
	}
	var text strings.Builder
	for _, from := range slices.Sorted(maps.Keys(inside)) {
		fmt.Fprintf(&text, "%-12s -> %s\n", from, strings.Join(sorted(inside[from]), " "))
		if len(outside[from]) > 0 {
			fmt.Fprintf(&text, "%-12s    (%s)\n", "", strings.Join(sorted(outside[from]), " "))
		}
	}
	return text.String()
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// origin shortens a foreign import path to what people call the project.
func origin(path string) string {
	parts := strings.Split(path, "/")
	if parts[0] == "github.com" && len(parts) > 2 {
		return strings.Join(parts[1:3], "/")
	}
	return strings.Join(parts[:min(2, len(parts))], "/")
}
