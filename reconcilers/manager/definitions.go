package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// ErrForeignDefinition is matched when another project defines a kind of ours, so that this operator can't run.
var ErrForeignDefinition = errors.New("see docs/guides/migration.md")

// The controllers that came after ocm-controller use its group for kinds of their own. One of them has the name of a kind
// of ours, and another meaning.
const (
	resourceDefinition = "resources.delivery.ocm.software"
	// ourField is in the spec of every Resource of ocm-controller and of ours, theirField in that of those others.
	ourField, theirField = "sourceRef", "componentRef"
	// definitionsTimeout bounds the look at them. The process is started again if it fails, with the reason in the log.
	definitionsTimeout = 30 * time.Second
)

// theirDefinitions are what those controllers define besides.
var theirDefinitions = []string{
	"components.delivery.ocm.software", "deployers.delivery.ocm.software", "replications.delivery.ocm.software", "repositories.delivery.ocm.software",
}

// +kubebuilder:rbac:roleName=operator,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=resources.delivery.ocm.software;components.delivery.ocm.software;deployers.delivery.ocm.software;replications.delivery.ocm.software;repositories.delivery.ocm.software,verbs=get

// CheckDefinitions refuses a cluster in which Resource is a kind of somebody else: its objects would be read as ours, and ours be
// refused by the API server field by field. That there is no definition yet is fine, and so is one that can't be read.
func CheckDefinitions(ctx context.Context, live client.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, definitionsTimeout)
	defer cancel()
	crd, err := definition(ctx, live, resourceDefinition)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err):
		ctrl.Log.WithName("setup").Info("Can't look whether another project defines the kind Resource", "cause", err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("look who defines the kind Resource: get CustomResourceDefinition %s: %w", resourceDefinition, err)
	}
	var what string
	switch spec, served := specOf(crd); {
	case !served:
		what = "does not serve version " + v1alpha1.GroupVersion.Version
	case has(spec, theirField) && !has(spec, ourField):
		what = "has spec." + theirField + " in place of spec." + ourField
	default:
		return nil
	}
	return fmt.Errorf("the kind Resource of %s in this cluster is that of the controllers which came after ocm-controller, not of this operator: "+
		"CustomResourceDefinition %s%s %s%s. A cluster has one definition of a kind, so both can't run in it. "+
		"Run this operator in another cluster; or uninstall those controllers, delete that definition, with which all its Resources go, "+
		"and install the definitions of this operator: %w",
		v1alpha1.GroupVersion.Group, resourceDefinition, installer(crd), what, besides(ctx, live), ErrForeignDefinition)
}

func definition(ctx context.Context, live client.Reader, name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err := live.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	return crd, runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, crd)
}

// specOf returns the schema of the spec in the version that we use, and whether it is served.
func specOf(crd *apiextensionsv1.CustomResourceDefinition) (spec apiextensionsv1.JSONSchemaProps, served bool) {
	for _, version := range crd.Spec.Versions {
		if version.Name != v1alpha1.GroupVersion.Version || !version.Served {
			continue
		}
		if version.Schema != nil && version.Schema.OpenAPIV3Schema != nil {
			spec = version.Schema.OpenAPIV3Schema.Properties["spec"]
		}
		return spec, true
	}
	return spec, false
}

func has(schema apiextensionsv1.JSONSchemaProps, field string) bool {
	_, ok := schema.Properties[field]
	return ok
}

// installer says which Helm release an object belongs to, if any.
func installer(obj client.Object) string {
	name, namespace := obj.GetAnnotations()["meta.helm.sh/release-name"], obj.GetAnnotations()["meta.helm.sh/release-namespace"]
	if name == "" {
		return ""
	}
	return fmt.Sprintf(", of Helm release %s in namespace %s,", name, namespace)
}

// besides says what else of those controllers is there.
func besides(ctx context.Context, live client.Reader) string {
	var found []string
	for _, name := range theirDefinitions {
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		if err := live.Get(ctx, client.ObjectKey{Name: name}, crd); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return ", and there are " + strings.Join(found, ", ")
}
