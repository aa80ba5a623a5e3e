package mutation_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// mappings evaluates in this process: the tests of cuemap show that others can't harm it.
type mappings struct{ err error }

func (m mappings) Evaluate(_ context.Context, program string, component map[string]any) (any, error) {
	if m.err != nil {
		return nil, m.err
	}
	return cuemap.Evaluate(program, component)
}

func mapped(program string) string {
	return "localization:\n- file: deploy.yaml\n  mapping:\n    path: spec.image\n    transform: |\n      " + strings.ReplaceAll(program, "\n", "\n      ") + "\n"
}

const images = "package main\nimport \"encoding/json\"\nout: json.Marshal([for r in component.resources if r.type == \"ociImage\" {r.access.imageReference}][0])"

func TestMapping(t *testing.T) {
	t.Parallel()
	s := newStage(t, mapped(images))
	l := s.localize(t)
	wantReady(t, l)
	if got, want := s.file(t, l.Status), strings.Replace(deploy, "placeholder", "ghcr.io/acme/app:1.0.0", 1); got != want {
		t.Errorf("file (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// TestMappingSeesReferences is that a program sees the components that the component refers to, at any depth.
func TestMappingSeesReferences(t *testing.T) {
	t.Parallel()
	const program = `out: "\"\(component.references[0].component.references[0].component.resources[0].access.imageReference)\""`
	s := newStage(t, mapped(program))
	s.Publish(s.url, ocmtest.Component{Name: "acme.org/disk", Version: "3.0.0", Resources: []ocmtest.Resource{{Name: "image", Image: "ghcr.io/acme/disk:3"}}})
	s.Publish(s.url, ocmtest.Component{Name: "acme.org/db", Version: "2.0.0", References: []ocmtest.Reference{{Name: "disk", Component: "acme.org/disk", Version: "3.0.0"}}})
	s.Publish(s.url, ocmtest.Component{
		Name: app, Version: "1.1.0",
		Resources: []ocmtest.Resource{
			{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": deploy})},
			{Name: "config", Content: []byte(mapped(program))},
		},
		References: []ocmtest.Reference{{Name: "db", Component: "acme.org/db", Version: "2.0.0", ExtraIdentity: map[string]string{"role": "main"}}},
	})
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
	l := s.localize(t)
	wantReady(t, l)
	if got, want := s.file(t, l.Status), strings.Replace(deploy, "placeholder", "ghcr.io/acme/disk:3", 1); got != want {
		t.Errorf("file (-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestMappingThatFails(t *testing.T) {
	t.Parallel()
	s := newStage(t, mapped("out: component.nope"))
	wantRefused(t, s.localize(t), "False ReconcileMutationObjectFailed", `localization rule 1: file "deploy.yaml", path "spec.image": CUE program: line 1`)
}

func TestMappingThatIsNotAtFault(t *testing.T) {
	t.Parallel()
	s := newStage(t, mapped(images))
	s.mappings.err = errors.New("the machine is busy")
	l := s.localize(t)
	if got := reconcilertest.Message(l, "Ready"); !strings.Contains(got, "the machine is busy") || reconcilertest.Conditions(l)["Stalled"] != "" {
		t.Errorf("conditions are %v, message %q: want another try", reconcilertest.Conditions(l), got)
	}
}

func TestMappingNeedsAComponent(t *testing.T) {
	t.Parallel()
	s := newStage(t, mapped(images))
	r := reconcilertest.Resource("config", "app", "config")
	s.Create(r)
	s.resources.Reconcile(r)
	s.prove(t)
	ref := reconcilertest.From(v1alpha1.ResourceKind, "config")
	l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("localized"), Spec: v1alpha1.MutationSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"), ConfigRef: &ref,
	}}
	s.Create(l)
	s.localizations.Reconcile(l)
	wantRefused(t, l, "False InvalidSpec", "a mapping needs the component of the ConfigData")
}

// monolith is the program of a rule that makes the containers of a role from the images of the component.
func monolith(role, path string) string {
	return `- file: deploy.yaml
  mapping:
    path: ` + path + `
    transform: |
      package main

      import "encoding/json"

      out: json.Marshal([for r in component.resources if r.type == "ociImage" if r.extraIdentity.role == "` + role + `" {
        name:  r.name
        image: r.access.imageReference
        for l in *r.labels | [] if l.name == "port" {ports: [{containerPort: l.value}]}
      }])
`
}

// TestMappingMonolith makes the containers of a pod from the images of the component, by their identity and their labels, and
// does nothing while nothing changes. A component without references or sources has empty lists of them.
func TestMappingMonolith(t *testing.T) {
	t.Parallel()
	rules := "localization:\n" + monolith("main", "spec.containers") + monolith("init", "spec.initContainers") +
		"- {file: deploy.yaml, mapping: {path: spec.others, transform: 'out: \"\\(len(component.references) + len(component.sources))\"'}}\n"
	s := newStage(t, rules)
	image := func(name, role string, labels ...descriptor.Label) ocmtest.Resource {
		return ocmtest.Resource{Name: name, Type: "ociImage", Image: "ghcr.io/acme/" + name + ":1", ExtraIdentity: map[string]string{"role": role}, Labels: labels}
	}
	s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": "kind: Deployment\nspec: {}\n"})},
		{Name: "config", Content: []byte(rules)},
		image("web", "main", descriptor.Label{Name: "port", Value: json.RawMessage("8080")}), image("worker", "main"), image("migrate", "init"),
	}})
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
	l := s.localize(t)
	wantReady(t, l)
	const want = `{"kind":"Deployment","spec":{"containers":[{"image":"ghcr.io/acme/web:1","name":"web","ports":[{"containerPort":8080}]},` +
		`{"image":"ghcr.io/acme/worker:1","name":"worker"}],"initContainers":[{"image":"ghcr.io/acme/migrate:1","name":"migrate"}],"others":0}}`
	if got, err := yaml.YAMLToJSON([]byte(s.file(t, l.Status))); err != nil || string(got) != want {
		t.Errorf("error %v, file is\n%s\nwant\n%s", err, got, want)
	}
	s.forget()
	s.mappings.err = errors.New("it ran again")
	s.localizations.Reconcile(l)
	if requests, writes := s.registry.Requests(), s.Writes(); len(requests) > 0 || len(writes) > 0 {
		t.Errorf("requests %v and writes %v, though nothing changed", requests, writes)
	}
	wantReady(t, l)
}
