package reconcilertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// Interval is the interval of the objects made here.
const Interval = 10 * time.Minute

// Create creates objects; those without a namespace get the default one.
func (w *World) Create(objects ...client.Object) {
	w.t.Helper()
	for _, obj := range objects {
		if obj.GetNamespace() == "" {
			obj.SetNamespace(Namespace)
		}
		if err := w.Client.Create(w.t.Context(), obj); err != nil {
			w.t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
		}
	}
}

// Get reads an object again.
func (w *World) Get(obj client.Object) {
	w.t.Helper()
	if err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		w.t.Fatalf("get %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
}

// Has tells whether an object is there.
func (w *World) Has(obj client.Object) bool {
	w.t.Helper()
	err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(obj), obj)
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatalf("get %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
	return err == nil
}

// Change reads an object, lets the function change it and writes it. A changed spec is a new generation.
func (w *World) Change(obj client.Object, change func()) {
	w.t.Helper()
	w.Get(obj)
	change()
	if err := w.Client.Update(w.t.Context(), obj); err != nil {
		w.t.Fatalf("update %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
	w.Writes()
}

// SetStatus reads an object, lets the function change it and writes its status.
func (w *World) SetStatus(obj client.Object, change func()) {
	w.t.Helper()
	w.Get(obj)
	before, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		w.t.Fatalf("%T is no object", obj)
	}
	change()
	if err := w.Client.Status().Patch(w.t.Context(), obj, client.MergeFrom(before)); err != nil {
		w.t.Fatalf("write the status of %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
	w.Writes()
}

// Verified makes a component version ask for a verification, and say that it was verified. How that is found out is not part
// of it.
func (w *World) Verified(cv *v1alpha1.ComponentVersion) {
	w.t.Helper()
	w.Change(cv, func() {
		cv.Spec.Verify = []v1alpha1.Signature{{Name: "dev", PublicKey: &v1alpha1.PublicKey{Value: "YQ=="}}}
	})
	w.SetStatus(cv, func() {
		cv.Status.Verified, cv.Status.ObservedGeneration, cv.Status.SpecDigest = true, cv.Generation, cv.Spec.Digest()
	})
}

// Delete deletes an object.
func (w *World) Delete(obj client.Object) {
	w.t.Helper()
	if err := w.Client.Delete(w.t.Context(), obj); err != nil {
		w.t.Fatalf("delete %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
	}
	w.Writes()
}

// Events returns the events since it was called last, such as "Normal Succeeded Reconciliation finished".
func (w *World) Events() []string {
	events := w.AnnotatedEvents()
	for i, event := range events {
		events[i], _, _ = strings.Cut(event, " map[")
	}
	return events
}

// AnnotatedEvents is like Events, with the annotations behind each event, as in "map[key:value]".
func (w *World) AnnotatedEvents() []string {
	var events []string
	for {
		select {
		case event := <-w.Recorder.Events:
			events = append(events, event)
		default:
			return events
		}
	}
}

// Conditions returns the conditions of an object, as in "Ready": "True Succeeded".
func Conditions(obj interface{ GetConditions() []metav1.Condition }) map[string]string {
	out := map[string]string{}
	for _, c := range obj.GetConditions() {
		out[c.Type] = fmt.Sprintf("%s %s", c.Status, c.Reason)
	}
	return out
}

// Message returns the message of a condition.
func Message(obj interface{ GetConditions() []metav1.Condition }, conditionType string) string {
	for _, c := range obj.GetConditions() {
		if c.Type == conditionType {
			return c.Message
		}
	}
	return ""
}

// Schedule returns the schedule of the objects made here.
func Schedule() v1alpha1.Schedule {
	return v1alpha1.Schedule{Interval: metav1.Duration{Duration: Interval}}
}

// Named returns the metadata of an object in the default namespace.
func Named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: Namespace, Name: name}
}

// ComponentVersion returns a ComponentVersion that follows a component.
func ComponentVersion(name, url, component, constraint string) *v1alpha1.ComponentVersion {
	return &v1alpha1.ComponentVersion{
		ObjectMeta: Named(name),
		Spec: v1alpha1.ComponentVersionSpec{
			Schedule:   Schedule(),
			Component:  component,
			Version:    v1alpha1.Version{Semver: constraint},
			Repository: v1alpha1.Repository{URL: url},
		},
	}
}

// FromComponent refers to a resource of a ComponentVersion.
func FromComponent(component, resource string) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{
		Kind: v1alpha1.ComponentVersionKind, Name: component,
		ResourceRef: &v1alpha1.ResourceReference{Name: resource},
	}
}

// From refers to an object that writes snapshots.
func From(kind, name string) v1alpha1.ObjectReference {
	return v1alpha1.ObjectReference{Kind: kind, Name: name}
}

// Resource returns a Resource that publishes a resource of a ComponentVersion.
func Resource(name, component, resource string) *v1alpha1.Resource {
	return &v1alpha1.Resource{
		ObjectMeta: Named(name),
		Spec:       v1alpha1.ResourceSpec{Schedule: Schedule(), SourceRef: FromComponent(component, resource)},
	}
}

// Publish publishes a component into the repository at a URL and returns the digest of its manifest.
func (w *World) Publish(url string, component ocmtest.Component) digest.Digest {
	w.t.Helper()
	manifest, err := component.Publish(w.t.Context(), url, ocm.Options{})
	if err != nil {
		w.t.Fatalf("publish %s %s: %v", component.Name, component.Version, err)
	}
	return manifest
}

func condition(obj interface{ GetConditions() []metav1.Condition }, conditionType string) metav1.Condition {
	for _, c := range obj.GetConditions() {
		if c.Type == conditionType {
			return c
		}
	}
	return metav1.Condition{}
}

// reasonOf returns the reason of the last event.
func reasonOf(events []string) string {
	if len(events) == 0 {
		return ""
	}
	parts := strings.SplitN(events[len(events)-1], " ", 3)
	return parts[min(1, len(parts)-1)]
}
