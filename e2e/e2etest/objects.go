package e2etest

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

const (
	// fieldOwner is who the tests apply as.
	fieldOwner = client.FieldOwner("e2etest")
	// clearTimeout bounds the deletion of what is left of a test.
	clearTimeout = 30 * time.Second
)

// GVK returns the group and version of a kind: those of core/v1, apps/v1 and Flux that the tests deal with, and else of
// the operator.
func GVK(kind string) schema.GroupVersionKind {
	switch kind {
	case "ConfigMap", "Secret", "Service", "ServiceAccount", "Namespace", "Event":
		return schema.GroupVersionKind{Version: "v1", Kind: kind}
	case "Deployment":
		return schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: kind}
	case "Kustomization":
		return schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: kind}
	case "HelmRelease":
		return schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: kind}
	case "OCIRepository", "GitRepository", "ExternalArtifact":
		return schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: kind}
	}
	return v1alpha1.GroupVersion.WithKind(kind)
}

// Apply applies YAML documents in the namespace of the test, after replacing placeholders as strings.NewReplacer does.
// ${NAMESPACE} is known.
func (e *Env) Apply(text string, placeholders ...string) {
	e.tb.Helper()
	if err := e.apply(e.tb.Context(), text, placeholders...); err != nil {
		e.tb.Fatalf("apply: %v", err)
	}
}

// ApplyError applies as Apply does and returns why the API server refused it.
func (e *Env) ApplyError(text string, placeholders ...string) error {
	return e.apply(e.tb.Context(), text, placeholders...)
}

func (e *Env) apply(ctx context.Context, text string, placeholders ...string) error {
	text = strings.NewReplacer(append([]string{"${NAMESPACE}", e.Namespace}, placeholders...)...).Replace(text)
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(obj.Object) == 0 {
			continue
		}
		if obj.GetNamespace() == "" && obj.GetKind() != "Namespace" {
			obj.SetNamespace(e.Namespace)
		}
		if err := e.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj), fieldOwner, client.ForceOwnership); err != nil {
			return err
		}
	}
}

// Get returns an object of the namespace of the test. It fails the test when there is none.
func (e *Env) Get(kind, name string) *unstructured.Unstructured {
	e.tb.Helper()
	obj, err := e.Lookup(kind, name)
	if err != nil {
		e.tb.Fatalf("get %s %s: %v", kind, name, err)
	}
	return obj
}

// Lookup returns an object of the namespace of the test, or why there is none.
func (e *Env) Lookup(kind, name string) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(GVK(kind))
	err := e.Client.Get(e.tb.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, obj)
	return obj, err
}

// Delete deletes an object of the namespace of the test.
func (e *Env) Delete(kind, name string) {
	e.tb.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(GVK(kind))
	obj.SetNamespace(e.Namespace)
	obj.SetName(name)
	if err := e.Client.Delete(e.tb.Context(), obj); err != nil {
		e.tb.Fatalf("delete %s %s: %v", kind, name, err)
	}
}

// List returns the objects of a kind in a namespace.
func (e *Env) List(ctx context.Context, namespace, kind string) (*unstructured.UnstructuredList, error) {
	list := &unstructured.UnstructuredList{}
	gvk := GVK(kind)
	gvk.Kind += "List"
	list.SetGroupVersionKind(gvk)
	return list, e.Client.List(ctx, list, client.InNamespace(namespace))
}

// clear deletes what is left of some kinds in the namespace of the test.
func (e *Env) clear(kinds []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.tb.Context()), clearTimeout)
	defer cancel()
	for _, kind := range kinds {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(GVK(kind))
		if err := e.Client.DeleteAllOf(ctx, obj, client.InNamespace(e.Namespace)); err != nil {
			e.tb.Errorf("delete what is left of kind %s: %v", kind, err)
		}
	}
}
