package scenarios_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

// What is written in the guides for what every user has a different one of.
const (
	guides    = "../../docs/guides"
	theirRepo = "registry.example.com/acme"
	theirGit  = "https://git.example.com/acme/site.git"
	theirHome = "targetNamespace: default"
)

// repository is the URL of a registry's repository for theirRepo.
func repository(registry *ocmtest.Server) string { return registry.URL + "/acme" }

// publish publishes the components of a guide.
func publish(t *testing.T, registry *ocmtest.Server, guide string, replace ...string) {
	t.Helper()
	for _, component := range slices.Backward(components(t, guide, replace...)) { // what is referred to comes after what refers to it
		if _, err := component.Publish(t.Context(), repository(registry), ocm.Options{}); err != nil {
			t.Fatal(err)
		}
	}
}

// file returns a file of a guide.
func file(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(guides, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// apply applies a file of a guide with kubectl, with the user's own addresses in it.
func apply(t *testing.T, e *e2etest.Env, registry *ocmtest.Server, name string, replace ...string) {
	t.Helper()
	text := strings.NewReplacer(theirRepo, repository(registry), theirHome, "targetNamespace: "+e.Namespace).Replace(file(t, name))
	mine := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(mine, []byte(replaced(t, text, replace...)), 0o600); err != nil {
		t.Fatal(err)
	}
	e.Kubectl("apply", "--filename", mine)
}

// replaced replaces pairs of texts, each of which must be there: a guide that was changed must not leave its test behind.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// allReady lets kubectl wait for every object of the operator in the namespace.
func allReady(e *e2etest.Env) {
	e.Kubectl("wait", "--for=condition=Ready", "--timeout=1m", "--all", "cv,res,lz,cfg,snap,fd")
}
