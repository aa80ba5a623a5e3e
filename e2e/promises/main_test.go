package promises_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

const (
	group     = "delivery.ocm.software/v1alpha1"
	component = "acme.org/app"
	// requested makes an object look again now; nothing else does within the ten minutes of its interval.
	requested = "reconcile.fluxcd.io/requestedAt="
)

// app is a version of the component that most tests deliver. Every file of it tells the version.
func app(version string) ocmtest.Component {
	return ocmtest.Component{Name: component, Version: version, Resources: []ocmtest.Resource{
		files("manifests", "configmap.yaml", configMap("app", version)),
		config("config", `
localization:
- {resource: {name: image}, file: configmap.yaml, image: data.image}
configuration:
  defaults: {message: default, rules: "`+version+`"}
  schema: {type: object, additionalProperties: false, properties: {message: {type: string}, rules: {type: string}}}
  rules:
  - {value: (( message )), file: configmap.yaml, path: data.message}
  - {value: (( rules )), file: configmap.yaml, path: data.rules}
`),
		{Name: "image", Image: "ghcr.io/acme/app:" + strings.ReplaceAll(version, "+", "-")},
	}}
}

func configMap(name, version string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  version: \"" + version + "\"\n"
}

// files is a resource of files, given by names and contents.
func files(resource string, namesAndContents ...string) ocmtest.Resource {
	var entries []ocmtest.File
	for i := 0; i < len(namesAndContents); i += 2 {
		entries = append(entries, ocmtest.File{Name: namesAndContents[i], Content: []byte(namesAndContents[i+1])})
	}
	archive, err := ocmtest.Tar(entries...)
	if err != nil {
		panic(err) // an archive in memory
	}
	return ocmtest.Resource{Name: resource, Type: "directory", MediaType: "application/x-tar", Content: archive}
}

// config is a resource with rules.
func config(name, rules string) ocmtest.Resource {
	return ocmtest.Resource{Name: name, Type: "PlainText", MediaType: "application/yaml", Content: []byte(
		"apiVersion: config.ocm.software/v1alpha1\nkind: ConfigData\n" + strings.TrimLeft(rules, "\n"))}
}

// publish publishes components.
func publish(t *testing.T, registry *ocmtest.Server, all ...ocmtest.Component) {
	t.Helper()
	for _, c := range all {
		if _, err := c.Publish(t.Context(), registry.URL+"/acme", ocm.Options{}); err != nil {
			t.Fatal(err)
		}
	}
}

// object is the manifest of an object of ours, with an interval that no test waits for. Each line of its spec is given.
func object(kind, name string, spec ...string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\nspec:\n  interval: 10m0s\n  %s\n---\n", group, kind, name, strings.Join(spec, "\n  "))
}

// follow is a ComponentVersion called after the last part of the component's name.
func follow(name, url string, more ...string) string {
	return object("ComponentVersion", name[strings.LastIndex(name, "/")+1:],
		append([]string{"component: " + name, `version: {semver: ">=0.0.0"}`, "repository: {url: " + url + "/acme}"}, more...)...)
}

// take is a Resource of the ComponentVersion app.
func take(name, resourceRef string) string {
	return object("Resource", name, "sourceRef: {name: app, resourceRef: "+resourceRef+"}")
}

// change is a Localization or a Configuration by the rules of a resource of the ComponentVersion app.
func change(kind, name, source, rules string, more ...string) string {
	return object(kind, name, append([]string{
		"sourceRef: " + source, "configRef: {kind: ComponentVersion, name: app, resourceRef: {name: " + rules + "}}",
	}, more...)...)
}

// deploy is a FluxDeployer that makes an OCIRepository only, or with a template more.
func deploy(name, source string, more ...string) string {
	return object("FluxDeployer", name, append([]string{"sourceRef: " + source}, more...)...)
}

// kustomize is the line of a FluxDeployer that applies what it deploys.
const kustomize = "kustomizationTemplate: {path: ./, prune: true, targetNamespace: ${NAMESPACE}}"

// chain is the whole pipeline, with values as they are written in a spec.
func chain(url, values string) string {
	return follow(component, url) + take("app", "{name: manifests}") +
		change("Localization", "app", "{kind: Resource, name: app}", "config") +
		change("Configuration", "app", "{kind: Localization, name: app}", "config", values) +
		deploy("app", "{kind: Configuration, name: app}", kustomize)
}

// all waits until objects, given as Kind/name, are ready.
func all(e *e2etest.Env, objects ...string) {
	for _, o := range objects {
		kind, name, _ := strings.Cut(o, "/")
		e.Wait(kind, name, e2etest.Ready)
	}
}

// text returns a text field.
func text(obj *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(obj.Object, path...)
	return value
}

// list returns the objects of a kind in the namespace of the test.
func list(t *testing.T, e *e2etest.Env, kind string) []unstructured.Unstructured {
	t.Helper()
	found := &unstructured.UnstructuredList{}
	gvk := e2etest.GVK(kind)
	gvk.Kind += "List"
	found.SetGroupVersionKind(gvk)
	if err := e.Client.List(t.Context(), found, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	return found.Items
}
