package mutation_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
)

const app = "acme.org/app"

const deploy = `apiVersion: apps/v1 # kept
spec:
  replicas: 1
  image: placeholder
`

const config = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata: {name: config}
localization:
- resource: {name: image}
  file: deploy.yaml
  image: spec.image
configuration:
  defaults: {replicas: 2, nested: {a: 1, b: 2}}
  schema:
    type: object
    additionalProperties: false
    properties:
      replicas: {type: integer}
      nested: {type: object}
      extra: {}
  rules:
  - {value: (( replicas )), file: deploy.yaml, path: spec.replicas}
  - {value: (( nested )), file: deploy.yaml, path: spec.nested}
`

// stage is a cluster with a component and a chain of objects: Resource, Localization, Configuration.
type stage struct {
	*reconcilertest.World
	registry  *ocmtest.Server
	url       string
	artifacts *http.Client
	mappings  *mappings
	options   mutation.Options

	components, resources, snapshots, localizations, configurations *reconcilertest.Controller

	component *v1alpha1.ComponentVersion
	resource  *v1alpha1.Resource
}

// newStage publishes version 1.0.0 with the ConfigData, and makes the Resource of its manifests ready.
func newStage(t *testing.T, configData string) *stage {
	t.Helper()
	w, registry := reconcilertest.New(t), ocmtest.Start(t)
	s := &stage{World: w, registry: registry, url: registry.URL + "/ocm", artifacts: &http.Client{}, mappings: &mappings{}}
	s.options = mutation.Options{
		Lifecycle: w.Lifecycle, Foreign: w.Foreign, Repositories: w.Repositories, Store: w.Store,
		Artifacts: s.artifacts, Mappings: s.mappings, NoCrossNamespaceRefs: true,
	}
	s.components = w.Install(componentversion.Plugin(componentversion.Options{Lifecycle: w.Lifecycle, Repositories: w.Repositories, Transfers: w.Transfers()}))
	s.resources = w.Install(resource.Plugin(resource.Options{Lifecycle: w.Lifecycle, Repositories: w.Repositories, Store: w.Store}))
	s.snapshots = w.Install(snapshotkind.Plugin(snapshotkind.Options{Lifecycle: w.Lifecycle, Store: w.Store, Address: "https://registry"}))
	s.localizations = w.Install(localization.Plugin(s.options))
	s.configurations = w.Install(configuration.Plugin(s.options))
	s.release(t, "1.0.0", deploy, configData)
	s.component = reconcilertest.ComponentVersion("app", s.url, app, ">=1.0.0")
	s.resource = reconcilertest.Resource("manifests", "app", "manifests")
	s.Create(s.component, s.resource)
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
	s.forget()
	return s
}

// release publishes a version of the component.
func (s *stage) release(t *testing.T, version, manifest, configData string) {
	t.Helper()
	s.Publish(s.url, ocmtest.Component{Name: app, Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": manifest, "other.txt": version})},
		{Name: "config", Content: []byte(configData)},
		{Name: "values", Content: []byte("replicas: 7\n")},
		{Name: "text", Content: []byte("no archive")},
		{Name: "image", Image: "ghcr.io/acme/app:" + version},
	}})
}

// prove reconciles all Snapshots.
func (s *stage) prove(t *testing.T) {
	t.Helper()
	list := &v1alpha1.SnapshotList{}
	if err := s.Client.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		s.snapshots.Reconcile(&list.Items[i])
	}
}

func (s *stage) forget() {
	s.Events()
	s.Writes()
	s.registry.ResetRequests()
}

// localize creates a Localization of the Resource and reconciles it.
func (s *stage) localize(t *testing.T) *v1alpha1.Localization {
	t.Helper()
	ref := reconcilertest.FromComponent("app", "config")
	l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("localized"), Spec: v1alpha1.MutationSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"), ConfigRef: &ref,
	}}
	s.Create(l)
	s.localizations.Reconcile(l)
	s.prove(t)
	return l
}

// configured returns a Configuration of the Resource, not yet created.
func configured(change func(*v1alpha1.MutationSpec)) *v1alpha1.Configuration {
	ref := reconcilertest.FromComponent("app", "config")
	c := &v1alpha1.Configuration{ObjectMeta: reconcilertest.Named("configured"), Spec: v1alpha1.MutationSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"), ConfigRef: &ref,
	}}
	if change != nil {
		change(&c.Spec)
	}
	return c
}

// configure creates a Configuration and reconciles it.
func (s *stage) configure(t *testing.T, change func(*v1alpha1.MutationSpec)) *v1alpha1.Configuration {
	t.Helper()
	c := configured(change)
	s.Create(c)
	s.configurations.Reconcile(c)
	s.prove(t)
	return c
}

// file returns deploy.yaml as a mutation has written it.
func (s *stage) file(t *testing.T, status v1alpha1.MutationStatus) string {
	t.Helper()
	stored := s.Stored("default", status.SnapshotName, status.LatestManifestDigest)
	return reconcilertest.Untar(t, stored.Content)["deploy.yaml"]
}

// written is deploy.yaml after the rules, with these values.
func written(replicas, image, a, b string) string {
	return "apiVersion: apps/v1 # kept\nspec:\n  replicas: " + replicas + "\n  image: " + image + "\n  nested:\n    a: " + a + "\n    b: " + b + "\n"
}

func inline(values string) func(*v1alpha1.MutationSpec) {
	return func(spec *v1alpha1.MutationSpec) { spec.Values = &apiextensionsv1.JSON{Raw: []byte(values)} }
}

type conditioned interface {
	v1alpha1.SnapshotWriter
}

func wantReady(t *testing.T, obj conditioned) {
	t.Helper()
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(obj)); diff != "" {
		t.Fatalf("conditions (-want +got):\n%s\n%s", diff, reconcilertest.Message(obj, "Ready"))
	}
}

// wantRefused wants a verdict and nothing published.
func wantRefused(t *testing.T, obj conditioned, condition, says string) {
	t.Helper()
	if got := reconcilertest.Conditions(obj)["Ready"]; got != condition {
		t.Errorf("Ready is %q, want %q", got, condition)
	}
	if got := reconcilertest.Message(obj, "Ready"); !strings.Contains(got, says) {
		t.Errorf("message %q lacks %q", got, says)
	}
	if obj.GetSnapshotName() != "" {
		t.Errorf("snapshot %s was published", obj.GetSnapshotName())
	}
}
