package healing

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true, KustomizeArgs: []string{"--feature-gates=ExternalArtifact=true"}})
}

// patience is how long healing may take that waits for something: content that nothing refers to stays for a while.
const patience = 4 * time.Minute

// world is a namespace with an operator of its own, which sees to nothing else.
type world struct {
	*e2etest.Env
	t      *testing.T
	source *ocmtest.Server
}

// newWorld starts the operator with further flags. Content is looked for rarely: what is lost is noticed at once, or not in time.
func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	own := []string{"--watch-namespace=${NAMESPACE}", "--snapshot-recheck-interval=1h"}
	return &world{Env: e2etest.Alone(t, e2etest.AloneOptions{Args: append(own, flags...)}), t: t, source: ocmtest.Start(t)}
}

// publish publishes a version of a component with one resource: a ConfigMap, and as many bytes beside it as nobody can compress.
func (w *world) publish(name, version string, size int) {
	w.t.Helper()
	archive, err := ocmtest.Tar(
		ocmtest.File{Name: "configmap.yaml", Content: fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  version: %q\n", name, version)},
		ocmtest.File{Name: "noise", Content: random(name+version, size)},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	c := ocmtest.Component{Name: "acme.org/" + name, Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "directory", MediaType: "application/x-tar", Content: archive},
	}}
	if _, err := c.Publish(w.t.Context(), w.source.URL+"/acme", ocm.Options{}); err != nil {
		w.t.Fatal(err)
	}
}

// random is content that nobody can compress.
func random(seed string, size int) []byte {
	content := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(content)
	return content
}

// follow has a component followed, and its resource taken from it.
func (w *world) follow(name string) {
	w.t.Helper()
	w.Apply(`
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: ${NAME}
spec:
  interval: 1s
  component: acme.org/${NAME}
  repository: {url: ${URL}/acme}
  version: {semver: ">=0.0.0"}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: ${NAME}
spec:
  interval: 1h
  sourceRef: {name: ${NAME}, resourceRef: {name: manifests}}
`, "${NAME}", name, "${URL}", w.source.URL)
}

// deploy hands it to Flux, which looks at the registry every second.
func (w *world) deploy(name string) {
	w.t.Helper()
	w.Apply(`
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: ${NAME}
spec:
  interval: 1s
  sourceRef: {kind: Resource, name: ${NAME}}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: ${NAMESPACE}}
`, "${NAME}", name)
}

// arrived waits until a version is applied.
func (w *world) arrived(name, version string) {
	w.t.Helper()
	w.Wait("ConfigMap", name, e2etest.Field(version, "data", "version"))
	w.Wait(v1alpha1.FluxDeployerKind, name, e2etest.Ready)
}

func snapshotName(name string) string { return snapshot.Name(v1alpha1.ResourceKind, name) }

// content is what a Snapshot says of its content.
type content struct{ layer, manifest string }

func (w *world) content(name string) content {
	w.t.Helper()
	obj := w.Wait(v1alpha1.SnapshotKind, snapshotName(name), e2etest.Ready)
	layer, _, _ := unstructured.NestedString(obj.Object, "status", "digest")
	manifest, _, _ := unstructured.NestedString(obj.Object, "status", "manifestDigest")
	return content{layer, manifest}
}

// blob is the file of a layer.
func (w *world) blob(layer string) string {
	sum := digest.Digest(layer).Encoded()
	return filepath.Join(w.Operator.RegistryDir(), "blobs", "sha256", sum[:2], sum)
}

// sound tells whether the file of a layer has its content.
func (w *world) sound(layer string) error {
	raw, err := os.ReadFile(w.blob(layer))
	if err != nil {
		return err
	}
	if got := digest.FromBytes(raw).String(); got != layer {
		return fmt.Errorf("the file of %s has content %s", layer, got)
	}
	return nil
}
