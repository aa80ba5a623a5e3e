package fluxdeployer_test

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// inTheWay returns an object of Flux of the deployer's name, as somebody else makes it.
func (s *server) inTheWay(gvk schema.GroupVersionKind, spec map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(gvk)
	obj.SetNamespace(s.namespace)
	obj.SetName("app")
	return obj
}

func theirKustomization(s *server) *unstructured.Unstructured {
	return s.inTheWay(kustomization, map[string]any{
		"interval": "1h", "prune": false, "path": "./theirs", "timeout": "2m", "sourceRef": map[string]any{"kind": "OCIRepository", "name": "theirs"},
	})
}

// isOurs tells whether an object belongs to the deployer alone, and says what the template says and nothing else.
func (s *server) isOurs() bool {
	found := s.flux(kustomization)
	if found == nil || len(found.GetOwnerReferences()) != 1 || found.GetOwnerReferences()[0].UID != s.deployer.UID {
		return false
	}
	_, timeout, _ := unstructured.NestedString(found.Object, "spec", "timeout")
	return s.spec("path", "./one")() && !timeout
}

// adoptsFromOlderController replaces the older controller under FluxDeployers that stay: their objects are ours from the
// first day on, and have no field that the template doesn't.
func adoptsFromOlderController(s *server) {
	s.deployer.Spec.Suspend = true
	s.create(s.deployer)
	repository := s.inTheWay(ociRepository, map[string]any{
		"interval": "1h", "url": "oci://older.example.com/sha-1", "ref": map[string]any{"tag": "1.0.0"}, "certSecretRef": map[string]any{"name": "ocm-registry-tls-certs"},
	})
	applier := theirKustomization(s)
	for _, obj := range []*unstructured.Unstructured{repository, applier} {
		obj.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.FluxDeployerKind, Name: "app", UID: s.deployer.UID,
		}})
		if err := s.Create(s.t.Context(), obj, client.FieldOwner("manager")); err != nil {
			s.t.Fatal(err)
		}
	}
	// A user has held it back; that is none of the template, and stays.
	if err := s.Patch(s.t.Context(), applier, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`)), client.FieldOwner("kubectl-edit")); err != nil {
		s.t.Fatal(err)
	}
	s.change(s.deployer, func() { s.deployer.Spec.Suspend = false })
	s.eventually("the objects are adopted", s.says("Ready", "True Succeeded"))
	s.eventually("fields of the older controller are gone", s.isOurs)
	if _, tag, _ := unstructured.NestedString(s.flux(ociRepository).Object, "spec", "ref", "tag"); tag {
		s.t.Errorf("OCIRepository still has the tag of the older controller: %v", s.flux(ociRepository).Object["spec"])
	}
	if suspended, _, _ := unstructured.NestedBool(s.flux(kustomization).Object, "spec", "suspend"); !suspended {
		s.t.Error("what a user has set was taken back")
	}
}

// adoptsOrphans makes a deployer anew, whose objects were kept over the deletion of the old one.
func adoptsOrphans(s *server) {
	s.create(s.deployer)
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))
	before := map[schema.GroupVersionKind]types.UID{}
	kept := []schema.GroupVersionKind{ociRepository, kustomization, {Version: "v1", Kind: "Secret"}}
	if err := s.Delete(s.t.Context(), s.deployer); err != nil {
		s.t.Fatal(err)
	}
	for _, gvk := range kept {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(gvk)
		key := client.ObjectKey{Namespace: s.namespace, Name: "app"}
		if gvk.Kind == "Secret" {
			key.Name = "app-registry-pull"
		}
		if err := s.Get(s.t.Context(), key, obj); err != nil {
			s.t.Fatal(err)
		}
		before[gvk] = obj.GetUID()
		// What the garbage collector does for --cascade=orphan.
		if err := s.Patch(s.t.Context(), obj, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`))); err != nil {
			s.t.Fatal(err)
		}
	}
	s.deployer = s.newDeployer(template(`{"prune":true,"path":"./one","interval":"1h"}`))
	s.create(s.deployer)
	s.eventually("the new deployer is ready", s.says("Ready", "True Succeeded"))
	s.eventually("the objects are the new deployer's", s.isOurs)
	s.eventually("a field that is not in the new template is gone", s.spec("targetNamespace", ""))
	for _, gvk := range kept[:2] {
		if s.flux(gvk).GetUID() != before[gvk] {
			s.t.Errorf("%s was made again", gvk.Kind)
		}
	}
}

// takesWhatIsHandedOver meets objects of others, which stay as they are until their owners hand them over.
func takesWhatIsHandedOver(s *server) {
	theirs := theirKustomization(s)
	theirs.SetLabels(map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system", "team": "a"})
	theirs.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: "11111111-1111-1111-1111-111111111111"}})
	if err := s.Create(s.t.Context(), theirs, client.FieldOwner("kustomize-controller")); err != nil {
		s.t.Fatal(err)
	}
	s.create(s.deployer)
	const reason = v1alpha1.CreateOrUpdateKustomizationFailedReason
	s.eventually("the object is refused", s.says("Stalled", "True "+reason))
	message := reconcilertest.Message(s.deployer, "Ready")
	for _, part := range []string{"kept by Kustomization flux-system/apps", `delivery.ocm.software/adopt: "true"`, "Kustomization " + s.namespace + "/app"} {
		if !strings.Contains(message, part) {
			s.t.Errorf("message %q lacks %q", message, part)
		}
	}
	if !s.spec("path", "./theirs")() {
		s.t.Error("it was changed")
	}
	s.change(theirs, func() { theirs.SetAnnotations(map[string]string{"delivery.ocm.software/adopt": "true", "note": "x"}) })
	s.eventually("what is handed over is taken", s.says("Ready", "True Succeeded"))
	s.eventually("it is the deployer's alone", s.isOurs)
	found := s.flux(kustomization)
	if labels := found.GetLabels(); len(labels) != 1 || labels["team"] != "a" {
		s.t.Errorf("labels are %v, want those by which its former owner would delete it gone", labels)
	}
	if annotations := found.GetAnnotations(); annotations["delivery.ocm.software/adopt"] != "" || annotations["note"] != "x" {
		s.t.Errorf("annotations are %v, want the one that has served gone", annotations)
	}
	if slices.ContainsFunc(found.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == "kustomize-controller" && strings.Contains(e.FieldsV1.GetRawString(), `"f:spec"`)
	}) {
		s.t.Errorf("the former owner still owns fields of the spec: %v", found.GetManagedFields())
	}
}

// losesRace gives the name of a deployer's Kustomization to another deployer's object, and that of its OCIRepository to a
// user's, before it has any.
func losesRace(s *server) {
	other := s.newDeployer(nil)
	other.Name = "web"
	s.create(other)
	theirs := theirKustomization(s)
	theirs.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.FluxDeployerKind, Name: "web", UID: other.UID}})
	s.create(theirs, s.inTheWay(ociRepository, map[string]any{"interval": "1h", "url": "oci://theirs.example.com/x"}), s.deployer)
	s.eventually("the OCIRepository is refused", s.says("Stalled", "True "+v1alpha1.CreateOrUpdateOCIRepositoryFailedReason))
	if err := s.Delete(s.t.Context(), s.flux(ociRepository)); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the name is free, and the next object refused", s.says("Stalled", "True "+v1alpha1.CreateOrUpdateKustomizationFailedReason))
	if !s.spec("path", "./theirs")() {
		s.t.Error("an object of another deployer was changed")
	}
	if err := s.Delete(s.t.Context(), s.flux(kustomization)); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the deployer has its name", s.says("Ready", "True Succeeded"))
	s.eventually("its objects are its own", s.isOurs)
}
