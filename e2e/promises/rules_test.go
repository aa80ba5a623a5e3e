package promises_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestB01SchemaIsEnforced(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	source := "{kind: Resource, name: app}"
	e.Apply(follow(component, registry.URL) + take("app", "{name: manifests}") +
		change("Configuration", "unknown-key", source, "config", "values: {mesage: hello}") +
		change("Configuration", "wrong-type", source, "config", "values: {message: {text: hello}}") +
		change("Configuration", "allowed", source, "config", "values: {message: hello}"))
	e.Wait("Configuration", "unknown-key", e2etest.NotReady("InvalidValues", "mesage"))
	e.Wait("Configuration", "wrong-type", e2etest.NotReady("InvalidValues", "/message", "string"))
	all(e, "Configuration/allowed")
	for _, refused := range []string{"unknown-key", "wrong-type"} {
		if name := text(e.Get("Configuration", refused), "status", "snapshotName"); name != "" {
			t.Errorf("values that the schema refuses have made the snapshot %s", name)
		}
	}
}

func TestB02EditingKeepsDocuments(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	const manifests = `# head
kind: First
list: [ {b: 2},   {a: 1} ] # in one line
---

# the one that is changed
kind: Second
z: "last comes first"
data:   {message: old, 'quoted': 'kept'}   # beside
---
kind: Third
text: |+
  kept	

`
	publish(t, registry, ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{
		files("manifests", "all.yaml", manifests, "untouched.yaml", "a:   1 # as it is\n"),
		config("config", "configuration:\n  rules:\n  - {value: (( message )), file: all.yaml, path: data.message, selector: {kind: Second}}\n"),
	}})
	e.Apply(follow(component, registry.URL) + take("app", "{name: manifests}") +
		change("Configuration", "app", "{kind: Resource, name: app}", "config", "values: {message: new}") +
		deploy("app", "{kind: Configuration, name: app}"))
	all(e, "Configuration/app", "FluxDeployer/app")
	want := map[string]string{"all.yaml": strings.Replace(manifests, "old", "new", 1), "untouched.yaml": "a:   1 # as it is\n"}
	if diff := cmp.Diff(want, e.Puller("app").Files()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestB03PathsAreNoPrograms(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	rules := map[string]string{
		"load":     `{value: 1, file: configmap.yaml, path: 'x = load("/etc/hostname") | .data'}`,
		"strenv":   `{value: 1, file: configmap.yaml, path: 'data.x = strenv(PATH)'}`,
		"operator": `{value: 1, file: configmap.yaml, path: 'data | del(.version)'}`,
		"wildcard": `{value: 1, file: configmap.yaml, path: 'data[*]'}`,
		"above":    `{value: 1, file: ../../../etc/hostname, path: data}`,
		"read":     `{value: '(( read("/etc/hostname") ))', file: configmap.yaml, path: data.x}`,
		"env":      `{value: '(( env("PATH") ))', file: configmap.yaml, path: data.x}`,
		"exec":     `{value: '(( exec("id") ))', file: configmap.yaml, path: data.x}`,
	}
	c := ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{files("manifests", "configmap.yaml", configMap("app", "1.0.0"))}}
	var manifests strings.Builder
	manifests.WriteString(follow(component, registry.URL) + take("app", "{name: manifests}"))
	for name, rule := range rules {
		c.Resources = append(c.Resources, config(name, "configuration:\n  rules:\n  - "+rule+"\n"))
		manifests.WriteString(change("Configuration", name, "{kind: Resource, name: app}", name, "values: {}"))
	}
	publish(t, registry, c)
	e.Apply(manifests.String())
	for name := range rules {
		obj := e.Wait("Configuration", name, e2etest.Is("Ready", "False", "ReconcileMutationObjectFailed", "rule 1"))
		t.Log(e2etest.Condition(obj, "Ready"))
	}
	if got := len(list(t, e, "Snapshot")); got != 1 {
		t.Errorf("there are %d snapshots, want that of the Resource alone", got)
	}
}

func TestB12EditedValuesAreApplied(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	values := func(kind, field, message string) string {
		return "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: site}\n" + field + ": {values: 'message: " + message + "'}\n---\n"
	}
	e.Apply(values("ConfigMap", "data", "first") + values("Secret", "stringData", "first") + follow(component, registry.URL) + take("app", "{name: manifests}") +
		change("Configuration", "configmap", "{kind: Resource, name: app}", "config", "valuesFrom: {configMapSource: {sourceRef: {name: site}, key: values}}") +
		change("Configuration", "secret", "{kind: Resource, name: app}", "config", "valuesFrom: {secretSource: {sourceRef: {name: site}, key: values}}") +
		deploy("configmap", "{kind: Configuration, name: configmap}") + deploy("secret", "{kind: Configuration, name: secret}"))
	for _, message := range []string{"first", "second"} {
		e.Apply(values("ConfigMap", "data", message) + values("Secret", "stringData", message))
		for _, name := range []string{"configmap", "secret"} {
			e.Wait("OCIRepository", name)
			e.Eventually("message "+message+" from the "+name, func() error { return contains(e.Puller(name).Files()["configmap.yaml"], "message: "+message) })
		}
	}
}
