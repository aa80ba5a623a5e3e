package componentversion_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// publish publishes a component with references, each given as "name=component" with version 1.0.0.
func (s *stage) publish(name, version string, references ...string) string {
	component := ocmtest.Component{Name: name, Version: version, Resources: []ocmtest.Resource{{Name: "data", Content: []byte(name + version)}}}
	for _, reference := range references {
		alias, target, _ := strings.Cut(reference, "=")
		component.References = append(component.References, ocmtest.Reference{Name: alias, Component: target, Version: "1.0.0"})
	}
	return s.Publish(s.url, component).String()
}

func TestTreeIsPinned(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	database := s.publish("acme.org/database", "1.0.0")
	backend := s.publish("acme.org/backend", "1.0.0", "store=acme.org/database")
	s.publish(app, "1.0.0", "server=acme.org/backend", "cache=acme.org/database")
	s.registry.ResetRequests()
	cv := s.follow("1.0.0")
	wantReady(t, cv, "1.0.0")
	want := []v1alpha1.Reference{
		{Name: "server", Version: "1.0.0", ComponentName: "acme.org/backend", ManifestDigest: backend, References: []v1alpha1.Reference{
			{Name: "store", Version: "1.0.0", ComponentName: "acme.org/database", ManifestDigest: database},
		}},
		{Name: "cache", Version: "1.0.0", ComponentName: "acme.org/database", ManifestDigest: database},
	}
	if diff := cmp.Diff(want, cv.Status.ComponentDescriptor.References); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if got := s.registry.Requests(); got["HEAD manifests"] != 0 || got["GET manifests"] != 3 || got["GET blobs"] != 6 {
		t.Errorf("requests are %v, want each of the three versions read once, by its tag, shared or not", got)
	}
	if found := s.descriptors(t); len(found) != 1 {
		t.Errorf("descriptors %v, want that of the root alone without references.expand", found)
	}
}

func TestBrokenTrees(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		publish func(*stage)
		reason  string
		says    string
	}{
		"cycle": {func(s *stage) {
			s.publish("acme.org/b", "1.0.0", "back="+app)
			s.publish(app, "1.0.0", "there=acme.org/b")
		}, v1alpha1.ReferenceCycleReason, "acme.org/app 1.0.0 -> acme.org/b 1.0.0 -> acme.org/app 1.0.0"},
		"itself": {func(s *stage) { s.publish(app, "1.0.0", "self="+app) }, v1alpha1.ReferenceCycleReason, "acme.org/app 1.0.0 -> acme.org/app 1.0.0"},
		"cycle below": {func(s *stage) {
			s.publish("acme.org/b", "1.0.0", "c=acme.org/c")
			s.publish("acme.org/c", "1.0.0", "b=acme.org/b")
			s.publish(app, "1.0.0", "b=acme.org/b")
		}, v1alpha1.ReferenceCycleReason, "cycle: acme.org/b 1.0.0 -> acme.org/c 1.0.0 -> acme.org/b 1.0.0"},
		"missing": {func(s *stage) {
			s.publish("acme.org/b", "1.0.0", "c=acme.org/c")
			s.publish(app, "1.0.0", "b=acme.org/b")
		}, v1alpha1.ParseReferencesFailedReason, "acme.org/app 1.0.0 -> acme.org/b 1.0.0 -> acme.org/c 1.0.0"},
		"too deep": {func(s *stage) {
			s.publish("acme.org/n33", "1.0.0")
			for i := 32; i > 0; i-- {
				s.publish(fmt.Sprintf("acme.org/n%d", i), "1.0.0", fmt.Sprintf("next=acme.org/n%d", i+1))
			}
			s.publish(app, "1.0.0", "next=acme.org/n1")
		}, v1alpha1.ComponentVersionInvalidReason, "nested deeper than 32"},
		"too many": {func(s *stage) {
			s.publish("acme.org/n10", "1.0.0")
			for i := 9; i > 0; i-- { // each level doubles what is below
				s.publish(fmt.Sprintf("acme.org/n%d", i), "1.0.0", fmt.Sprintf("left=acme.org/n%d", i+1), fmt.Sprintf("right=acme.org/n%d", i+1))
			}
			s.publish(app, "1.0.0", "left=acme.org/n1", "right=acme.org/n1")
		}, v1alpha1.ComponentVersionInvalidReason, "more than 1000 component versions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			tc.publish(s)
			cv := s.follow("1.0.0")
			wantNotReady(t, cv, tc.reason, tc.says)
			if found := s.descriptors(t); len(found) > 0 {
				t.Errorf("descriptors %v were written for a tree that is not whole", found)
			}
		})
	}
}

// expanded creates a ComponentVersion that shows its references, and reconciles it.
func (s *stage) expanded(name, component, constraint string) *v1alpha1.ComponentVersion {
	cv := reconcilertest.ComponentVersion(name, s.url, component, constraint)
	cv.Spec.References.Expand = true
	s.Create(cv)
	s.Reconcile(cv)
	return cv
}

func TestSharedReferencesBelongToAll(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publish("acme.org/shared", "1.0.0")
	s.publish(app, "1.0.0", "lib=acme.org/shared")
	s.publish("acme.org/web", "1.0.0", "lib=acme.org/shared")
	first, second := s.expanded("app", app, ">=1.0.0"), s.expanded("web", "acme.org/web", "1.0.0")
	wantReady(t, first, "1.0.0")
	wantReady(t, second, "1.0.0")
	shared := naming.ComponentDescriptorName("acme.org/shared", "1.0.0", nil)
	want := map[string]int{
		naming.ComponentDescriptorName(app, "1.0.0", nil):            1,
		naming.ComponentDescriptorName("acme.org/web", "1.0.0", nil): 1,
		shared: 2,
	}
	if diff := cmp.Diff(want, s.descriptors(t)); diff != "" {
		t.Fatalf("descriptors with the number of their owners (-want +got):\n%s", diff)
	}
	if ref := first.Status.ComponentDescriptor.References[0].ComponentDescriptorRef; ref == nil || ref.Name != shared {
		t.Errorf("the status doesn't name the descriptor of the reference: %v", ref)
	}

	s.publish(app, "1.1.0") // uses it no longer
	s.Reconcile(first)
	wantReady(t, first, "1.1.0")
	want = map[string]int{
		naming.ComponentDescriptorName(app, "1.1.0", nil):            1,
		naming.ComponentDescriptorName("acme.org/web", "1.0.0", nil): 1,
		shared: 1,
	}
	if diff := cmp.Diff(want, s.descriptors(t)); diff != "" {
		t.Errorf("descriptors after one let go (-want +got):\n%s", diff)
	}
	s.forget()
	s.Reconcile(second)
	if writes := s.Writes(); len(writes) > 0 {
		t.Errorf("the other wrote %v, want nothing: its descriptors are as they were", writes)
	}

	s.Change(second, func() { second.Spec.References.Expand = false })
	s.Reconcile(second)
	if found := s.descriptors(t); len(found) != 2 || found[shared] != 0 {
		t.Errorf("descriptors %v, want those of references gone with references.expand", found)
	}
}

func TestDisturbedDescriptorsAreRepaired(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*stage, *v1alpha1.ComponentDescriptor){
		"deleted": func(s *stage, d *v1alpha1.ComponentDescriptor) { s.Delete(d) },
		"edited": func(s *stage, d *v1alpha1.ComponentDescriptor) {
			s.Change(d, func() { d.Spec.Resources[0].Name = "other" })
		},
		"orphaned":      func(s *stage, d *v1alpha1.ComponentDescriptor) { s.Change(d, func() { d.OwnerReferences = nil }) },
		"no annotation": func(s *stage, d *v1alpha1.ComponentDescriptor) { s.Change(d, func() { d.Annotations = nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.publish("acme.org/lib", "1.0.0")
			s.publish(app, "1.0.0", "lib=acme.org/lib")
			cv := s.expanded("app", app, "1.0.0")
			nested := &v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(cv.Status.ComponentDescriptor.References[0].ComponentDescriptorRef.Name)}
			s.Get(nested)
			want := nested.DeepCopy()
			disturb(s, nested)
			s.forget()
			s.Reconcile(cv)
			wantReady(t, cv, "1.0.0")
			s.Get(nested)
			if diff := cmp.Diff(want.Spec, nested.Spec); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want.Annotations, nested.Annotations); diff != "" || len(nested.OwnerReferences) != 1 {
				t.Errorf("owners %v, annotations (-want +got):\n%s", nested.OwnerReferences, diff)
			}
			if events := s.Events(); len(events) > 0 {
				t.Errorf("events %q: what is delivered did not change", events)
			}
		})
	}
}

// TestMirroredVersionsSettle has the same version in two repositories, where a transfer has given it another manifest. Both
// show it by one ComponentDescriptor.
func TestMirroredVersionsSettle(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publish(app, "1.0.0")
	mirror := ocmtest.Start(t)
	s.Publish(mirror.URL+"/mirror", ocmtest.Component{Name: app, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("mirrored")}}})
	origin := reconcilertest.ComponentVersion("origin", s.url, app, "1.0.0")
	copied := reconcilertest.ComponentVersion("copied", mirror.URL+"/mirror", app, "1.0.0")
	s.Create(origin, copied)
	for range 2 {
		s.Reconcile(origin)
		s.Reconcile(copied)
	}
	wantReady(t, origin, "1.0.0")
	wantReady(t, copied, "1.0.0")
	s.forget()
	// The watch on ComponentDescriptors wakes every owner of one that is written.
	s.Reconcile(origin)
	s.Reconcile(copied)
	if writes := s.Writes(); len(writes) > 0 {
		t.Errorf("writes %v: two objects that undo each other's work never come to rest", writes)
	}
}

// TestPinsAreKept: a nested version that was published again under its tag is not taken for a version that was accepted.
func TestPinsAreKept(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	pinned := s.publish("acme.org/lib", "1.0.0")
	s.publish(app, "1.0.0", "lib=acme.org/lib")
	cv := s.expanded("app", app, ">=1.0.0")
	moved := s.Publish(s.url, ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("moved")}}}).String()
	root := &v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(cv.Status.ComponentDescriptor.ComponentDescriptorRef.Name)}
	s.Delete(root)
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if got := cv.Status.ComponentDescriptor.References[0].ManifestDigest; got != pinned {
		t.Errorf("the reference is pinned to %s, want what was accepted: %s", got, pinned)
	}
	s.publish(app, "1.1.0", "lib=acme.org/lib") // a new version of the whole looks anew
	s.Reconcile(cv)
	if got := cv.Status.ComponentDescriptor.References[0].ManifestDigest; got != moved {
		t.Errorf("the reference of a new version is pinned to %s, want what its tag is now: %s", got, moved)
	}
}

func TestConcurrentOwnerIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publish("acme.org/shared", "1.0.0")
	s.publish(app, "1.0.0", "lib=acme.org/shared")
	s.publish("acme.org/web", "1.0.0", "lib=acme.org/shared")
	s.expanded("app", app, "1.0.0")
	s.forget()
	newer := apierrors.NewConflict(schema.GroupResource{Resource: "componentdescriptors"}, "shared", errors.New("newer"))
	s.Refuse("patch ComponentDescriptor", newer)
	cv := s.expanded("web", "acme.org/web", "1.0.0")
	if got := reconcilertest.Conditions(cv)["Ready"]; got != "Unknown Progressing" {
		t.Errorf("Ready is %s: another owner was faster, and nothing is wrong", got)
	}
	if events := s.Events(); len(events) != 1 {
		t.Errorf("events are %q, want the found version alone", events)
	}
	s.Refuse("patch ComponentDescriptor", nil)
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
}
