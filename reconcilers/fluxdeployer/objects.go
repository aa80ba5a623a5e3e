package fluxdeployer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	// appliedAnnotation is on what was applied: the digest of what was wanted. A field that left the template is found by
	// it, one that somebody changed by comparison.
	appliedAnnotation = "delivery.ocm.software/applied-digest"
	// fieldOwner owns what is applied.
	fieldOwner = client.FieldOwner(v1alpha1.ControllerName)
)

// applyObject applies an object, if it isn't there already as it is wanted, and tells whether it did.
func (d *deployer) applyObject(ctx context.Context, owner *v1alpha1.FluxDeployer, want *unstructured.Unstructured) (bool, error) {
	gvk := want.GroupVersionKind()
	sum, err := digestOf(want.Object["spec"])
	if err != nil {
		return false, err
	}
	want.SetAnnotations(map[string]string{appliedAnnotation: sum})
	want.SetOwnerReferences([]metav1.OwnerReference{ownerReference(owner)})
	found, err := d.get(ctx, gvk, client.ObjectKeyFromObject(want))
	if err != nil {
		return false, err
	}
	if found != nil {
		if err := mayApply(owner, found); err != nil {
			return false, err
		}
		if inPlace(owner, found, want, sum) {
			return false, nil
		}
	}
	if err := d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want.DeepCopy()), fieldOwner, client.ForceOwnership); err != nil {
		return false, fmt.Errorf("apply %s %s/%s: %w", gvk.Kind, want.GetNamespace(), want.GetName(), err)
	}
	return true, nil
}

// inPlace tells whether what was found is what was applied, and nobody changed it since.
func inPlace(owner *v1alpha1.FluxDeployer, found, want *unstructured.Unstructured, sum string) bool {
	return found.GetDeletionTimestamp().IsZero() && found.GetAnnotations()[appliedAnnotation] == sum &&
		ownedBy(owner, found) && contains(found.Object["spec"], want.Object["spec"])
}

// deleteObject deletes an object of the deployer's name, if it is the deployer's.
func (d *deployer) deleteObject(ctx context.Context, owner *v1alpha1.FluxDeployer, gvk schema.GroupVersionKind) error {
	if !d.foreign.Served(gvk) {
		return nil // nothing of the kind can be left
	}
	found, err := d.get(ctx, gvk, client.ObjectKeyFromObject(owner))
	if err != nil || found == nil || !ownedBy(owner, found) {
		return err
	}
	if err := client.IgnoreNotFound(d.client.Delete(ctx, found)); err != nil {
		return fmt.Errorf("delete %s %s/%s: %w", gvk.Kind, found.GetNamespace(), found.GetName(), err)
	}
	return nil
}

// get reads an object from the cache; nil means that there is none.
func (d *deployer) get(ctx context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(gvk)
	err := d.cache.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // documented: absence is no error
	}
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", gvk.Kind, key, err)
	}
	return found, nil
}

// mayApply refuses to take an object over that somebody else made: it would be changed now and deleted with the deployer.
// One that an earlier FluxDeployer of the name left behind is taken over.
func mayApply(owner *v1alpha1.FluxDeployer, found *unstructured.Unstructured) error {
	for _, ref := range found.GetOwnerReferences() {
		if ref.UID == owner.GetUID() || (ref.Kind == v1alpha1.FluxDeployerKind && ref.Name == owner.GetName()) {
			return nil
		}
	}
	return lifecycle.Stall(applyReason(found.GroupVersionKind()), fmt.Errorf(
		"%s %s/%s exists and was not made for this FluxDeployer: rename the FluxDeployer, or delete that object",
		found.GetKind(), found.GetNamespace(), found.GetName()))
}

func ownedBy(owner *v1alpha1.FluxDeployer, obj client.Object) bool {
	for _, ref := range obj.GetOwnerReferences() {
		if ref.UID == owner.GetUID() {
			return true
		}
	}
	return false
}

func ownerReference(owner *v1alpha1.FluxDeployer) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       v1alpha1.FluxDeployerKind,
		Name:       owner.GetName(),
		UID:        owner.GetUID(),
	}
}

// contains tells whether every field of want is in found with the same value. What the server or others added beside them
// is none of ours.
func contains(found, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		f, ok := found.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range w {
			if !contains(f[key], value) {
				return false
			}
		}
		return true
	case []any:
		f, ok := found.([]any)
		if !ok || len(f) != len(w) {
			return false
		}
		for i := range w {
			if !contains(f[i], w[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(plainNumber(found), plainNumber(want))
}

// plainNumber makes the numbers of the two decoders comparable.
func plainNumber(v any) any {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v
}

func digestOf(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", errors.New("the template can't be written as JSON")
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}
