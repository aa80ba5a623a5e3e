package fluxdeployer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

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

// errTerminating says that an object has to go before it can be made again.
var errTerminating = errors.New("is being deleted: it is made again as soon as it is gone; if it stays, look at its finalizers")

// applied is what came of applying an object.
type applied struct {
	// object is the object as it is now; nil when it is not known.
	object *unstructured.Unstructured
	// written is set when it was written, and adopted when it was somebody else's before.
	written, adopted bool
}

// applyObject applies an object, if it isn't there already as it is wanted.
func (d *deployer) applyObject(ctx context.Context, owner *v1alpha1.FluxDeployer, want *unstructured.Unstructured) (applied, error) {
	gvk := want.GroupVersionKind()
	sum, err := digestOf(want.Object["spec"])
	if err != nil {
		return applied{}, err
	}
	want.SetAnnotations(map[string]string{appliedAnnotation: sum})
	want.SetOwnerReferences([]metav1.OwnerReference{ownerReference(owner)})
	found, err := d.get(ctx, gvk, client.ObjectKeyFromObject(want))
	switch {
	case err != nil:
		return applied{}, err
	case found == nil:
		// What somebody else makes at the same moment is not overwritten, but met as a conflict.
		return d.write(ctx, want)
	case !found.GetDeletionTimestamp().IsZero():
		return applied{object: found}, nil
	case inPlace(owner, found, want, sum):
		return applied{object: found}, nil
	}
	adopted := false
	if !ownedBy(owner, found) || found.GetAnnotations()[appliedAnnotation] == "" {
		if adopted, err = d.adopt(ctx, owner, found); err != nil {
			return applied{}, err
		}
	}
	want.SetUID(found.GetUID()) // another object of the name is not the one that was looked at
	out, err := d.write(ctx, want, client.ForceOwnership)
	out.adopted = adopted
	return out, err
}

func (d *deployer) write(ctx context.Context, want *unstructured.Unstructured, options ...client.ApplyOption) (applied, error) {
	sent := want.DeepCopy()
	if err := d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(sent), append(options, fieldOwner)...); err != nil {
		return applied{}, refusal(want, fmt.Errorf("apply %s: %w", describe(want), err))
	}
	return applied{object: sent, written: true}, nil
}

// refusal tells a template that the server refuses from a server in trouble.
func refusal(want *unstructured.Unstructured, err error) error {
	switch {
	case strings.Contains(err.Error(), "field not declared in schema"):
		err = fmt.Errorf("the template has a field that %s of this cluster doesn't know: correct it, or upgrade Flux: %w", want.GetKind(), err)
	case !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err):
		return err
	}
	return lifecycle.Fail(applyReason(want.GroupVersionKind()), err)
}

// inPlace tells whether what was found is what was applied, and nobody changed it since.
func inPlace(owner *v1alpha1.FluxDeployer, found, want *unstructured.Unstructured, sum string) bool {
	return found.GetAnnotations()[appliedAnnotation] == sum && ownedBy(owner, found) && contains(found.Object["spec"], want.Object["spec"])
}

// deleteObject deletes an object of the deployer's name, if it is the deployer's. Who holds one back that is being deleted
// is neither waited for nor hurried.
func (d *deployer) deleteObject(ctx context.Context, owner *v1alpha1.FluxDeployer, gvk schema.GroupVersionKind) error {
	found, err := d.get(ctx, gvk, client.ObjectKeyFromObject(owner))
	if err != nil || found == nil || !ownedBy(owner, found) || !found.GetDeletionTimestamp().IsZero() {
		return err
	}
	if err := client.IgnoreNotFound(d.client.Delete(ctx, found, onlyThis(found))); err != nil {
		return fmt.Errorf("delete %s: %w", describe(found), err)
	}
	return nil
}

// onlyThis lets a deletion pass by another object of the same name.
func onlyThis(obj client.Object) client.Preconditions {
	uid := obj.GetUID()
	return client.Preconditions{UID: &uid}
}

// get reads an object from the cache; nil means that there is none.
func (d *deployer) get(ctx context.Context, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	return read(ctx, d.cache, gvk, key)
}

func read(ctx context.Context, from client.Reader, gvk schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(gvk)
	err := from.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // documented: absence is no error
	}
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", gvk.Kind, key, err)
	}
	return found, nil
}

func describe(obj *unstructured.Unstructured) string {
	return obj.GetKind() + " " + obj.GetNamespace() + "/" + obj.GetName()
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
