package fluxdeployer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// adoptAnnotation is how the owner of an object hands it over to the FluxDeployer of its name.
const adoptAnnotation = "delivery.ocm.software/adopt"

// olderManagers are the names by which the controller before this one wrote: that of its program, and that of its image.
var olderManagers = []string{"manager", v1alpha1.ControllerName}

// ourMarks are what we alone write: on the objects of Flux, and in the two Secrets.
var ourMarks = []string{appliedAnnotation, expiresAnnotation, caKey}

// marksOfOthers are the labels and annotations by which others know what they have applied, and delete it one day.
var marksOfOthers = []string{
	"kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace",
	"helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace",
	"meta.helm.sh/release-name", "meta.helm.sh/release-namespace", "app.kubernetes.io/managed-by",
	"argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id",
}

// adopt makes an object the deployer's that it has not applied yet, and tells whether it was somebody else's: one that an
// earlier controller made for this deployer, that an earlier deployer of the name left behind, or that was handed over.
// Any other is refused: it would be changed now and deleted with the deployer.
func (d *deployer) adopt(ctx context.Context, owner *v1alpha1.FluxDeployer, found *unstructured.Unstructured) (bool, error) {
	// The cache keeps nothing about who owns which field.
	current, err := read(ctx, d.live, found.GroupVersionKind(), client.ObjectKeyFromObject(found))
	if err != nil {
		return false, err
	}
	if current == nil || current.GetUID() != found.GetUID() {
		return false, apierrors.NewConflict(schema.GroupResource{Resource: found.GetKind()}, found.GetName(), errTerminating)
	}
	handedOver := current.GetAnnotations()[adoptAnnotation] == "true"
	if !handedOver && !ownedBy(owner, current) && (keeper(current) != "" || !formerChild(owner, current)) {
		return false, refuse(current)
	}
	adopted := !ownedBy(owner, current)
	patch, err := handover(owner, current, handedOver && adopted)
	if err != nil || patch == nil {
		return adopted, err
	}
	if err := d.client.Patch(ctx, current, client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return false, fmt.Errorf("take over %s: %w", describe(current), err)
	}
	return adopted, nil
}

// formerChild tells whether an object was made for a FluxDeployer of this name that exists no more: its owner says so, or,
// where its owners were removed to keep it, our marks.
func formerChild(owner *v1alpha1.FluxDeployer, obj client.Object) bool {
	if len(withoutFormer(owner, obj)) < len(obj.GetOwnerReferences()) {
		return true
	}
	return len(obj.GetOwnerReferences()) == 0 && slices.ContainsFunc(obj.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == v1alpha1.ControllerName && e.Subresource == "" && slices.ContainsFunc(ourMarks, func(mark string) bool {
			return e.FieldsV1 != nil && strings.Contains(e.FieldsV1.GetRawString(), `"f:`+mark+`"`)
		})
	})
}

// withoutFormer returns the owners of an object that are neither the deployer nor an earlier one of its name.
func withoutFormer(owner *v1alpha1.FluxDeployer, obj client.Object) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(ref metav1.OwnerReference) bool {
		group, _ := schema.ParseGroupVersion(ref.APIVersion)
		return group.Group == v1alpha1.GroupVersion.Group && ref.Kind == v1alpha1.FluxDeployerKind && ref.Name == owner.GetName()
	})
}

// keeper names who else keeps an object; it is empty when nobody is known to.
func keeper(obj *unstructured.Unstructured) string {
	if ref := metav1.GetControllerOf(obj); ref != nil {
		return ref.Kind + " " + ref.Name
	}
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	switch {
	case labels["kustomize.toolkit.fluxcd.io/name"] != "":
		return "Kustomization " + labels["kustomize.toolkit.fluxcd.io/namespace"] + "/" + labels["kustomize.toolkit.fluxcd.io/name"]
	case labels["helm.toolkit.fluxcd.io/name"] != "":
		return "HelmRelease " + labels["helm.toolkit.fluxcd.io/namespace"] + "/" + labels["helm.toolkit.fluxcd.io/name"]
	case annotations["meta.helm.sh/release-name"] != "":
		return "Helm release " + annotations["meta.helm.sh/release-namespace"] + "/" + annotations["meta.helm.sh/release-name"]
	case annotations["argocd.argoproj.io/tracking-id"] != "":
		return "Argo CD application " + annotations["argocd.argoproj.io/tracking-id"]
	}
	return ""
}

func refuse(obj *unstructured.Unstructured) error {
	kept := ""
	if by := keeper(obj); by != "" {
		kept = ", but is kept by " + by
	}
	return lifecycle.Stall(applyReason(obj.GroupVersionKind()), fmt.Errorf(
		"%s exists and was not made for this FluxDeployer%s: rename the FluxDeployer, delete that object, or hand it over with the annotation %s: \"true\"",
		describe(obj), kept, adoptAnnotation))
}

// handover returns the patch by which an object changes hands, nil when there is nothing to do: the fields of its spec that
// were written by those before become ours, so that those which are not in the template go. It belongs to the deployer from
// then on: should what follows fail, its template be refused or we be stopped, nothing else would tell whose it is.
func handover(owner *v1alpha1.FluxDeployer, obj *unstructured.Unstructured, wholly bool) ([]byte, error) {
	former := formerOwners(owner, obj)
	fields, moved, err := moveSpec(obj.GetManagedFields(), obj.GetAPIVersion(), func(e metav1.ManagedFieldsEntry) bool {
		return wholly || slices.Contains(olderManagers, e.Manager) || ownsReference(e, former)
	})
	if err != nil {
		return nil, fmt.Errorf("read who owns the fields of %s: %w", describe(obj), err)
	}
	metadata := map[string]any{"uid": obj.GetUID(), "resourceVersion": obj.GetResourceVersion()}
	if moved {
		metadata["managedFields"] = fields
	}
	if wholly {
		metadata["ownerReferences"] = []metav1.OwnerReference{ownerReference(owner)}
		metadata["labels"] = without(obj.GetLabels())
		metadata["annotations"] = without(obj.GetAnnotations(), adoptAnnotation)
	} else if others := withoutFormer(owner, obj); slices.ContainsFunc(former, func(uid string) bool { return uid != string(owner.GetUID()) }) {
		metadata["ownerReferences"] = append(others, ownerReference(owner))
	}
	if !moved && !wholly && metadata["ownerReferences"] == nil {
		return nil, nil
	}
	return json.Marshal(map[string]any{"metadata": metadata})
}

// formerOwners are the identities of the deployers of this name that an object says to belong to.
func formerOwners(owner *v1alpha1.FluxDeployer, obj *unstructured.Unstructured) []string {
	others := withoutFormer(owner, obj)
	var uids []string
	for _, ref := range obj.GetOwnerReferences() {
		if !slices.ContainsFunc(others, func(other metav1.OwnerReference) bool { return other.UID == ref.UID }) {
			uids = append(uids, string(ref.UID))
		}
	}
	return uids
}

// without returns the deletion of the marks of others, as a merge patch has it.
func without(marks map[string]string, more ...string) map[string]any {
	gone := map[string]any{}
	for _, mark := range append(more, marksOfOthers...) {
		if _, ok := marks[mark]; ok {
			gone[mark] = nil
		}
	}
	return gone
}

// ownsReference tells whether a manager of fields has written one of the owners: that was the controller of the deployer,
// whatever its program is called.
func ownsReference(e metav1.ManagedFieldsEntry, owners []string) bool {
	return e.FieldsV1 != nil && slices.ContainsFunc(owners, func(uid string) bool {
		return strings.Contains(e.FieldsV1.GetRawString(), `{\"uid\":\"`+uid+`\"}`)
	})
}

// moveSpec gives the fields of the spec that some managers own to us, as if we had applied them, and tells whether there
// were any. What those managers own besides stays theirs.
func moveSpec(entries []metav1.ManagedFieldsEntry, apiVersion string, from func(metav1.ManagedFieldsEntry) bool) ([]metav1.ManagedFieldsEntry, bool, error) {
	ours := metav1.ManagedFieldsEntry{
		Manager: v1alpha1.ControllerName, Operation: metav1.ManagedFieldsOperationApply, APIVersion: apiVersion, FieldsType: "FieldsV1",
	}
	fields, moved := map[string]any{}, false
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range entries {
		own := entry.Manager == ours.Manager && entry.Operation == ours.Operation
		if entry.Subresource != "" || entry.FieldsV1 == nil || !own && !from(entry) {
			kept = append(kept, entry)
			continue
		}
		theirs := map[string]any{}
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &theirs); err != nil {
			return nil, false, err
		}
		if own {
			merge(fields, theirs)
			continue
		}
		if spec, ok := theirs["f:spec"]; ok {
			merge(fields, map[string]any{"f:spec": spec})
			delete(theirs, "f:spec")
			moved = true
		}
		if len(theirs) == 0 {
			continue
		}
		raw, err := json.Marshal(theirs)
		if err != nil {
			return nil, false, err
		}
		entry.FieldsV1 = metav1.NewFieldsV1(string(raw))
		kept = append(kept, entry)
	}
	if !moved {
		return entries, false, nil
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, false, err
	}
	ours.FieldsV1 = metav1.NewFieldsV1(string(raw))
	return append(kept, ours), true, nil
}

// merge adds the fields of one set to another.
func merge(into, from map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		theirs, _ := from[key].(map[string]any)
		ours, ok := into[key].(map[string]any)
		if !ok {
			ours = map[string]any{}
			into[key] = ours
		}
		merge(ours, theirs)
	}
}
