package main

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const namespace = "default"

// row is one object of the table.
type row struct {
	kind, name            string
	gvk                   schema.GroupVersionKind
	ready, version, about string
	versionPath           []string
}

const rowFormat = "%-17s %-14s %-6s %-8s %s"

func header() string { return fmt.Sprintf(rowFormat, "KIND", "NAME", "READY", "VERSION", "STATUS") }

func (r row) text() string {
	return strings.TrimRight(fmt.Sprintf(rowFormat, r.kind, r.name, r.ready, r.version, r.about), " ")
}

// settled tells whether the object is ready and, if it shows a version, at that version.
func (r row) settled(version string) bool {
	return r.ready == "True" && (r.versionPath == nil || r.version == version)
}

// pipeline are the objects of the table, in the order in which a version passes them.
func pipeline() []row {
	delivery := func(kind, name string, version ...string) row {
		return row{kind: kind, name: name, versionPath: version, gvk: schema.GroupVersionKind{Group: "delivery.ocm.software", Version: "v1alpha1", Kind: kind}}
	}
	kustomization := func(name string) row {
		return row{kind: "Kustomization", name: name, gvk: schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}}
	}
	return []row{
		delivery("ComponentVersion", "podinfo", "status", "reconciledVersion"),
		delivery("Resource", "manifests", "status", "lastAppliedComponentVersion"),
		delivery("Localization", "manifests", "status", "latestSourceVersion"),
		delivery("Configuration", "configuration", "status", "latestSourceVersion"),
		delivery("FluxDeployer", "podinfo"),
		kustomization("podinfo"),
		delivery("Resource", "backend", "status", "lastAppliedComponentVersion"),
		delivery("FluxDeployer", "backend"),
		kustomization("backend"),
	}
}

// refresh reads the object. One that does not exist yet has no status.
func (r row) refresh(ctx context.Context, c client.Reader) (row, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(r.gvk)
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: r.name}, obj)
	if client.IgnoreNotFound(err) != nil {
		return r, fmt.Errorf("get %s %s: %w", r.kind, r.name, err)
	}
	r.ready, r.version, r.about = "-", "", ""
	if err != nil {
		return r, nil //nolint:nilerr // not there yet
	}
	if r.versionPath != nil {
		r.version, _, _ = unstructured.NestedString(obj.Object, r.versionPath...)
	}
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != "Ready" {
			continue
		}
		r.ready, _, _ = unstructured.NestedString(condition, "status")
		about, _, _ := unstructured.NestedString(condition, "message")
		r.about, _, _ = strings.Cut(shortened(about), "\n")
	}
	return r, nil
}
