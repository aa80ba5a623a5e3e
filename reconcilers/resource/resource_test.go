package resource_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

const app = "acme.org/app"

// stage is a cluster that follows a component, with a Resource of it.
type stage struct {
	*reconcilertest.World
	components, resources *reconcilertest.Controller
	registry              *ocmtest.Server
	url                   string
	component             *v1alpha1.ComponentVersion
	resource              *v1alpha1.Resource
}

// newStage publishes the component and reconciles its ComponentVersion.
func newStage(t *testing.T, published ocmtest.Component) *stage {
	t.Helper()
	w, registry := reconcilertest.New(t), ocmtest.Start(t)
	s := &stage{
		World: w, registry: registry, url: registry.URL + "/ocm",
		components: w.Install(componentversion.Plugin(componentversion.Options{Lifecycle: w.Lifecycle, Repositories: w.Repositories, Transfers: w.Transfers()})),
		resources: w.Install(resource.Plugin(resource.Options{
			Lifecycle: w.Lifecycle, Repositories: w.Repositories, Store: w.Store, NoCrossNamespaceRefs: true,
		})),
		resource: reconcilertest.Resource("data", "app", "data"),
	}
	s.Publish(s.url, published)
	s.component = reconcilertest.ComponentVersion("app", s.url, published.Name, ">=0.0.0")
	s.Create(s.component)
	s.components.Reconcile(s.component)
	s.forget()
	return s
}

func (s *stage) forget() {
	s.Events()
	s.Writes()
	s.registry.ResetRequests()
}

func (s *stage) reconcile() {
	if s.resource.UID == "" {
		s.Create(s.resource)
	}
	s.resources.Reconcile(s.resource)
}

func (s *stage) snapshot() *v1alpha1.Snapshot {
	snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(s.resource.Status.SnapshotName)}
	s.Get(snap)
	return snap
}

func (s *stage) stored() reconcilertest.Stored {
	return s.Stored("default", s.resource.Status.SnapshotName, s.resource.Status.LatestManifestDigest)
}

func version(v string, resources ...ocmtest.Resource) ocmtest.Component {
	return ocmtest.Component{Name: app, Version: v, Resources: resources}
}

func data(content string) ocmtest.Resource {
	return ocmtest.Resource{Name: "data", Content: []byte(content), MediaType: "text/plain"}
}

func wantReady(t *testing.T, r *v1alpha1.Resource, version string) {
	t.Helper()
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(r)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s\n%s", diff, reconcilertest.Message(r, "Ready"))
	}
	if got, want := reconcilertest.Message(r, "Ready"), "Applied version: "+version; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

func wantRefused(t *testing.T, s *stage, ready, says string) {
	t.Helper()
	if got := reconcilertest.Conditions(s.resource)["Ready"]; got != ready {
		t.Errorf("Ready is %q, want %q", got, ready)
	}
	if got := reconcilertest.Message(s.resource, "Ready"); !strings.Contains(got, says) {
		t.Errorf("message %q lacks %q", got, says)
	}
	list := &v1alpha1.SnapshotList{}
	if err := s.Client.List(t.Context(), list); err != nil || len(list.Items) > 0 || s.resource.Status.SnapshotName != "" {
		t.Errorf("%d Snapshots were published (%v), and the status names %q", len(list.Items), err, s.resource.Status.SnapshotName)
	}
	tags := 0
	if repository, err := s.Contents.Repository("default/" + snapshot.Name("Resource", "data")); err == nil {
		found, _, _ := repository.Tags(t.Context(), "", 10)
		tags = len(found)
	}
	if tags > 0 {
		t.Errorf("%d tags are in the store", tags)
	}
}

func TestResourceIsPublished(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	spec := s.resource.Spec.DeepCopy()
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
	status, stored := s.resource.Status, s.stored()
	if string(stored.Content) != "hello" || stored.MediaType != "text/plain" || stored.Annotations[snapshot.AnnotationComponentVersion] != "1.0.0" {
		t.Errorf("stored is %q of type %s with %v", stored.Content, stored.MediaType, stored.Annotations)
	}
	if status.SnapshotName != snapshot.Name("Resource", "data") || status.LatestSnapshotDigest != digest.FromString("hello").String() ||
		status.LastAppliedResourceVersion != "1.0.0" || status.LastAppliedComponentVersion != "1.0.0" || status.LatestSourceVersion != "1.0.0" || status.Fingerprint == "" {
		t.Errorf("status is %+v", status)
	}
	want := []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: "1.0.0", ManifestDigest: s.component.Status.ManifestDigest}}
	if diff := cmp.Diff(want, status.Origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(spec, &s.resource.Spec); diff != "" {
		t.Errorf("the spec was changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Normal Succeeded Reconciliation finished, next run in 10m0s"}, s.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestIdentity holds what other programs look Snapshots up by.
func TestIdentity(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*v1alpha1.ResourceReference)
		want   map[string]string
	}{
		"plain": {func(*v1alpha1.ResourceReference) {}, map[string]string{
			"component-name": "acme.org-app-1.0.0-13242347170803493639", "component-version": "1.0.0",
			"resource-name": "data", "resource-version": "2.0.0",
		}},
		"extra identity": {func(r *v1alpha1.ResourceReference) { r.ExtraIdentity = map[string]string{"os": "linux"} }, map[string]string{
			"component-name": "acme.org-app-1.0.0-13242347170803493639", "component-version": "1.0.0",
			"resource-name": "data", "resource-version": "2.0.0", "os": "linux",
		}},
		"reference path": {func(r *v1alpha1.ResourceReference) {
			r.Name, r.ReferencePath = "nested", []map[string]string{{"name": "lib", "os": "linux"}}
		}, map[string]string{
			"component-name": "", "component-version": "3.0.0",
			"resource-name": "nested", "resource-version": "3.0.0", "resource-reference-path": `"name"="lib","os"="linux":`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			published := version("1.0.0", ocmtest.Resource{Name: "data", Version: "2.0.0", ExtraIdentity: map[string]string{"os": "linux"}, Content: []byte("x")})
			published.References = []ocmtest.Reference{{Name: "lib", Component: "acme.org/lib", Version: "3.0.0", ExtraIdentity: map[string]string{"os": "linux"}}}
			s := stageWithLibrary(t, published)
			tc.change(s.resource.Spec.SourceRef.ResourceRef)
			s.reconcile()
			wantReady(t, s.resource, "1.0.0")
			got := s.snapshot().Spec.Identity
			if tc.want["component-name"] == "" {
				if !strings.HasPrefix(got["component-name"], "acme.org-lib-3.0.0-") {
					t.Errorf("component-name is %q, want that of the nested component", got["component-name"])
				}
				delete(got, "component-name")
				delete(tc.want, "component-name")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// stageWithLibrary publishes acme.org/lib 3.0.0 before the component that refers to it.
func stageWithLibrary(t *testing.T, published ocmtest.Component) *stage {
	t.Helper()
	s := newStage(t, version("0.0.1", data("before")))
	s.Publish(s.url, ocmtest.Component{Name: "acme.org/lib", Version: "3.0.0", Resources: []ocmtest.Resource{{Name: "nested", Content: []byte("nested")}, {Name: "data", Content: []byte("other")}}})
	s.Publish(s.url, published)
	s.components.Reconcile(s.component)
	if s.component.Status.ReconciledVersion != published.Version {
		t.Fatalf("the component is at %s: %s", s.component.Status.ReconciledVersion, reconcilertest.Message(s.component, "Ready"))
	}
	s.forget()
	return s
}

func TestUnchangedResourceAsksNobody(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.reconcile()
	s.forget()
	for range 3 {
		s.reconcile()
	}
	if requests, writes, events := s.registry.Requests(), s.Writes(), s.Events(); len(requests) > 0 || len(writes) > 0 || len(events) > 0 {
		t.Errorf("requests %v, writes %v, events %v, want none", requests, writes, events)
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("one")))
	s.reconcile()
	first := s.resource.Status.LatestManifestDigest
	s.Publish(s.url, version("1.1.0", data("two")))
	s.components.Reconcile(s.component)
	s.reconcile()
	wantReady(t, s.resource, "1.1.0")
	if got := string(s.stored().Content); got != "two" || s.snapshot().Spec.Tag != "1.1.0" {
		t.Errorf("stored is %q under tag %s", got, s.snapshot().Spec.Tag)
	}
	if got := s.Stored("default", s.resource.Status.SnapshotName, first); string(got.Content) != "one" {
		t.Errorf("who has the old digest pinned reads %q", got.Content)
	}
}

// TestNestedContentOfANewerRoot: the nested component did not change, but it belongs to a newer version now.
func TestNestedContentOfANewerRoot(t *testing.T) {
	t.Parallel()
	published := version("1.0.0")
	published.References = []ocmtest.Reference{{Name: "lib", Component: "acme.org/lib", Version: "3.0.0"}}
	s := stageWithLibrary(t, published)
	s.resource.Spec.SourceRef.ResourceRef.ReferencePath = []map[string]string{{"name": "lib"}}
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
	manifest := s.resource.Status.LatestManifestDigest
	if got := string(s.stored().Content); got != "other" {
		t.Errorf("stored is %q, want that of the nested component", got)
	}
	published.Version = "1.1.0"
	s.Publish(s.url, published)
	s.components.Reconcile(s.component)
	s.forget()
	s.reconcile()
	wantReady(t, s.resource, "1.1.0")
	if requests := s.registry.Requests(); len(requests) > 0 || s.resource.Status.LatestManifestDigest != manifest || s.resource.Status.Origins[0].Version != "1.1.0" {
		t.Errorf("requests %v, status %+v; want the same content of the newer version without a request", requests, s.resource.Status)
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	two := []ocmtest.Resource{
		{Name: "data", Version: "1.0.0", ExtraIdentity: map[string]string{"os": "linux"}, Content: []byte("linux")},
		{Name: "data", Version: "2.0.0", ExtraIdentity: map[string]string{"os": "windows"}, Content: []byte("windows")},
	}
	const refused = "False " + v1alpha1.GetResourceFailedReason
	for name, tc := range map[string]struct {
		ref             v1alpha1.ResourceReference
		content         string
		refused, reason string
	}{
		"by identity":     {v1alpha1.ResourceReference{Name: "data", ExtraIdentity: map[string]string{"os": "windows"}}, "windows", "", "the identity tells them apart"},
		"by version":      {v1alpha1.ResourceReference{Name: "data", Version: "1.0.0"}, "linux", "", "the version tells them apart"},
		"latest":          {v1alpha1.ResourceReference{Name: "data", Version: "latest", ExtraIdentity: map[string]string{"os": "linux"}}, "linux", "", "latest is whichever version there is"},
		"ambiguous":       {v1alpha1.ResourceReference{Name: "data"}, "", refused, "a guess would be wrong half of the time"},
		"missing version": {v1alpha1.ResourceReference{Name: "data", Version: "9.9.9"}, "", refused, "it names what there is not"},
		"missing":         {v1alpha1.ResourceReference{Name: "date"}, "", refused, "it names what there is not"},
		"no such path":    {v1alpha1.ResourceReference{Name: "data", ReferencePath: []map[string]string{{"name": "lib"}}}, "", "False " + v1alpha1.ComponentDescriptorNotFoundReason, "the component has no references"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, version("1.0.0", two...))
			s.resource.Spec.SourceRef.ResourceRef = &tc.ref
			s.reconcile()
			if tc.refused != "" {
				wantRefused(t, s, tc.refused, "")
				return
			}
			wantReady(t, s.resource, "1.0.0")
			if got := string(s.stored().Content); got != tc.content {
				t.Errorf("stored is %q, want %q: %s", got, tc.content, tc.reason)
			}
		})
	}
}

func TestMismatchIsRefused(t *testing.T) {
	t.Parallel()
	wrong := descriptor.NewBlobDigest(digest.FromString("something else"))
	for name, content := range map[string][]byte{
		"small": []byte("hello"),
		"large": []byte(strings.Repeat("0123456789abcdef", 100<<10)),
		"tree":  reconcilertest.Tar(t, map[string]string{"a": "b"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, version("1.0.0", ocmtest.Resource{Name: "data", Content: content, Digest: wrong}))
			s.reconcile()
			wantRefused(t, s, "False "+v1alpha1.ContentMismatchReason, "sha256:")
		})
	}
}

// TestTamperedContentIsRefused has a registry that gives other bytes of the same length under the right digest.
func TestTamperedContentIsRefused(t *testing.T) {
	t.Parallel()
	for name, original := range map[string]string{"small": "hello", "large": strings.Repeat("0123456789abcdef", 100<<10)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, version("1.0.0", data(original)))
			s.registry.Inject(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, digest.FromString(original).String()) {
					return false
				}
				_, _ = io.WriteString(w, strings.Replace(original, "l", "x", 1)[:len(original)-1]+"!")
				return true
			})
			s.reconcile()
			wantRefused(t, s, "False "+v1alpha1.ContentMismatchReason, "sha256:")
		})
	}
}

func TestMismatchAfterSuccessClearsReady(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.reconcile()
	s.Publish(s.url, version("1.1.0", ocmtest.Resource{Name: "data", Content: []byte("x"), Digest: descriptor.NewBlobDigest(digest.FromString("y"))}))
	s.components.Reconcile(s.component)
	s.reconcile()
	if got := reconcilertest.Conditions(s.resource)["Ready"]; got != "False "+v1alpha1.ContentMismatchReason {
		t.Errorf("Ready is %q", got)
	}
	if got := string(s.stored().Content); got != "hello" || s.snapshot().Spec.Tag != "1.0.0" {
		t.Errorf("the snapshot holds %q under tag %s, want what was good", got, s.snapshot().Spec.Tag)
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	packed := reconcilertest.Gzip(t, reconcilertest.Tar(t, map[string]string{"app/Chart.yaml": "name: app\nversion: 7.0.0+up1\n"}))
	s := newStage(t, version("1.0.0", ocmtest.Resource{Name: "data", Type: "helmChart", Content: packed}))
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
	if stored := s.stored(); stored.MediaType != snapshot.MediaTypeChart || s.snapshot().Spec.Tag != "7.0.0_up1" {
		t.Errorf("stored as %s under tag %s, want a chart under its own version", stored.MediaType, s.snapshot().Spec.Tag)
	}
}

func TestUnusableChartIsAVerdict(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", ocmtest.Resource{Name: "data", Type: "helmChart", Content: []byte("no chart")}))
	s.reconcile()
	wantRefused(t, s, "False "+v1alpha1.GetResourceFailedReason, "Helm chart")
	if got := reconcilertest.Conditions(s.resource)["Reconciling"]; got != "True ProgressingWithRetry" {
		t.Errorf("Reconciling is %q", got)
	}
	if events := s.Events(); len(events) == 0 || !strings.HasSuffix(events[0], "retrying in 10m0s") {
		t.Errorf("events %q, want a retry after the interval: the same chart will not be better sooner", events)
	}
}

func TestSourceThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change       func(*stage)
		ready, stall string
	}{
		"missing":        {func(s *stage) { s.resource.Spec.SourceRef.Name = "nowhere" }, "False ComponentVersionNotFound", ""},
		"other kind":     {func(s *stage) { s.resource.Spec.SourceRef.Kind = "Snapshot" }, "False InvalidSpec", "True InvalidSpec"},
		"no resourceRef": {func(s *stage) { s.resource.Spec.SourceRef.ResourceRef = nil }, "False InvalidSpec", "True InvalidSpec"},
		"denied":         {func(s *stage) { s.resource.Spec.SourceRef.Namespace = "team" }, "False AccessDenied", "True AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, version("1.0.0", data("hello")))
			tc.change(s)
			s.reconcile()
			if got := reconcilertest.Conditions(s.resource); got["Ready"] != tc.ready || got["Stalled"] != tc.stall {
				t.Errorf("conditions are %v, want Ready %s, Stalled %q", got, tc.ready, tc.stall)
			}
		})
	}
}

func TestKindMayBeLeftOut(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.resource.Spec.SourceRef.Kind = ""
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
	if s.resource.Spec.SourceRef.Kind != "" {
		t.Error("the default was written into the spec")
	}
}

func TestLastGoodStandsWhileTheComponentIsNotReady(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.reconcile()
	s.forget()
	s.Change(s.component, func() { s.component.Spec.Version.Semver = ">=9" })
	s.components.Reconcile(s.component)
	s.Events()
	s.reconcile()
	if got := reconcilertest.Conditions(s.resource); got["Ready"] != "True Succeeded" || got["Reconciling"] != "True ComponentVersionNotReady" {
		t.Errorf("conditions are %v", got)
	}
	if events := s.Events(); len(events) > 0 {
		t.Errorf("events %q: the ComponentVersion tells of its own trouble", events)
	}
}

func TestLostContentIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*stage){
		"snapshot deleted": func(s *stage) { s.Delete(s.snapshot()) },
		"content missing": func(s *stage) {
			snap := s.snapshot()
			s.SetStatus(snap, func() {
				snap.Status.Conditions = s.resource.DeepCopy().Status.Conditions
				snap.Status.Conditions[0].Status, snap.Status.Conditions[0].Reason = "False", v1alpha1.ContentMissingReason
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, version("1.0.0", data("hello")))
			s.reconcile()
			manifest := s.resource.Status.LatestManifestDigest
			lose(s)
			s.forget()
			s.reconcile()
			wantReady(t, s.resource, "1.0.0")
			if got := s.snapshot().Spec.ManifestDigest; got != manifest {
				t.Errorf("written again as %s, want the same %s", got, manifest)
			}
			if requests := s.registry.Requests(); requests["GET blobs"] != 1 || requests["GET manifests"] != 0 {
				t.Errorf("requests %v, want the content alone: the descriptor is remembered", requests)
			}
		})
	}
}

func TestBrokenTransferIsAPassingFault(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.registry.Inject(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || ocmtest.Class(r) != ocmtest.ClassBlobs {
			return false
		}
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "he") // and then the connection ends
		return true
	})
	s.reconcile()
	if got := reconcilertest.Conditions(s.resource); got["Ready"] == "True Succeeded" || got["Stalled"] != "" {
		t.Errorf("conditions are %v", got)
	}
	if s.resource.Status.SnapshotName != "" {
		t.Error("half of a resource was published")
	}
	s.registry.Heal()
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
}

// TestNoRoom has no room for a newer version: the Resource is not Ready, because it does not deliver what it should, what was
// delivered stays as it is, and the new one comes as soon as there is room.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("one")))
	tight := &reconcilertest.Tight{Store: s.Store}
	s.resources = s.Install(resource.Plugin(resource.Options{Lifecycle: s.Lifecycle, Repositories: s.Repositories, Store: tight}))
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
	before := s.snapshot().Spec
	s.Events()
	s.Publish(s.url, version("1.1.0", data("two")))
	s.components.Reconcile(s.component)
	s.Events()
	tight.Full.Store(true)
	s.reconcile()
	want := map[string]string{"Ready": "False StorageFull", "Reconciling": "True ProgressingWithRetry"}
	if diff := cmp.Diff(want, reconcilertest.Conditions(s.resource)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if events := s.Events(); len(events) != 2 || !strings.HasPrefix(events[0], "Warning StorageFull ") {
		t.Errorf("events %q, want the cause and the end", events)
	}
	if diff := cmp.Diff(before, s.snapshot().Spec); diff != "" {
		t.Errorf("the Snapshot is another (-want +got):\n%s", diff)
	}
	s.Writes()
	s.reconcile()
	if writes, events := s.Writes(), s.Events(); len(writes)+len(events) > 0 {
		t.Errorf("writes %v and events %q of what was said", writes, events)
	}
	tight.Full.Store(false)
	s.reconcile()
	wantReady(t, s.resource, "1.1.0")
}

func TestForeignSnapshotStalls(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	foreign := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(snapshot.Name("Resource", "data"))}
	foreign.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Localization", Name: "data", UID: "other"}}
	s.Create(foreign)
	s.reconcile()
	if got := reconcilertest.Conditions(s.resource)["Stalled"]; got != "True "+v1alpha1.CreateOrUpdateSnapshotFailedReason {
		t.Errorf("Stalled is %q", got)
	}
}

func TestFailedSnapshotWriteIsAPassingFault(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.Refuse("create Snapshot", errors.New("quota exceeded"))
	s.reconcile()
	if got := reconcilertest.Conditions(s.resource)["Ready"]; got != "False "+v1alpha1.CreateOrUpdateSnapshotFailedReason {
		t.Errorf("Ready is %q", got)
	}
	s.Refuse("create Snapshot", nil)
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
}

func TestShutdownPublishesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.Create(s.resource)
	ctx, cancel := context.WithCancel(t.Context())
	s.registry.Inject(func(http.ResponseWriter, *http.Request) bool {
		cancel()
		return false
	})
	if _, err := s.resources.Try(ctx, s.resource); err != nil {
		t.Errorf("shutdown is no error: %v", err)
	}
	if s.resource.Status.SnapshotName != "" {
		t.Error("a snapshot was published after the end")
	}
}
