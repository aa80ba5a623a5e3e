package fluxdeployer_test

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestAdoptionGoesOnAfterAFault lets the write fail that follows the change of hands. What has changed hands is still known to
// be the deployer's.
func TestAdoptionGoesOnAfterAFault(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*unstructured.Unstructured){
		"handed over": func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{"delivery.ocm.software/adopt": "true"})
			u.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: "theirs"}})
		},
		"of an earlier deployer": func(u *unstructured.Unstructured) {
			u.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.FluxDeployerKind, Name: "app", UID: "old"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			theirs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"path": "./theirs"}}}
			theirs.SetGroupVersionKind(kustomization)
			theirs.SetNamespace(reconcilertest.Namespace)
			theirs.SetName("app")
			change(theirs)
			s.Create(theirs)
			s.Refuse("apply Kustomization", errors.New("server is busy"))
			d := s.deploy(kustomize)
			s.Refuse("apply Kustomization", nil)
			s.Reconcile(d)
			if got := reconcilertest.Conditions(d)["Ready"]; got != "True Succeeded" {
				t.Fatalf("Ready is %q: %s", got, reconcilertest.Message(d, "Ready"))
			}
			found := s.flux(kustomization)
			if owners := found.GetOwnerReferences(); len(owners) != 1 || owners[0].UID != d.UID {
				t.Errorf("owners are %v, want the deployer alone", owners)
			}
			if path, _, _ := unstructured.NestedString(found.Object, "spec", "path"); path != "./" {
				t.Errorf("path is %q, want that of the template", path)
			}
		})
	}
}
