package publish_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// desk is a publisher with an owner.
type desk struct {
	*reconcilertest.World
	publisher publish.Publisher
	resource  *v1alpha1.Resource
	owner     publish.Owner
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	w := reconcilertest.New(t)
	resource := reconcilertest.Resource("app", "component", "manifests")
	w.Create(resource)
	w.Writes()
	return &desk{
		World:     w,
		publisher: publish.Publisher{Client: w.Client, Store: w.Store},
		resource:  resource,
		owner:     publish.Owner{Object: resource, Kind: v1alpha1.ResourceKind},
	}
}

func artifact(content string) publish.Artifact {
	return publish.Artifact{
		Identity: map[string]string{v1alpha1.ResourceNameKey: "manifests"},
		Meta:     snapshot.Meta{Kind: snapshot.Opaque, ResourceVersion: "1.0.0+build.1"},
		Content: func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		},
	}
}

// publish publishes content and notes it in the owner's status, as a kind does.
func (d *desk) publish(t *testing.T, content string) publish.Published {
	t.Helper()
	published, err := d.publisher.Publish(t.Context(), d.owner, artifact(content))
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	d.resource.Status.LatestManifestDigest = published.ManifestDigest.String()
	d.resource.Status.LatestSnapshotDigest = published.LayerDigest.String()
	return published
}

func (d *desk) snapshot(t *testing.T) *v1alpha1.Snapshot {
	t.Helper()
	s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(d.owner.SnapshotName())}
	d.Get(s)
	return s
}

func (d *desk) holds(t *testing.T) bool {
	t.Helper()
	held, err := d.publisher.Holds(t.Context(), d.owner, d.resource)
	if err != nil {
		t.Fatalf("holds: %v", err)
	}
	return held
}

// stored returns the content that can be read under the snapshot's manifest.
func (d *desk) stored(t *testing.T, manifest digest.Digest) string {
	t.Helper()
	repository, err := d.Store.Repository(snapshot.RepositoryName("default", d.owner.SnapshotName()))
	if err != nil {
		t.Fatal(err)
	}
	content, err := snapshot.Open(t.Context(), repository, manifest)
	if err != nil {
		t.Fatalf("open the content: %v", err)
	}
	defer func() { _ = content.Close() }()
	raw, err := io.ReadAll(content)
	if err != nil {
		t.Fatalf("read the content: %v", err)
	}
	return string(raw)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if d.holds(t) {
		t.Error("it holds before anything was published")
	}
	published := d.publish(t, "one")
	s := d.snapshot(t)
	want := v1alpha1.SnapshotSpec{
		Identity: map[string]string{v1alpha1.ResourceNameKey: "manifests"}, Tag: "1.0.0.build-build.1",
		Digest: digest.FromString("one").String(), ManifestDigest: published.ManifestDigest.String(),
	}
	if diff := cmp.Diff(want, s.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != d.resource.UID || s.OwnerReferences[0].Kind != v1alpha1.ResourceKind {
		t.Errorf("owners are %v, want the Resource alone", s.OwnerReferences)
	}
	if got := d.stored(t, published.ManifestDigest); got != "one" {
		t.Errorf("stored is %q", got)
	}
	if !d.holds(t) {
		t.Error("it doesn't hold what was published")
	}
	if diff := cmp.Diff([]string{"create Snapshot default/" + s.Name}, d.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}

	d.Change(s, func() { s.Spec.Suspend = true })
	second := d.publish(t, "two")
	d.Get(s)
	if s.Spec.ManifestDigest != second.ManifestDigest.String() || !s.Spec.Suspend {
		t.Errorf("spec is %+v, want the new content and what the user set", s.Spec)
	}
	if s.Annotations[meta.ReconcileRequestAnnotation] != "" {
		t.Error("new content asks for a look besides its new generation")
	}
	if got := d.stored(t, published.ManifestDigest); got != "one" {
		t.Errorf("the old content is %q by now: who has it pinned still reads it", got)
	}
}

// TestTrace tells a Snapshot where its content came from, and only what it doesn't say yet.
func TestTrace(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	origins := []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: "1.0.0", Verified: true}}
	trace := func() {
		t.Helper()
		if err := d.publisher.Trace(t.Context(), d.owner, origins); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.publisher.Trace(t.Context(), d.owner, origins); err == nil {
		t.Error("a Snapshot that does not exist was told something")
	}
	d.publish(t, "one")
	before := d.snapshot(t)
	d.Writes()
	trace()
	trace()
	if diff := cmp.Diff([]string{"patch Snapshot default/" + before.Name}, d.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	after := d.snapshot(t)
	if diff := cmp.Diff(origins, after.Spec.Origins); diff != "" || after.Spec.ManifestDigest != before.Spec.ManifestDigest {
		t.Errorf("manifest %s, was %s; origins (-want +got):\n%s", after.Spec.ManifestDigest, before.Spec.ManifestDigest, diff)
	}
	a := artifact("two")
	a.Origins = origins[:0]
	if _, err := d.publisher.Publish(t.Context(), d.owner, a); err != nil {
		t.Fatal(err)
	}
	if got := d.snapshot(t).Spec.Origins; len(got) > 0 {
		t.Errorf("other content has the origins %v of that before", got)
	}
}

func TestFailedContentPublishesNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	broken := errors.New("content is not what it should be")
	a := artifact("")
	a.Content = func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}
	if _, err := d.publisher.Publish(t.Context(), d.owner, a); !errors.Is(err, broken) {
		t.Errorf("error is %v, want that of the content", err)
	}
	if writes := d.Writes(); len(writes) > 0 {
		t.Errorf("writes %v for content that was refused", writes)
	}
	repository, err := d.Contents.Repository(snapshot.RepositoryName("default", d.owner.SnapshotName()))
	if err != nil {
		t.Fatal(err)
	}
	if tags, _, err := repository.Tags(t.Context(), "", 10); err == nil && len(tags) > 0 {
		t.Errorf("tags %v for content that was refused", tags)
	}
	if _, err := repository.StatBlob(t.Context(), digest.FromString("half")); err == nil {
		t.Error("half of the content is in the store")
	}
}

func TestLostContentIsWrittenAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.publish(t, "one")
	s := d.snapshot(t)
	generation := s.Generation
	d.SetStatus(s, func() {
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: v1alpha1.ContentMissingReason, LastTransitionTime: metav1.Now()}}
	})
	if d.holds(t) {
		t.Fatal("it holds although its content is missing")
	}
	second := d.publish(t, "one")
	if second != first {
		t.Errorf("written again as %v, want the same %v: others have it pinned", second, first)
	}
	d.Get(s)
	if s.Annotations[meta.ReconcileRequestAnnotation] == "" || s.Generation != generation {
		t.Errorf("generation %d, annotations %v; want the Snapshot asked to look again at an unchanged spec", s.Generation, s.Annotations)
	}
}

// TestSuspendedSnapshotIsNotWrittenForEver: nobody looks at a suspended Snapshot, so what was found before stays in it.
func TestSuspendedSnapshotIsNotWrittenForEver(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.publish(t, "one")
	s := d.snapshot(t)
	d.SetStatus(s, func() {
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: v1alpha1.ContentMissingReason, LastTransitionTime: metav1.Now()}}
	})
	d.Change(s, func() { s.Spec.Suspend = true })
	if !d.holds(t) {
		t.Error("it would be written again with every reconciliation")
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*desk, *v1alpha1.Snapshot)
		want   bool
		reason string
	}{
		"untouched": {func(*desk, *v1alpha1.Snapshot) {}, true, "nothing happened"},
		"deleted":   {func(d *desk, s *v1alpha1.Snapshot) { d.Delete(s) }, false, "it has to be made again"},
		"being deleted": {func(d *desk, s *v1alpha1.Snapshot) {
			d.Change(s, func() { s.Finalizers = []string{"example.com/x"} })
			d.Delete(s)
		}, false, "it is about to be gone"},
		"other manifest": {func(d *desk, s *v1alpha1.Snapshot) { d.Change(s, func() { s.Spec.ManifestDigest = "sha256:x" }) }, false, "somebody changed it"},
		"other layer":    {func(d *desk, s *v1alpha1.Snapshot) { d.Change(s, func() { s.Spec.Digest = "sha256:x" }) }, false, "somebody changed it"},
		"not ready so far": {func(d *desk, s *v1alpha1.Snapshot) {
			d.SetStatus(s, func() {
				s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "Other", LastTransitionTime: metav1.Now()}}
			})
		}, true, "writing again would not help"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.publish(t, "one")
			tc.change(d, d.snapshot(t))
			if got := d.holds(t); got != tc.want {
				t.Errorf("holds is %t, want %t: %s", got, tc.want, tc.reason)
			}
		})
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	reference := func(kind, name, uid string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: types.UID("uid-" + uid)}
	}
	for name, tc := range map[string]struct {
		owners  []metav1.OwnerReference
		refused bool
		reason  string
	}{
		"nobody's":          {nil, false, "it is taken over"},
		"recreated owner's": {[]metav1.OwnerReference{reference("Resource", "app", "old")}, false, "the owner came back under its name"},
		"other kind's":      {[]metav1.OwnerReference{reference("Localization", "app", "other")}, true, "two kinds must not write one snapshot"},
		"other object's":    {[]metav1.OwnerReference{reference("Resource", "web", "other")}, true, "two objects must not write one snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(d.owner.SnapshotName())}
			s.OwnerReferences = tc.owners
			d.Create(s)
			_, err := d.publisher.Publish(t.Context(), d.owner, artifact("one"))
			if errors.Is(err, publish.ErrForeignSnapshot) != tc.refused || (!tc.refused && err != nil) {
				t.Fatalf("error is %v, want refused %t: %s", err, tc.refused, tc.reason)
			}
			d.Get(s)
			if tc.refused {
				if diff := cmp.Diff(tc.owners, s.OwnerReferences); diff != "" || s.Spec.Digest != "" {
					t.Errorf("the other's Snapshot was changed (-want +got):\n%s", diff)
				}
				return
			}
			if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != d.resource.UID {
				t.Errorf("owners are %v, want the one that is there now: %s", s.OwnerReferences, tc.reason)
			}
		})
	}
}

func TestDisturbed(t *testing.T) {
	t.Parallel()
	with := func(generation int64, reason string) *v1alpha1.Snapshot {
		s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app")}
		s.Generation = generation
		s.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: reason}}
		return s
	}
	disturbed := publish.Disturbed()
	for name, tc := range map[string]struct {
		passed, want bool
		reason       string
	}{
		"created":            {disturbed.Create(event.CreateEvent{Object: with(1, "")}), false, "the owner did it"},
		"found at the start": {disturbed.Create(event.CreateEvent{Object: with(1, v1alpha1.ContentMissingReason)}), true, "the content was lost while nobody looked"},
		"spec changed":       {disturbed.Update(event.UpdateEvent{ObjectOld: with(1, ""), ObjectNew: with(2, "")}), true, "somebody may have changed it"},
		"content missing":    {disturbed.Update(event.UpdateEvent{ObjectOld: with(1, ""), ObjectNew: with(1, v1alpha1.ContentMissingReason)}), true, "only the owner can write it again"},
		"still missing":      {disturbed.Update(event.UpdateEvent{ObjectOld: with(1, v1alpha1.ContentMissingReason), ObjectNew: with(1, v1alpha1.ContentMissingReason)}), false, "the owner has heard it"},
		"status written":     {disturbed.Update(event.UpdateEvent{ObjectOld: with(1, ""), ObjectNew: with(1, "Succeeded")}), false, "nothing is asked of the owner"},
		"deleted":            {disturbed.Delete(event.DeleteEvent{Object: with(1, "")}), true, "the owner makes it again"},
	} {
		if tc.passed != tc.want {
			t.Errorf("%s: passed is %t, want %t: %s", name, tc.passed, tc.want, tc.reason)
		}
	}
}

// TestFinalizerIsThereFromTheStart: a Snapshot that is deleted before its controller sees it takes its content with it, too.
func TestFinalizerIsThereFromTheStart(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.publish(t, "one")
	if got := d.snapshot(t).Finalizers; len(got) > 0 {
		t.Errorf("finalizers %v where nothing has to be undone", got)
	}
	d.Delete(d.snapshot(t))
	d.publisher.Finalizer = v1alpha1.SnapshotFinalizer
	d.publish(t, "one")
	if diff := cmp.Diff([]string{v1alpha1.SnapshotFinalizer}, d.snapshot(t).Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}
