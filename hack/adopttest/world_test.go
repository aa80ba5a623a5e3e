package adopttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	oldNamespace = "ocm-system"
	newNamespace = "ocm-operator-system"
	group        = "delivery.ocm.software"
	mark         = group + "/adopt-suspended"
	handed       = group + "/adopt-managed-by"
	applied      = group + "/applied-digest"
	managedBy    = "app.kubernetes.io/managed-by"
	oci          = "ocirepositories.source.toolkit.fluxcd.io"
	kustomize    = "kustomizations.kustomize.toolkit.fluxcd.io"
	helm         = "helmreleases.helm.toolkit.fluxcd.io"
	argo         = "applications.argoproj.io"
	definitions  = "customresourcedefinitions"
)

// TestMain is also the programs that the script calls.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "sleep":
		return
	case "kubectl":
		if err := kubectl(os.Getenv(stateVariable), os.Args[1:]); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// world is a cluster for one test, in a file.
type world struct {
	t    *testing.T
	dir  string
	fail string
}

// newWorld returns a cluster as the old controllers have left it, changed by a test.
func newWorld(t *testing.T, changes ...func(c *cluster)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"kubectl", "sleep"} {
		if err := os.Symlink(self, filepath.Join(w.dir, program)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "before.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{}
	if err := yaml.Unmarshal(raw, c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"componentversions", "fluxdeployers", "localizations", "resources", "snapshots", "syncs"} {
		c.define(name + "." + group)
	}
	c.define(oci)
	c.define(kustomize)
	set(c.named(definitions, "localizations."+group), "kustomize-v5", "metadata", "labels", managedBy)
	for _, change := range changes {
		change(c)
	}
	w.save(c)
	return w
}

func (c *cluster) define(name string) object {
	crd := object{"metadata": object{"name": name}, "spec": object{"versions": []any{}}}
	c.Objects[definitions] = append(c.Objects[definitions], crd)
	return crd
}

// named returns an object of the cluster.
func (c *cluster) named(resource, name string) object {
	for _, obj := range c.Objects[resource] {
		if field[string](obj, "metadata", "name") == name {
			return obj
		}
	}
	panic("no " + resource + " " + name)
}

// operator is what happens between prepare and finish: Helm has installed the operator, which has taken over.
func operator(c *cluster) {
	labels := object{"app.kubernetes.io/instance": "ocm-operator", "app.kubernetes.io/component": "operator"}
	c.Objects["deployments.apps"] = append(c.Objects["deployments.apps"], object{"kind": "Deployment", "metadata": object{"name": "ocm-operator", "namespace": newNamespace, "labels": labels}, "spec": object{"replicas": 1.0}})
	c.Objects["pods"] = append(c.Objects["pods"], object{"kind": "Pod", "metadata": object{"name": "ocm-operator-1", "namespace": newNamespace, "labels": labels}, "status": object{"phase": "Running"}})
	for _, resource := range []string{oci, kustomize} {
		for _, obj := range c.Objects[resource] {
			set(obj, "1234", "metadata", "annotations", applied)
		}
	}
	set(c.named("resources."+group, "manifests"), "new", "status", "snapshotName")
}

// uninstalled is what `helm uninstall` does after that: what the operator has taken over stays as it is.
func uninstalled(c *cluster) {
	for _, resource := range []string{"deployments.apps", "pods"} {
		c.Objects[resource] = slices.DeleteFunc(c.Objects[resource], func(obj object) bool { return field[string](obj, "metadata", "namespace") == newNamespace })
	}
}

func (w *world) load() *cluster {
	w.t.Helper()
	c, err := open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) save(c *cluster) {
	w.t.Helper()
	if err := c.save(w.dir); err != nil {
		w.t.Fatal(err)
	}
}

// then changes the cluster, and forgets which requests there were.
func (w *world) then(changes ...func(c *cluster)) *world {
	w.t.Helper()
	c := w.load()
	c.Requests = nil
	for _, change := range changes {
		change(c)
	}
	w.save(c)
	return w
}

// adopt runs the script, and returns with what it has ended and what it has printed.
func (w *world) adopt(args ...string) (code int, out, problems string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), filepath.Join("..", "adopt.sh"), args...)
	cmd.Env = append(os.Environ(), "PATH="+w.dir+string(os.PathListSeparator)+os.Getenv("PATH"), stateVariable+"="+w.dir, failVariable+"="+w.fail)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			w.t.Fatal(err)
		}
	}
	if violations := w.load().Violations; len(violations) > 0 {
		w.t.Errorf("adopt.sh %v: %q", args, violations)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// mustAdopt runs the script, which must succeed.
func (w *world) mustAdopt(args ...string) string {
	w.t.Helper()
	code, out, problems := w.adopt(args...)
	if code != 0 {
		w.t.Fatalf("adopt.sh %v ends with %d: %s%s", args, code, out, problems)
	}
	return out
}

// refuses runs the script, which must end with a message and without a change.
func (w *world) refuses(want string, args ...string) {
	w.t.Helper()
	code, out, problems := w.adopt(args...)
	if code != 1 || !strings.Contains(problems, want) {
		w.t.Errorf("adopt.sh %v ends with %d, want 1 and %q: %s%s", args, code, want, out, problems)
	}
	if changes := w.changes(); len(changes) > 0 {
		w.t.Errorf("adopt.sh %v has changed something: %q", args, changes)
	}
}

// changes returns the requests that wrote something.
func (w *world) changes() []string {
	w.t.Helper()
	var found []string
	for _, line := range w.load().Requests {
		r, err := parse(strings.Fields(line))
		if err == nil && r.verb != "get" && r.verb != "can-i" {
			found = append(found, line)
		}
	}
	return found
}

// objects returns what the cluster has, without what counts how often something was written.
func (w *world) objects() string {
	w.t.Helper()
	c := w.load()
	for _, all := range c.Objects {
		for _, obj := range all {
			delete(obj, "status")
			delete(field[map[string]any](obj, "metadata"), "generation")
		}
	}
	raw, err := json.MarshalIndent(c.Objects, "", " ")
	if err != nil {
		w.t.Fatal(err)
	}
	return string(raw)
}
