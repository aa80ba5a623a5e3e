package fluxdeployer_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// patience is how long the API server and the controller may take for anything.
const patience = time.Minute

// server is a real API server with the controller running against it, as yet without the kinds of Flux.
type server struct {
	client.Client
	t         *testing.T
	access    *rest.Config
	namespace string
	deployer  *v1alpha1.FluxDeployer
	resource  *v1alpha1.Resource
	snapshot  *v1alpha1.Snapshot
}

func newServer(t *testing.T, access *rest.Config, artifacts fluxdeployer.Artifacts) *server {
	t.Helper()
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.New(access, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Client: kubernetes, t: t, access: access}
	ours, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	s.define(ours...)
	s.start(artifacts)
	return s
}

// scene returns a namespace of its own with a Resource that is ready.
func (s *server) scene(t *testing.T) *server {
	t.Helper()
	own := *s
	own.t, own.namespace = t, clustertest.Namespace(t, s.access)
	named := metav1.ObjectMeta{Namespace: own.namespace, Name: "manifests"}
	own.resource = &v1alpha1.Resource{ObjectMeta: named, Spec: v1alpha1.ResourceSpec{Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.FromComponent("c", "m")}}
	own.snapshot = &v1alpha1.Snapshot{ObjectMeta: named, Spec: v1alpha1.SnapshotSpec{Identity: map[string]string{"a": "b"}, Digest: first, Tag: "1.0.0"}}
	own.deployer = own.newDeployer(template(`{"prune":true,"path":"./one","interval":"1h","targetNamespace":"aside"}`))
	own.create(own.snapshot, own.resource)
	own.deliver("1.0.0", "sha256:"+sum('1'))
	return &own
}

func (s *server) newDeployer(kustomization *apiextensionsv1.JSON) *v1alpha1.FluxDeployer {
	return &v1alpha1.FluxDeployer{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "app"}, Spec: v1alpha1.FluxDeployerSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"), KustomizationTemplate: kustomization,
	}}
}

func (s *server) create(objects ...client.Object) {
	s.t.Helper()
	for _, obj := range objects {
		if err := s.Create(s.t.Context(), obj); err != nil {
			s.t.Fatal(err)
		}
	}
}

func sum(digit byte) string {
	out := make([]byte, 64)
	for i := range out {
		out[i] = digit
	}
	return string(out)
}

// start runs the feature in a manager until the test ends.
func (s *server) start(artifacts fluxdeployer.Artifacts) {
	s.t.Helper()
	skip := true
	mgr, err := ctrl.NewManager(s.access, ctrl.Options{
		Scheme: s.Scheme(), Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &skip},
		Cache:      cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	lookout := reconcilertest.Lookout(s.t, s.Client)
	feature := fluxdeployer.Plugin(fluxdeployer.Options{
		Secrets: lookout, Registry: registry(), Foreign: source.NewForeign, Artifacts: artifacts,
		Lifecycle: func(mgr ctrl.Manager) lifecycle.Options {
			return lifecycle.Options{Client: mgr.GetClient(), Live: lookout.Reader(s.Client), Recorder: &record.FakeRecorder{}}
		},
	})
	if err := errors.Join(feature.Setup(s.t.Context(), mgr), mgr.Add(lookout)); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("manager: %v", err)
		}
	})
}

// define installs kinds and waits until they are served.
func (s *server) define(definitions ...*apiextensionsv1.CustomResourceDefinition) {
	s.t.Helper()
	for _, crd := range definitions {
		if err := s.Create(s.t.Context(), crd); err != nil && !apierrors.IsAlreadyExists(err) {
			s.t.Fatal(err)
		}
	}
	for _, crd := range definitions {
		gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name, Kind: crd.Spec.Names.Kind}
		s.eventually(crd.Name+" is served", func() bool {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(gvk)
			return s.List(s.t.Context(), list) == nil
		})
	}
}

// installFlux defines the kinds of Flux that are real here.
func (s *server) installFlux() {
	s.t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: s.t.Output()})
	if err != nil {
		s.t.Fatal(err)
	}
	flux, err := cache.Flux(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, file := range flux.CRDs {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			s.t.Fatal(err)
		}
		definitions = append(definitions, crd)
	}
	s.define(definitions...)
}

// deliver lets the Resource hold a version.
func (s *server) deliver(version, manifest string) {
	s.t.Helper()
	ready := []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Succeeded", LastTransitionTime: metav1.Now()}}
	s.snapshot.Status.Conditions, s.snapshot.Status.ObservedGeneration, s.snapshot.Status.ManifestDigest = ready, s.snapshot.Generation, manifest
	status := &s.resource.Status
	status.Conditions, status.ObservedGeneration = ready, s.resource.Generation
	status.SnapshotName, status.LatestManifestDigest, status.LatestSourceVersion = s.snapshot.Name, manifest, version
	for _, obj := range []client.Object{s.snapshot, s.resource} {
		if err := s.Status().Update(s.t.Context(), obj); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *server) eventually(what string, holds func() bool) {
	s.t.Helper()
	err := wait.PollUntilContextTimeout(s.t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		_ = s.Get(s.t.Context(), client.ObjectKeyFromObject(s.deployer), s.deployer)
		s.t.Fatalf("not within %s: %s; the deployer says %v %q", patience, what, reconcilertest.Conditions(s.deployer), reconcilertest.Message(s.deployer, "Ready"))
	}
}

// flux reads the object of Flux; it is nil when there is none.
func (s *server) flux(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	s.t.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	err := s.Get(s.t.Context(), client.ObjectKeyFromObject(s.deployer), obj)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.t.Fatal(err)
	}
	return obj
}

// spec tells whether a field of the Kustomization has a value; an empty one means that the field is not there.
func (s *server) spec(field, want string) func() bool {
	return func() bool {
		obj := s.flux(kustomization)
		if obj == nil {
			return false
		}
		got, found, _ := unstructured.NestedString(obj.Object, "spec", field)
		return got == want && found == (want != "")
	}
}

func (s *server) says(condition, want string) func() bool {
	return func() bool {
		return s.Get(s.t.Context(), client.ObjectKeyFromObject(s.deployer), s.deployer) == nil && reconcilertest.Conditions(s.deployer)[condition] == want &&
			s.deployer.Status.ObservedGeneration == s.deployer.Generation || want != "True Succeeded" && reconcilertest.Conditions(s.deployer)[condition] == want
	}
}

// change changes an object as a user does, whoever writes it at the same time.
func (s *server) change(obj client.Object, change func()) {
	s.t.Helper()
	s.eventually("the change is written", func() bool {
		if err := s.Get(s.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			s.t.Fatal(err)
		}
		change()
		err := s.Update(s.t.Context(), obj)
		if err != nil && !apierrors.IsConflict(err) {
			s.t.Fatal(err)
		}
		return err == nil
	})
}

// TestAgainstAPIServer is one test, because it begins where Flux isn't installed, and the rest needs it.
func TestAgainstAPIServer(t *testing.T) {
	t.Parallel()
	all := newServer(t, clustertest.APIServer(t), fluxdeployer.Artifacts{})
	t.Run("life of a deployer", func(t *testing.T) { all.scene(t).livesThroughIt() })
	for name, test := range map[string]func(*server){
		"adopts what the older controller made":     adoptsFromOlderController,
		"adopts what was orphaned":                  adoptsOrphans,
		"refuses what is others' until handed over": takesWhatIsHandedOver,
		"loses a race for a name":                   losesRace,
		"passes whole templates":                    passesWholeTemplates,
		"says what the server refuses":              saysWhatIsRefused,
		"is not held up by what can't go":           isNotHeldUp,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(all.scene(t))
		})
	}
}

func (s *server) livesThroughIt() {
	t := s.t
	s.create(s.deployer)
	s.eventually("the deployer waits for Flux", s.says("Ready", "False "+v1alpha1.FluxNotInstalledReason))
	s.installFlux()
	s.eventually("the deployer goes on by itself once Flux is there", s.says("Ready", "True Succeeded"))
	s.eventually("the template is applied", s.spec("path", "./one"))

	object := s.flux(kustomization)
	s.change(object, func() {
		_ = unstructured.SetNestedField(object.Object, "./stolen", "spec", "path")
		_ = unstructured.SetNestedField(object.Object, true, "spec", "suspend")
	})
	s.eventually("what somebody changed is repaired", s.spec("path", "./one"))
	if suspended, _, _ := unstructured.NestedBool(s.flux(kustomization).Object, "spec", "suspend"); !suspended {
		t.Error("a field that is none of the template was taken back")
	}

	s.change(s.deployer, func() {
		s.deployer.Spec.KustomizationTemplate = template(`{"prune":true,"path":"./two","interval":"1h"}`)
	})
	s.eventually("a changed field is applied", s.spec("path", "./two"))
	s.eventually("a field that left the template is gone", s.spec("targetNamespace", ""))

	uid := s.flux(kustomization).GetUID()
	if err := s.Delete(t.Context(), s.flux(kustomization)); err != nil {
		t.Fatal(err)
	}
	s.eventually("what somebody deleted is made again", func() bool {
		made := s.flux(kustomization)
		return made != nil && made.GetUID() != uid
	})
	if err := s.Delete(t.Context(), s.flux(ociRepository)); err != nil {
		t.Fatal(err)
	}
	s.eventually("what somebody deleted is made again", func() bool { return s.flux(ociRepository) != nil })

	next := "sha256:" + sum('2')
	s.deliver("1.1.0", next)
	s.eventually("an upgrade moves the pin", func() bool {
		digest, _, _ := unstructured.NestedString(s.flux(ociRepository).Object, "spec", "ref", "digest")
		return digest == next
	})
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))

	s.change(s.deployer, func() { s.deployer.Spec.KustomizationTemplate = nil })
	s.eventually("what the template made goes with it", func() bool { return s.flux(kustomization) == nil })
}
