package endurance

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

const (
	startTimeout = 2 * time.Minute
	clearTimeout = 30 * time.Second
	// maxLogLines is how much of the operator's log a failure shows.
	maxLogLines = 80
)

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
func newWorld(t *testing.T, prepare ...func(dir string)) *world {
	t.Helper()
	c := clustertest.Shared(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := operator.Install(ctx, c.Config()); err != nil {
		t.Fatalf("install the operator: %v", err)
	}
	binary, err := program(filepath.Join(c.Dir(), "operators"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(c.Dir(), "operators", t.Name())
	for _, f := range prepare {
		f(dir)
	}
	op, err := operator.Start(ctx, operator.Options{Binary: binary, Kubeconfig: c.Kubeconfig(), Dir: dir, Args: flags})
	if err != nil {
		t.Fatalf("start the operator: %v", err)
	}
	t.Cleanup(func() {
		if err := op.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stop the operator: %v", err)
		}
	})
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.NewWithWatch(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	env := &e2etest.Env{Cluster: c, Operator: op, Client: kubernetes, Namespace: clustertest.Namespace(t, c.Config())}
	w := &world{Env: env.ForTest(t), t: t, source: newSource(t)}
	w.unused = w.touched(op.TempDir())
	t.Cleanup(w.clear)
	t.Cleanup(w.dump)
	return w
}

// program builds the operator once.
var program = func() func(dir string) (string, error) {
	var once sync.Once
	var path string
	var err error
	return func(dir string) (string, error) {
		once.Do(func() {
			if err = os.MkdirAll(dir, 0o700); err == nil {
				path, err = operator.Build(context.Background(), dir)
			}
		})
		return path, err
	}
}()

// clear takes the objects of the test away, because the operator of the next test would see to them.
func (w *world) clear() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), clearTimeout)
	defer cancel()
	for _, kind := range append(append([]string{}, written...), made...) {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(e2etest.GVK(kind))
		if err := w.Client.DeleteAllOf(ctx, obj, client.InNamespace(w.Namespace)); err != nil {
			w.t.Errorf("delete what is left of kind %s: %v", kind, err)
		}
	}
}

// dump shows what is worth reading when the test has failed.
func (w *world) dump() {
	if !w.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), clearTimeout)
	defer cancel()
	for _, kind := range append(append(append([]string{}, written...), made...), flux...) {
		objects, _, err := w.list(ctx, w.Namespace, kind)
		if err != nil {
			w.t.Logf("show %s: %v", kind, err)
		}
		for _, obj := range objects {
			if kind != v1alpha1.ComponentDescriptorKind {
				w.t.Logf("%s %s generation %d: spec %v status %v", kind, obj.GetName(), obj.GetGeneration(), obj.Object["spec"], obj.Object["status"])
			}
		}
	}
	w.t.Logf("the registry of components has seen %v", w.source.Requests())
	log, err := os.ReadFile(w.Operator.LogFile())
	if err != nil {
		w.t.Logf("read the operator's log: %v", err)
		return
	}
	lines := strings.SplitAfter(string(log), "\n")
	w.t.Logf("the end of %s:\n%s", w.Operator.LogFile(), strings.Join(lines[max(0, len(lines)-maxLogLines):], ""))
}

// list returns the objects of a kind in a namespace, and as of when.
func (w *world) list(ctx context.Context, namespace, kind string) ([]unstructured.Unstructured, string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(listKind(kind))
	err := w.Client.List(ctx, list, client.InNamespace(namespace))
	return list.Items, list.GetResourceVersion(), err
}

// objects is list for a test that goes well.
func (w *world) objects(kind string) []unstructured.Unstructured {
	w.t.Helper()
	objects, _, err := w.list(w.t.Context(), w.Namespace, kind)
	if err != nil {
		w.t.Fatalf("list %s: %v", kind, err)
	}
	return objects
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
