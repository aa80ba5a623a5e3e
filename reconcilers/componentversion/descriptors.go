package componentversion

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

const (
	// manifestAnnotation is on a ComponentDescriptor: the digest of the component's manifest that it shows.
	manifestAnnotation = "delivery.ocm.software/manifest-digest"
	// contentAnnotation is on a ComponentDescriptor: the digest of the spec as it was written, by which a change of it
	// by somebody else is found without asking the repository.
	contentAnnotation = "delivery.ocm.software/content-digest"
	// ownerField indexes ComponentDescriptors by the UIDs of their owners.
	ownerField = ".metadata.ownerReferences.uid"
)

// notCreated leaves out the events of our own writing.
var notCreated = predicate.Funcs{CreateFunc: func(event.CreateEvent) bool { return false }}

func ownerUIDs(obj client.Object) []string {
	var uids []string
	for _, ref := range obj.GetOwnerReferences() {
		uids = append(uids, string(ref.UID))
	}
	return uids
}

// intact tells whether every descriptor that the status names is there as it was written.
func (c *controller) intact(ctx context.Context, cv *v1alpha1.ComponentVersion) (bool, error) {
	pending := []*v1alpha1.Reference{cv.Status.ComponentDescriptor}
	for len(pending) > 0 {
		ref := pending[0]
		pending = pending[1:]
		for i := range ref.References {
			pending = append(pending, &ref.References[i])
		}
		if ref.ComponentDescriptorRef == nil {
			continue
		}
		found := &v1alpha1.ComponentDescriptor{}
		err := c.client.Get(ctx, client.ObjectKey{Namespace: cv.Namespace, Name: ref.ComponentDescriptorRef.Name}, found)
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("get ComponentDescriptor %s: %w", ref.ComponentDescriptorRef.Name, err)
		}
		owned, err := controllerutil.HasOwnerReference(found.GetOwnerReferences(), cv, c.client.Scheme())
		if err != nil {
			return false, err
		}
		if !owned || !shows(found, ref.ManifestDigest) {
			return false, nil
		}
	}
	return true, nil
}

// shows tells whether a descriptor is as it was written for the manifest. One that several component versions share may be
// of another manifest, that of the same version in another repository: if each brought it back to its own, they would wake
// each other for ever.
func shows(found *v1alpha1.ComponentDescriptor, manifest string) bool {
	if found.Annotations[contentAnnotation] != contentDigest(found.Spec) {
		return false
	}
	return found.Annotations[manifestAnnotation] == manifest || len(found.OwnerReferences) > 1
}

// writeDescriptor creates the node's ComponentDescriptor, or brings it back to what the component says. Versions that
// several ComponentVersions use belong to all of them.
func (c *controller) writeDescriptor(ctx context.Context, cv *v1alpha1.ComponentVersion, n *node) error {
	wanted, err := toObject(cv.Namespace, n)
	if err != nil {
		return err
	}
	if err := controllerutil.SetOwnerReference(cv, wanted, c.client.Scheme()); err != nil {
		return err
	}
	found := &v1alpha1.ComponentDescriptor{}
	err = c.client.Get(ctx, client.ObjectKeyFromObject(wanted), found)
	if apierrors.IsNotFound(err) {
		return c.client.Create(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("get ComponentDescriptor %s: %w", wanted.Name, err)
	}
	before := found.DeepCopy()
	found.Spec = wanted.Spec
	metav1.SetMetaDataAnnotation(&found.ObjectMeta, manifestAnnotation, wanted.Annotations[manifestAnnotation])
	metav1.SetMetaDataAnnotation(&found.ObjectMeta, contentAnnotation, wanted.Annotations[contentAnnotation])
	for key, value := range wanted.Labels {
		metav1.SetMetaDataLabel(&found.ObjectMeta, key, value)
	}
	if err := controllerutil.SetOwnerReference(cv, found, c.client.Scheme()); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(before, found) {
		return nil
	}
	// Other owners may be added at the same time, so nobody's may be lost.
	return c.client.Patch(ctx, found, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// pruneDescriptors deletes the descriptors that only this component version used and no longer names, and leaves those
// that others use to them.
func (c *controller) pruneDescriptors(ctx context.Context, cv *v1alpha1.ComponentVersion) error {
	used := map[string]bool{}
	collect(cv.Status.ComponentDescriptor, used)
	owned := &v1alpha1.ComponentDescriptorList{}
	err := c.client.List(ctx, owned, client.InNamespace(cv.Namespace), client.MatchingFields{ownerField: string(cv.UID)})
	if err != nil {
		return fmt.Errorf("list the ComponentDescriptors of %s: %w", cv.Name, err)
	}
	for i := range owned.Items {
		item := &owned.Items[i]
		if used[item.Name] {
			continue
		}
		if err := c.letGo(ctx, cv, item); err != nil {
			return fmt.Errorf("let go of ComponentDescriptor %s: %w", item.Name, err)
		}
	}
	return nil
}

func (c *controller) letGo(ctx context.Context, cv *v1alpha1.ComponentVersion, item *v1alpha1.ComponentDescriptor) error {
	version := item.GetResourceVersion()
	if len(item.GetOwnerReferences()) == 1 {
		preconditions := client.Preconditions{ResourceVersion: &version}
		return client.IgnoreNotFound(c.client.Delete(ctx, item, preconditions))
	}
	before := item.DeepCopy()
	if err := controllerutil.RemoveOwnerReference(cv, item, c.client.Scheme()); err != nil {
		return err
	}
	return c.client.Patch(ctx, item, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func collect(ref *v1alpha1.Reference, names map[string]bool) {
	if ref == nil {
		return
	}
	if ref.ComponentDescriptorRef != nil {
		names[ref.ComponentDescriptorRef.Name] = true
	}
	for i := range ref.References {
		collect(&ref.References[i], names)
	}
}

// toObject returns the ComponentDescriptor of a node.
func toObject(namespace string, n *node) (*v1alpha1.ComponentDescriptor, error) {
	component := n.version.Descriptor().Component
	obj := &v1alpha1.ComponentDescriptor{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: n.objectName(), Labels: labels(component.Labels)},
		Spec:       v1alpha1.ComponentDescriptorSpec{Version: component.Version},
	}
	// The elements have the same JSON form in both models.
	for _, list := range []struct{ from, to any }{
		{component.Resources, &obj.Spec.Resources},
		{component.Sources, &obj.Spec.Sources},
		{component.References, &obj.Spec.References},
	} {
		raw, err := json.Marshal(list.from)
		if err == nil {
			err = json.Unmarshal(raw, list.to)
		}
		if err != nil {
			return nil, fmt.Errorf("convert the descriptor of %s: %w", describe(component.Name, component.Version), err)
		}
	}
	obj.Annotations = map[string]string{
		manifestAnnotation: n.ManifestDigest,
		contentAnnotation:  contentDigest(obj.Spec),
	}
	return obj, nil
}

// contentDigest is the digest of a spec. The API server may write the JSON of free-form fields in another order, so they
// are decoded first.
func contentDigest(spec v1alpha1.ComponentDescriptorSpec) string {
	raw, err := json.Marshal(spec)
	if err != nil {
		return ""
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		return ""
	}
	canonical, err := json.Marshal(plain)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// labels returns the component's labels that are possible as labels of an object: those with a simple value whose name
// and text the API allows.
func labels(all []descriptor.Label) map[string]string {
	out := map[string]string{}
	for _, label := range all {
		value, ok := simple(label.Value)
		if ok && len(validation.IsQualifiedName(label.Name)) == 0 && len(validation.IsValidLabelValue(value)) == 0 {
			out[label.Name] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func simple(raw json.RawMessage) (string, bool) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", false
	}
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}
