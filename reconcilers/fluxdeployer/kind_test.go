package fluxdeployer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

var (
	ociRepository = schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "OCIRepository"}
	kustomization = schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}
	helmRelease   = schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmRelease"}
)

const (
	address = "registry.example.com:5000"
	first   = "sha256:1111"
	second  = "sha256:2222"
)

var snapshotName = snapshot.Name(v1alpha1.ResourceKind, "manifests")

// registry accepts every credential that it has issued.
func registry() fluxdeployer.Registry {
	return fluxdeployer.Registry{
		Address: address,
		CA:      func() []byte { return []byte("certificates") },
		Issue: func(repository string, _ time.Duration) (username, password string, err error) {
			return repository, "word", nil
		},
		Valid: func(_ context.Context, repository, username, password string) bool {
			return username == repository && password == "word"
		},
	}
}

// stage is a cluster with Flux and a Resource that is ready.
type stage struct {
	*reconcilertest.World
	*reconcilertest.Controller
	resource *v1alpha1.Resource
	snapshot *v1alpha1.Snapshot
}

func newStage(t *testing.T, adjust ...func(*fluxdeployer.Registry)) *stage {
	t.Helper()
	s := &stage{
		World:    reconcilertest.New(t),
		resource: reconcilertest.Resource("manifests", "component", "manifests"),
		snapshot: &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(snapshotName)},
	}
	s.Serve(ociRepository, kustomization, helmRelease)
	access := registry()
	for _, f := range adjust {
		f(&access)
	}
	s.Controller = s.Install(fluxdeployer.Plugin(fluxdeployer.Options{
		Lifecycle: s.Lifecycle, Registry: access, Foreign: s.Foreign, NoCrossNamespaceRefs: true,
	}))
	s.Create(s.resource, s.snapshot)
	s.deliver("1.0.0", first)
	return s
}

// deliver lets the Resource hold a version.
func (s *stage) deliver(version, manifest string) {
	ready := []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Succeeded", LastTransitionTime: metav1.Now()}}
	s.SetStatus(s.resource, func() {
		status := &s.resource.Status
		status.Conditions, status.ObservedGeneration = ready, s.resource.Generation
		status.SnapshotName, status.LatestManifestDigest, status.LatestSourceVersion = s.snapshot.Name, manifest, version
	})
	s.SetStatus(s.snapshot, func() {
		s.snapshot.Status.Conditions, s.snapshot.Status.ObservedGeneration = ready, s.snapshot.Generation
		s.snapshot.Status.ManifestDigest = manifest
	})
}

func template(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func kustomize(spec *v1alpha1.FluxDeployerSpec) {
	spec.KustomizationTemplate = template(`{"prune":true,"path":"./","timeout":"1m0s","sourceRef":{"kind":"GitRepository","name":"other"}}`)
}

func helm(spec *v1alpha1.FluxDeployerSpec) {
	spec.HelmReleaseTemplate = template(`{"interval":"1h","chart":{"spec":{}},"values":{"replicas":2}}`)
}

// deploy creates a FluxDeployer and reconciles it.
func (s *stage) deploy(change ...func(*v1alpha1.FluxDeployerSpec)) *v1alpha1.FluxDeployer {
	d := &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.FluxDeployerSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"),
	}}
	for _, f := range change {
		f(&d.Spec)
	}
	s.Create(d)
	s.Reconcile(d)
	return d
}

// flux returns the object of Flux of the deployer's name, or nil.
func (s *stage) flux(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	obj.SetNamespace(reconcilertest.Namespace)
	obj.SetName("app")
	if !s.Has(obj) {
		return nil
	}
	return obj
}

func (s *stage) secret(name string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named(name)}
	if !s.Has(secret) {
		return nil
	}
	return secret
}

func wantConditions(t *testing.T, d *v1alpha1.FluxDeployer, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, reconcilertest.Conditions(d)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s\n%s", diff, reconcilertest.Message(d, "Ready"))
	}
}

var ready = map[string]string{"Ready": "True Succeeded"}

func TestKustomization(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	wantConditions(t, d, ready)
	want := map[string]any{
		"interval": "10m0s", "url": "oci://" + address + "/default/" + snapshotName, "ref": map[string]any{"digest": first},
		"secretRef": map[string]any{"name": "app-registry-pull"}, "certSecretRef": map[string]any{"name": "app-registry-ca"},
	}
	repository := s.flux(ociRepository)
	if diff := cmp.Diff(want, repository.Object["spec"]); diff != "" {
		t.Errorf("OCIRepository (-want +got):\n%s", diff)
	}
	want = map[string]any{
		"interval": "10m0s", "prune": true, "path": "./", "timeout": "1m0s", "sourceRef": map[string]any{"kind": "OCIRepository", "name": "app"},
	}
	if diff := cmp.Diff(want, s.flux(kustomization).Object["spec"]); diff != "" {
		t.Errorf("Kustomization (-want +got):\n%s", diff)
	}
	for _, owned := range []metav1.Object{repository, s.flux(kustomization), s.secret("app-registry-pull"), s.secret("app-registry-ca")} {
		if refs := owned.GetOwnerReferences(); len(refs) != 1 || refs[0].UID != d.UID {
			t.Errorf("owners of %s are %v, want the deployer", owned.GetName(), refs)
		}
	}
	if d.Status.OCIRepository != "default/app" || d.Status.Kustomization != "default/app" || d.Status.HelmRelease != "" {
		t.Errorf("status is %+v", d.Status)
	}
	events := []string{
		"Normal Progressing Applied OCIRepository and Kustomization with version 1.0.0, digest " + first,
		"Normal Succeeded FluxDeployer 'app' has deployed version 1.0.0 map[source.toolkit.fluxcd.io/revision:1.0.0@" + first + "]",
		"Normal Succeeded Reconciliation finished, next run in 10m0s map[delivery.ocm.software/revision:1.0.0@" + first + "]",
	}
	if diff := cmp.Diff(events, s.AnnotatedEvents()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := string(s.secret("app-registry-ca").Data["ca.crt"]); got != "certificates" {
		t.Errorf("certificates are %q", got)
	}
	var config struct {
		Auths map[string]struct {
			Username string `json:"username"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(s.secret("app-registry-pull").Data[corev1.DockerConfigJsonKey], &config); err != nil || config.Auths[address].Username != "default/"+snapshotName {
		t.Errorf("credential is %+v (%v), want one for the repository alone", config, err)
	}
}

func TestUnchangedDeployerWritesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*v1alpha1.FluxDeployerSpec){"kustomization": kustomize, "helm release": helm, "repository alone": func(*v1alpha1.FluxDeployerSpec) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			d := s.deploy(change)
			wantConditions(t, d, ready)
			s.Events()
			s.Writes()
			for range 3 {
				s.Reconcile(d)
			}
			if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
				t.Errorf("writes %v and events %v, want none", writes, events)
			}
		})
	}
}

// asking counts what is read past the cache.
type asking struct {
	client.Reader
	asked []string
}

func (a *asking) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	a.asked = append(a.asked, fmt.Sprintf("%T %s", obj, key))
	return a.Reader.Get(ctx, key, obj, opts...)
}

// TestServerIsNotAsked: what is made is made without asking first, and a deployer with nothing to do asks for its Secrets alone, of which nothing
// is kept.
func TestServerIsNotAsked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	live := &asking{Reader: s.Client}
	s.Controller = s.Install(fluxdeployer.Plugin(fluxdeployer.Options{
		Lifecycle: func(mgr ctrl.Manager) lifecycle.Options {
			o := s.Lifecycle(mgr)
			o.Live = live
			return o
		},
		Registry: registry(), Foreign: s.Foreign,
	}))
	d := s.deploy(kustomize)
	wantConditions(t, d, ready)
	want := []string{
		"create FluxDeployer default/app", "status FluxDeployer default/app",
		"create Secret default/app-registry-pull", "create Secret default/app-registry-ca",
		"apply OCIRepository default/app", "apply Kustomization default/app", "status FluxDeployer default/app",
	}
	writes := s.Writes()
	if diff := cmp.Diff(want, writes[len(writes)-len(want):]); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	s.Reconcile(d)
	s.deliver("1.1.0", second)
	s.Reconcile(d)
	slices.Sort(live.asked)
	own := []string{"*v1.Secret default/app-registry-ca", "*v1.Secret default/app-registry-pull"}
	if asked := slices.Compact(live.asked); !slices.Equal(asked, own) {
		t.Errorf("the server was asked for %v, want its Secrets alone", asked)
	}
}

func TestUpgradeMovesThePin(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	s.Writes()
	s.Events()
	s.deliver("1.1.0", second)
	s.Reconcile(d)
	if diff := cmp.Diff([]string{"apply OCIRepository default/app", "status FluxDeployer default/app"}, s.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got, _, _ := unstructured.NestedString(s.flux(ociRepository).Object, "spec", "ref", "digest"); got != second {
		t.Errorf("pinned is %s", got)
	}
	events := []string{
		"Normal Progressing Applied OCIRepository with version 1.1.0, digest " + second,
		"Normal Succeeded FluxDeployer 'app' has deployed version 1.1.0 map[source.toolkit.fluxcd.io/revision:1.1.0@" + second + "]",
	}
	if diff := cmp.Diff(events, s.AnnotatedEvents()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestHelmRelease(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(helm)
	wantConditions(t, d, ready)
	want := map[string]any{
		"interval": "1h", "values": map[string]any{"replicas": int64(2)}, "chartRef": map[string]any{"kind": "OCIRepository", "name": "app"},
	}
	if diff := cmp.Diff(want, s.flux(helmRelease).Object["spec"]); diff != "" {
		t.Errorf("HelmRelease (-want +got):\n%s", diff)
	}
	selector, _, _ := unstructured.NestedMap(s.flux(ociRepository).Object, "spec", "layerSelector")
	if diff := cmp.Diff(map[string]any{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"}, selector); diff != "" {
		t.Errorf("layer selector (-want +got):\n%s", diff)
	}
}

// store lets the Resource hold content of a kind.
func (s *stage) store(t *testing.T, version string, meta snapshot.Meta) {
	t.Helper()
	repository, err := s.Store.Repository(snapshot.RepositoryName(reconcilertest.Namespace, snapshotName))
	if err != nil {
		t.Fatal(err)
	}
	meta.Component, meta.ComponentVersion, meta.Resource, meta.ResourceVersion = "acme.org/app", version, "manifests", version
	written, err := snapshot.Write(t.Context(), repository, meta, func(w io.Writer) error {
		_, err := io.WriteString(w, version)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.deliver(version, written.ManifestDigest.String())
}

// TestContentThatIsNoChart is not handed to helm-controller, and what it has stays.
func TestContentThatIsNoChart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Controller = s.Install(fluxdeployer.Plugin(fluxdeployer.Options{Lifecycle: s.Lifecycle, Registry: registry(), Foreign: s.Foreign, Store: s.Store}))
	chart := snapshot.Meta{Kind: snapshot.Chart, ChartConfig: []byte(`{"name":"app","version":"1.0.0"}`)}
	s.store(t, "1.0.0", chart)
	d := s.deploy(helm)
	wantConditions(t, d, ready)
	pinned := s.flux(ociRepository).Object["spec"]

	s.store(t, "1.1.0", snapshot.Meta{Kind: snapshot.Directory})
	s.Reconcile(d)
	wantConditions(t, d, map[string]string{"Ready": "False " + v1alpha1.CreateOrUpdateHelmFailedReason, "Reconciling": "True ProgressingWithRetry"})
	want := "content of Resource default/manifests is no Helm chart: use kustomizationTemplate, or refer to a Resource of type helmChart"
	if got := reconcilertest.Message(d, "Ready"); !strings.Contains(got, want) {
		t.Errorf("message is %q, want %q", got, want)
	}
	if diff := cmp.Diff(pinned, s.flux(ociRepository).Object["spec"]); diff != "" || s.flux(helmRelease) == nil {
		t.Errorf("what is deployed was changed (-want +got):\n%s", diff)
	}

	s.store(t, "1.2.0", chart)
	s.Reconcile(d)
	wantConditions(t, d, ready)

	s.deliver("1.3.0", "sha256:"+strings.Repeat("0", 64))
	s.Reconcile(d)
	if got := reconcilertest.Conditions(d)["Reconciling"]; got != "True "+v1alpha1.SourceRefNotReadyReason {
		t.Errorf("Reconciling is %q, want to wait for content that is gone", got)
	}
}

func TestTemplateSwitchRemovesTheOldObject(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	s.Change(d, func() { d.Spec.KustomizationTemplate = nil; helm(&d.Spec) })
	s.Reconcile(d)
	wantConditions(t, d, ready)
	if s.flux(kustomization) != nil || s.flux(helmRelease) == nil || d.Status.Kustomization != "" || d.Status.HelmRelease != "default/app" {
		t.Errorf("status is %+v, want the Kustomization gone", d.Status)
	}
	s.Change(d, func() { d.Spec.HelmReleaseTemplate = nil })
	s.Reconcile(d)
	if s.flux(helmRelease) != nil || s.flux(ociRepository) == nil || d.Status.HelmRelease != "" {
		t.Errorf("status is %+v, want the OCIRepository alone", d.Status)
	}
}

// TestArtifactOfBefore has an ExternalArtifact of a time when there were some. Nobody may even look for it without the option.
func TestArtifactOfBefore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	artifact := ociRepository.GroupVersion().WithKind("ExternalArtifact")
	s.Serve(artifact)
	d := s.deploy(kustomize)
	left := &unstructured.Unstructured{}
	left.SetGroupVersionKind(artifact)
	left.SetNamespace(d.Namespace)
	left.SetName(d.Name)
	if err := controllerutil.SetControllerReference(d, left, s.Client.Scheme()); err != nil {
		t.Fatal(err)
	}
	s.Create(left)
	s.SetStatus(d, func() { d.Status.ExternalArtifact = "default/app" })
	s.Reconcile(d)
	wantConditions(t, d, ready)
	if s.flux(artifact) == nil || d.Status.ExternalArtifact != "default/app" {
		t.Errorf("status names %q, want the ExternalArtifact to stay and to be named", d.Status.ExternalArtifact)
	}
}

func TestObjectsOfOthersAreNotDeleted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	taken := s.flux(kustomization)
	s.Change(taken, func() { taken.SetOwnerReferences(nil) })
	s.Change(d, func() { d.Spec.KustomizationTemplate = nil })
	s.Reconcile(d)
	if s.flux(kustomization) == nil {
		t.Error("an object that is the deployer's no longer was deleted")
	}
}

func TestRegistryWithoutCertificates(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		adjust   func(*fluxdeployer.Registry)
		insecure bool
		reason   string
	}{
		"plain HTTP":     {func(r *fluxdeployer.Registry) { r.PlainHTTP = true }, true, "there is nothing to trust"},
		"system's trust": {func(r *fluxdeployer.Registry) { r.CA = func() []byte { return nil } }, false, "Flux refuses a Secret without certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, tc.adjust)
			wantConditions(t, s.deploy(kustomize), ready)
			spec, _, _ := unstructured.NestedMap(s.flux(ociRepository).Object, "spec")
			if insecure := spec["insecure"] == true; insecure != tc.insecure || spec["certSecretRef"] != nil || s.secret("app-registry-ca") != nil {
				t.Errorf("OCIRepository is %v: %s", spec, tc.reason)
			}
		})
	}
}

func TestSecretsAreKept(t *testing.T) {
	t.Parallel()
	ca := []byte("certificates")
	s := newStage(t, func(r *fluxdeployer.Registry) { r.CA = func() []byte { return ca } })
	d := s.deploy(kustomize)
	s.Delete(s.secret("app-registry-pull"))
	ca = []byte("renewed")
	s.Reconcile(d)
	if s.secret("app-registry-pull") == nil || string(s.secret("app-registry-ca").Data["ca.crt"]) != "renewed" {
		t.Error("a Secret that was deleted is not there, or certificates that were renewed are not in it")
	}
}

func TestSecretOfSomebodyElse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app-registry-pull", "app-registry-ca"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			theirs := &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: map[string][]byte{"precious": []byte("x")}}
			s.Create(theirs)
			d := s.deploy(kustomize)
			const reason = v1alpha1.CreateOrUpdateOCIRepositoryFailedReason
			wantConditions(t, d, map[string]string{"Ready": "False " + reason, "Stalled": "True " + reason})
			if string(s.secret(name).Data["precious"]) != "x" || s.flux(ociRepository) != nil {
				t.Error("it was overwritten, or something was applied without it")
			}
		})
	}
}

func TestObjectsThatAreThereAlready(t *testing.T) {
	t.Parallel()
	owner := func(kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: "other"}}
	}
	for name, tc := range map[string]struct {
		owners []metav1.OwnerReference
		taken  bool
		reason string
	}{
		"nobody's":                  {nil, false, "a user made it, and would lose it with the deployer"},
		"another controller's":      {owner("App", "theirs"), false, "two controllers would undo each other's work"},
		"another deployer's":        {owner(v1alpha1.FluxDeployerKind, "web"), false, "two deployers would undo each other's work"},
		"an earlier deployer's":     {owner(v1alpha1.FluxDeployerKind, "app"), true, "the deployer was made again under its name"},
		"a snapshot of that name's": {owner(v1alpha1.SnapshotKind, "app"), false, "the kind counts too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			found := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"path": "theirs"}}}
			found.SetGroupVersionKind(kustomization)
			found.SetName("app")
			found.SetOwnerReferences(tc.owners)
			s.Create(found)
			d := s.deploy(kustomize)
			path, _, _ := unstructured.NestedString(s.flux(kustomization).Object, "spec", "path")
			if tc.taken {
				wantConditions(t, d, ready)
				if path != "./" {
					t.Errorf("path is %s, want that of the template: %s", path, tc.reason)
				}
				return
			}
			const reason = v1alpha1.CreateOrUpdateKustomizationFailedReason
			wantConditions(t, d, map[string]string{"Ready": "False " + reason, "Stalled": "True " + reason})
			if path != "theirs" {
				t.Errorf("it was changed to %s: %s", path, tc.reason)
			}
		})
	}
}

// TestAccessOutlivesTrouble: Flux pulls what was deployed again and again, also while its source is in trouble.
func TestAccessOutlivesTrouble(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	s.SetStatus(s.resource, func() { s.resource.Status.Conditions[0].Status = "False" })
	s.Delete(s.secret("app-registry-pull"))
	s.Reconcile(d)
	if s.secret("app-registry-pull") == nil {
		t.Error("the credential is not there while the source is not ready")
	}
	wantConditions(t, d, map[string]string{"Ready": "True Succeeded", "Reconciling": "True " + v1alpha1.SourceRefNotReadyReason})
}

func TestRefusedSpecs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change             func(*v1alpha1.FluxDeployerSpec)
		reason, says, wait string
	}{
		"both templates":   {func(s *v1alpha1.FluxDeployerSpec) { kustomize(s); helm(s) }, v1alpha1.InvalidSpecReason, "keep one", ""},
		"component":        {func(s *v1alpha1.FluxDeployerSpec) { s.SourceRef.Kind = v1alpha1.ComponentVersionKind }, v1alpha1.InvalidSpecReason, "no content of its own", ""},
		"no kind":          {func(s *v1alpha1.FluxDeployerSpec) { s.SourceRef.Kind = "" }, v1alpha1.InvalidSpecReason, "no content of its own", ""},
		"template is list": {func(s *v1alpha1.FluxDeployerSpec) { s.KustomizationTemplate = template(`[1]`) }, v1alpha1.InvalidSpecReason, "spec.kustomizationTemplate", ""},
		"release is text":  {func(s *v1alpha1.FluxDeployerSpec) { s.HelmReleaseTemplate = template(`"x"`) }, v1alpha1.InvalidSpecReason, "spec.helmReleaseTemplate", ""},
		"denied":           {func(s *v1alpha1.FluxDeployerSpec) { s.SourceRef.Namespace = "team" }, v1alpha1.AccessDeniedReason, "--no-cross-namespace-refs", ""},
		"missing":          {func(s *v1alpha1.FluxDeployerSpec) { s.SourceRef.Name = "none" }, v1alpha1.SourceRefNotReadyReason, "does not exist", "True " + v1alpha1.SourceRefNotReadyReason},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			d := s.deploy(tc.change)
			want := map[string]string{"Ready": "False " + tc.reason, "Stalled": "True " + tc.reason}
			if tc.wait != "" {
				want = map[string]string{"Ready": "False " + tc.reason, "Reconciling": tc.wait}
			}
			wantConditions(t, d, want)
			if got := reconcilertest.Message(d, "Ready"); !strings.Contains(got, tc.says) {
				t.Errorf("message %q lacks %q", got, tc.says)
			}
			if s.flux(ociRepository) != nil {
				t.Error("something was applied")
			}
		})
	}
}

func TestFluxIsNotInstalled(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		served []schema.GroupVersionKind
		change func(*v1alpha1.FluxDeployerSpec)
		says   string
	}{
		"at all":                  {nil, kustomize, "no kind OCIRepository"},
		"without helm-controller": {[]schema.GroupVersionKind{ociRepository, kustomization}, helm, "no kind HelmRelease"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stage{World: reconcilertest.New(t), resource: reconcilertest.Resource("manifests", "c", "m"), snapshot: &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(snapshotName)}}
			s.Serve(tc.served...)
			s.Controller = s.Install(fluxdeployer.Plugin(fluxdeployer.Options{Lifecycle: s.Lifecycle, Registry: registry(), Foreign: s.Foreign}))
			s.Create(s.resource, s.snapshot)
			s.deliver("1.0.0", first)
			d := s.deploy(tc.change)
			const reason = v1alpha1.FluxNotInstalledReason
			wantConditions(t, d, map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason})
			if got := reconcilertest.Message(d, "Ready"); !strings.Contains(got, tc.says) {
				t.Errorf("message %q lacks %q", got, tc.says)
			}
			s.Serve(ociRepository, kustomization, helmRelease)
			s.Reconcile(d)
			wantConditions(t, d, ready)
		})
	}
}

// TestArtifactsBeforeFlux has ExternalArtifacts served before there is anybody who could take them.
func TestArtifactsBeforeFlux(t *testing.T) {
	t.Parallel()
	s := &stage{World: reconcilertest.New(t), resource: reconcilertest.Resource("manifests", "c", "m"), snapshot: &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(snapshotName)}}
	s.Serve(ociRepository, ociRepository.GroupVersion().WithKind("ExternalArtifact"))
	s.Controller = s.Install(fluxdeployer.Plugin(fluxdeployer.Options{
		Lifecycle: s.Lifecycle, Registry: registry(), Foreign: s.Foreign,
		Artifacts: fluxdeployer.Artifacts{Namespace: "ocm-system", Find: func(context.Context, string, string) (fluxdeployer.Artifact, error) {
			return fluxdeployer.Artifact{}, errors.New("read for nobody")
		}},
	}))
	s.Create(s.resource, s.snapshot)
	s.deliver("1.0.0", first)
	d := s.deploy(kustomize)
	wantConditions(t, d, map[string]string{"Ready": "False " + v1alpha1.FluxNotInstalledReason, "Reconciling": "True " + v1alpha1.FluxNotInstalledReason})
	s.Serve(kustomization)
	s.Reconcile(d)
	if got := reconcilertest.Message(d, "Ready"); !strings.Contains(got, "asking the controller of Kustomization") {
		t.Errorf("message %q, want that the controller is asked now that there is one", got)
	}
}

// answer lets Flux say something about an object.
func (s *stage) answer(gvk schema.GroupVersionKind, status, revision string) {
	obj := s.flux(gvk)
	s.Change(obj, func() {
		content := map[string]any{
			"observedGeneration": obj.GetGeneration(),
			"conditions":         []any{map[string]any{"type": "Ready", "status": status, "message": "health check"}},
		}
		if gvk == ociRepository {
			content["artifact"] = map[string]any{"revision": "1.0.0@" + revision}
		} else {
			content["lastAppliedRevision"] = "1.0.0@" + revision
		}
		obj.Object["status"] = content
	})
}

func TestWaitForReady(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize, func(spec *v1alpha1.FluxDeployerSpec) { spec.WaitForReady = true })
	const reason = v1alpha1.CreatedObjectsNotReadyReason
	pending := map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason}
	wantConditions(t, d, pending)
	s.answer(ociRepository, "True", first)
	s.Reconcile(d)
	wantConditions(t, d, pending)
	if got := reconcilertest.Message(d, "Ready"); !strings.Contains(got, "Kustomization") {
		t.Errorf("message %q does not tell what is waited for", got)
	}
	s.answer(kustomization, "True", first)
	s.Reconcile(d)
	wantConditions(t, d, ready)

	s.deliver("1.1.0", second) // an upgrade: what is there stands until the new content is there
	s.Reconcile(d)
	wantConditions(t, d, map[string]string{"Ready": "True Succeeded", "Reconciling": "True " + reason})
	s.answer(ociRepository, "True", second)
	s.answer(kustomization, "False", second)
	s.Reconcile(d)
	wantConditions(t, d, map[string]string{"Ready": "False " + reason, "Reconciling": "True ProgressingWithRetry"})
	if applied, attempted := d.Status.LastAppliedRevision, d.Status.LastAttemptedRevision; applied != "1.0.0@"+first || attempted != "1.1.0@"+second {
		t.Errorf("applied is %s and attempted %s: Flux pulls the second, and may have to go back to the first", applied, attempted)
	}
	s.answer(kustomization, "True", second)
	s.Reconcile(d)
	wantConditions(t, d, ready)
}

// TestAttemptIsNotedWithoutResult: Flux pulls what it was given, though nothing of it could be applied.
func TestAttemptIsNotedWithoutResult(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Refuse("apply Kustomization", errors.New("denied by a webhook"))
	d := s.deploy(kustomize)
	if applied, attempted := d.Status.LastAppliedRevision, d.Status.LastAttemptedRevision; applied != "" || attempted != "1.0.0@"+first {
		t.Errorf("applied is %q and attempted %q, with the OCIRepository at the content", applied, attempted)
	}
}

// TestMilestones: an Alert can select the source, so it hears there what its deployer comes to, once each time.
func TestMilestones(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize, func(spec *v1alpha1.FluxDeployerSpec) { spec.WaitForReady = true })
	s.Change(d, func() { d.Annotations = map[string]string{"event.toolkit.fluxcd.io/cluster": "east", "other": "x"} })
	said := func() []string {
		s.Reconcile(d)
		s.Reconcile(d)
		return slices.DeleteFunc(s.AnnotatedEvents(), func(event string) bool { return !strings.Contains(event, ociRepository.Group+"/revision:") })
	}
	const keys = " map[event.toolkit.fluxcd.io/cluster:east source.toolkit.fluxcd.io/revision:1.0.0@" + first + "]"
	for _, step := range []struct {
		name   string
		before func()
		want   []string
		reason string
	}{
		{"pending", func() {}, nil, "nothing has come of it yet"},
		{"failed", func() { s.answer(ociRepository, "True", first); s.answer(kustomization, "False", first) }, []string{
			"Warning CreatedObjectsNotReady FluxDeployer 'app': Kustomization is not ready: health check" + keys,
		}, "somebody should look"},
		{"deployed", func() { s.answer(kustomization, "True", first) }, []string{"Normal Succeeded FluxDeployer 'app' has deployed version 1.0.0" + keys}, "it is there"},
		{"failed later", func() { s.answer(kustomization, "False", first) }, []string{
			"Warning CreatedObjectsNotReady FluxDeployer 'app': Kustomization is not ready: health check" + keys,
		}, "it no longer works"},
		{"works again", func() { s.answer(kustomization, "True", first) }, nil, "it is what was deployed before; Flux itself reports that"},
	} {
		step.before()
		if diff := cmp.Diff(step.want, said(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: events, because %s (-want +got):\n%s", step.name, step.reason, diff)
		}
	}
	if d.Status.LastAppliedRevision != "1.0.0@"+first {
		t.Errorf("last applied revision is %q", d.Status.LastAppliedRevision)
	}
}

func TestSpecIsNotWritten(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	before := d.Spec.DeepCopy()
	s.Reconcile(d)
	if diff := cmp.Diff(before, &d.Spec); diff != "" || d.Generation != 1 {
		t.Errorf("generation %d, spec (-want +got):\n%s", d.Generation, diff)
	}
}
