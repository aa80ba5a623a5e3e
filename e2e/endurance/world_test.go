package endurance

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

// Kinds of the operator, those that a user writes first.
var (
	written = []string{
		v1alpha1.ComponentVersionKind, v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind, v1alpha1.FluxDeployerKind,
	}
	made  = []string{v1alpha1.ComponentDescriptorKind, v1alpha1.SnapshotKind}
	flux  = []string{"OCIRepository", "Kustomization"}
	state = append(append([]string{}, written...), v1alpha1.SnapshotKind)
)

// world is a namespace in the cluster that the tests share, with an operator and a registry of components for one test
// alone: what a test counts is what it has caused. For that the tests of this package are not parallel.
type world struct {
	*e2etest.Env
	t      *testing.T
	source *source
	// unused is when the operator's folder for temporary files was changed last before the test began.
	unused time.Time
}

// flags are those of every operator here. Content is looked for every second, so that quiet means quiet in spite of that,
// and what is lost is missed soon; retries don't grow to more than a test waits for.
var flags = []string{"--snapshot-recheck-interval=1s", "--max-retry-delay=2s"}

// newWorld starts it. What prepares the operator's folder runs before the operator does.
func newWorld(t *testing.T, prepare func(dir string)) *world {
	t.Helper()
	o := e2etest.AloneOptions{Args: flags, Prepare: prepare, Cleared: slices.Concat(written, made)}
	w := &world{Env: e2etest.Alone(t, o), t: t, source: newSource(t)}
	w.unused = w.touched(w.Operator.TempDir())
	return w
}

// objects returns the objects of a kind.
func (w *world) objects(kind string) []unstructured.Unstructured {
	return w.objectsIn(w.Namespace, kind)
}

func (w *world) objectsIn(namespace, kind string) []unstructured.Unstructured {
	w.t.Helper()
	list, err := w.List(w.t.Context(), namespace, kind)
	if err != nil {
		w.t.Fatalf("list %s: %v", kind, err)
	}
	return list.Items
}

// imageRegistry is where the images of the component are said to be.
const imageRegistry = "registry.example/acme"

// publish publishes a version of the component, everything in which tells the version.
func (w *world) publish(version string) {
	w.t.Helper()
	o := podinfo.Options{Version: version, ImageRegistry: imageRegistry}
	if err := podinfo.Publish(w.t.Context(), w.source.url(), o, ocm.Options{UserAgent: "endurance"}); err != nil {
		w.t.Fatal(err)
	}
}

// deliver applies the pipeline, with an interval for the component and one for all that follows it.
func (w *world) deliver(component, others string) {
	w.t.Helper()
	w.Apply(pipeline, "${REPOSITORY}", w.source.url(), "${COMPONENT_INTERVAL}", component, "${INTERVAL}", others)
}

// arrived waits until every object of the pipeline is ready and a version is applied.
func (w *world) arrived(version string) {
	w.t.Helper()
	w.Wait("ConfigMap", "podinfo", e2etest.Field(version, "data", "configuredVersion"), e2etest.Field(version, "data", "version"))
	w.Wait("Deployment", "podinfo", e2etest.Field(version, "metadata", "annotations", versionAnnotation))
	for _, kind := range written {
		w.Wait(kind, "podinfo", settled)
	}
	for _, kind := range flux {
		w.Wait(kind, "podinfo", e2etest.Ready)
	}
	for _, snapshot := range w.objects(v1alpha1.SnapshotKind) {
		w.Wait(v1alpha1.SnapshotKind, snapshot.GetName(), settled)
	}
}

// pipeline is a component on its way through every kind.
const pipeline = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
spec:
  interval: ${COMPONENT_INTERVAL}
  component: phoban.io/podinfo
  repository:
    url: ${REPOSITORY}
  version:
    semver: ">=1.0.0"
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: podinfo
spec:
  interval: ${INTERVAL}
  sourceRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: manifests
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata:
  name: podinfo
spec:
  interval: ${INTERVAL}
  sourceRef:
    kind: Resource
    name: podinfo
  configRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: config
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Configuration
metadata:
  name: podinfo
spec:
  interval: ${INTERVAL}
  sourceRef:
    kind: Localization
    name: podinfo
  configRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: config
  values:
    message: configured
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: podinfo
spec:
  interval: ${INTERVAL}
  waitForReady: true
  sourceRef:
    kind: Configuration
    name: podinfo
  kustomizationTemplate:
    path: ./
    prune: true
    targetNamespace: ${NAMESPACE}
`
