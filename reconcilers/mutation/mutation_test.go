package mutation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestLocalization(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	l := s.localize(t)
	wantReady(t, l)
	if got, want := s.file(t, l.Status), strings.Replace(deploy, "placeholder", "ghcr.io/acme/app:1.0.0", 1); got != want {
		t.Errorf("file (-want +got):\n%s", cmp.Diff(want, got))
	}
	stored := s.Stored("default", l.Status.SnapshotName, l.Status.LatestManifestDigest)
	if stored.MediaType != snapshot.MediaTypeDirectory || reconcilertest.Untar(t, stored.Content)["other.txt"] != "1.0.0" {
		t.Errorf("stored is %s, want a directory with every file", stored.MediaType)
	}
	if l.Status.LatestSourceVersion != "1.0.0" || l.Status.LatestConfigVersion != "1.0.0" || len(l.Status.Origins) != 1 {
		t.Errorf("status is %+v", l.Status)
	}
	snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(l.Status.SnapshotName)}
	s.Get(snap)
	want := map[string]string{
		"component-name": "acme.org-app-1.0.0-13242347170803493639", "component-version": "1.0.0",
		"resource-name": "config", "resource-version": "1.0.0", "mutation-object-uuid": string(l.UID),
	}
	if diff := cmp.Diff(want, snap.Spec.Identity); diff != "" || snap.Spec.Tag != "1.0.0" {
		t.Errorf("tag %s, identity (-want +got):\n%s", snap.Spec.Tag, diff)
	}
	if diff := cmp.Diff([]string{"Normal Succeeded Reconciliation finished, next run in 10m0s"}, s.Events()[:1]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestConfigurationOfALocalization(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	wantReady(t, s.localize(t))
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
		spec.SourceRef = reconcilertest.From(v1alpha1.LocalizationKind, "localized")
		spec.Values = &apiextensionsv1.JSON{Raw: []byte(`{"nested":{"b":9}}`)}
	})
	wantReady(t, c)
	if diff := cmp.Diff(written("2", "ghcr.io/acme/app:1.0.0", "1", "9"), s.file(t, c.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestLocalizationWithValuesConfigures(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	ref := reconcilertest.FromComponent("app", "config")
	l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("localized"), Spec: v1alpha1.MutationSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"), ConfigRef: &ref,
		Values: &apiextensionsv1.JSON{Raw: []byte(`{"replicas":4}`)},
	}}
	s.Create(l)
	s.localizations.Reconcile(l)
	wantReady(t, l)
	if diff := cmp.Diff(written("4", "placeholder", "1", "2"), s.file(t, l.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestSourceFromTheComponent(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) { spec.SourceRef = reconcilertest.FromComponent("app", "manifests") })
	wantReady(t, c)
	if diff := cmp.Diff(written("2", "placeholder", "1", "2"), s.file(t, c.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestConfigFromASnapshot(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	r := reconcilertest.Resource("config", "app", "config")
	s.Create(r)
	s.resources.Reconcile(r)
	s.prove(t)
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
		ref := reconcilertest.From(v1alpha1.ResourceKind, "config")
		spec.ConfigRef = &ref
	})
	wantReady(t, c)
	if diff := cmp.Diff(written("2", "placeholder", "1", "2"), s.file(t, c.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

func TestUnchangedInputsAskNobody(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	l := s.localize(t)
	c := s.configure(t, inline(`{"replicas":3}`))
	s.forget()
	for range 3 {
		s.localizations.Reconcile(l)
		s.configurations.Reconcile(c)
	}
	if requests, writes, events := s.registry.Requests(), s.Writes(), s.Events(); len(requests) > 0 || len(writes) > 0 || len(events) > 0 {
		t.Errorf("requests %v, writes %v, events %v, want none", requests, writes, events)
	}
}

func TestLostContentIsWrittenAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	c := s.configure(t, inline(`{"replicas":3}`))
	manifest := c.Status.LatestManifestDigest
	s.Delete(&v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(c.Status.SnapshotName)})
	s.configurations.Reconcile(c)
	wantReady(t, c)
	snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(c.Status.SnapshotName)}
	s.Get(snap)
	if snap.Spec.ManifestDigest != manifest {
		t.Errorf("written again as %s, want the same %s", snap.Spec.ManifestDigest, manifest)
	}
}

// TestNoRoom is judged by what there is no room for, and not by the edits that were on their way there.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	tight := &reconcilertest.Tight{Store: s.Store}
	s.Store = tight
	s.limit(mutation.Limits{})
	tight.Full.Store(true)
	c := s.configure(t, inline(`{"replicas":3}`))
	if got := reconcilertest.Conditions(c)["Ready"]; got != "False "+v1alpha1.StorageFullReason || c.Status.SnapshotName != "" {
		t.Errorf("Ready is %q with Snapshot %q: %s", got, c.Status.SnapshotName, reconcilertest.Message(c, "Ready"))
	}
	tight.Full.Store(false)
	s.configurations.Reconcile(c)
	wantReady(t, c)
}

func TestContentOfTheSourceIsGone(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	repository, err := s.Contents.Repository("default/" + s.resource.Status.SnapshotName)
	if err != nil {
		t.Fatal(err)
	}
	desc, _, err := repository.Manifest(t.Context(), s.resource.Status.LatestManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	if err := repository.DeleteManifest(t.Context(), desc.Digest); err != nil {
		t.Fatal(err)
	}
	c := s.configure(t, nil) // the Snapshot has not noticed
	if got := reconcilertest.Conditions(c); got["Reconciling"] != "True "+v1alpha1.ContentMissingReason {
		t.Errorf("conditions are %v, want to wait until it is written again", got)
	}
}

// TestVersionsArriveInOrder upgrades the component and wakes the chain in the worst order: nothing ever combines two
// versions, and what was delivered stays Ready meanwhile.
func TestVersionsArriveInOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	l := s.localize(t)
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
		spec.SourceRef = reconcilertest.From(v1alpha1.LocalizationKind, "localized")
	})
	wantReady(t, c)
	before := s.file(t, c.Status)
	s.release(t, "1.1.0", strings.Replace(deploy, "kept", "kept too", 1), config)
	s.components.Reconcile(s.component)

	for name, reconcile := range map[string]func(){
		"Configuration": func() { s.configurations.Reconcile(c) },
		"Localization":  func() { s.localizations.Reconcile(l) },
	} {
		s.Events()
		reconcile()
		if events := s.Events(); len(events) > 0 {
			t.Errorf("%s that is ahead of its source says %q, want to wait in silence", name, events)
		}
	}
	for _, obj := range []conditioned{l, c} {
		conditions := reconcilertest.Conditions(obj)
		if conditions["Ready"] != "True Succeeded" || conditions["Reconciling"] != "True "+v1alpha1.SourceRefNotReadyReason || obj.GetSourceVersion() != "1.0.0" {
			t.Errorf("%T has conditions %v at version %s, want the old version to stand", obj, conditions, obj.GetSourceVersion())
		}
		if says := reconcilertest.Message(obj, "Reconciling"); !strings.Contains(says, "1.0.0") || !strings.Contains(says, "1.1.0") {
			t.Errorf("message %q does not tell which versions meet", says)
		}
	}
	if got := s.file(t, c.Status); got != before {
		t.Errorf("content of two versions was mixed:\n%s", got)
	}

	s.resources.Reconcile(s.resource)
	s.configurations.Reconcile(c) // its source's Snapshot is of the old version still
	if c.Status.LatestSourceVersion != "1.0.0" {
		t.Errorf("the Configuration is at %s before its source", c.Status.LatestSourceVersion)
	}
	s.prove(t)
	s.localizations.Reconcile(l)
	s.prove(t)
	s.configurations.Reconcile(c)
	s.prove(t)
	wantReady(t, l)
	wantReady(t, c)
	want := strings.Replace(written("2", "ghcr.io/acme/app:1.1.0", "1", "2"), "kept", "kept too", 1)
	if diff := cmp.Diff(want, s.file(t, c.Status)); diff != "" || c.Status.LatestSourceVersion != "1.1.0" {
		t.Errorf("version %s, file (-want +got):\n%s", c.Status.LatestSourceVersion, diff)
	}
}

func TestRulesThatCannotBeCarriedOut(t *testing.T) {
	t.Parallel()
	const failed = "False " + v1alpha1.ReconcileMutationObjectFailedReason
	for name, tc := range map[string]struct {
		config       string
		ready, says  string
		localization bool
	}{
		"missing file":     {"configuration: {rules: [{value: 1, file: none.yaml, path: a}]}", failed, `"none.yaml"`, false},
		"unresolved":       {"configuration: {rules: [{value: (( nothing )), file: deploy.yaml, path: a}]}", failed, "nothing", false},
		"path is blocked":  {"configuration: {rules: [{value: 1, file: deploy.yaml, path: apiVersion.x}]}", failed, "configuration rule 1", false},
		"unknown field":    {"settings: {}", "False " + v1alpha1.InvalidConfigDataReason, "settings", false},
		"no configuration": {"localization: []", "False " + v1alpha1.InvalidConfigDataReason, "no configuration rules", false},
		"no localization":  {"configuration: {rules: []}", "False " + v1alpha1.InvalidConfigDataReason, "no localization rules", true},
		"unknown image":    {"localization: [{resource: {name: none}, file: deploy.yaml, image: spec.image}]", failed, "none", true},
		"no image":         {"localization: [{resource: {name: manifests}, file: deploy.yaml, image: spec.image}]", failed, "manifests", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, tc.config)
			if tc.localization {
				wantRefused(t, s.localize(t), tc.ready, tc.says)
				return
			}
			wantRefused(t, s.configure(t, nil), tc.ready, tc.says)
		})
	}
}

func TestSpecsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	component := func(resource string) *v1alpha1.ObjectReference {
		ref := reconcilertest.FromComponent("app", resource)
		return &ref
	}
	for name, tc := range map[string]struct {
		change       func(*v1alpha1.MutationSpec)
		ready, stall string
	}{
		"no config": {func(s *v1alpha1.MutationSpec) { s.ConfigRef = nil }, "InvalidSpec", "InvalidSpec"},

		"no resourceRef":   {func(s *v1alpha1.MutationSpec) { s.ConfigRef.ResourceRef = nil }, "InvalidSpec", "InvalidSpec"},
		"unknown kind":     {func(s *v1alpha1.MutationSpec) { s.SourceRef.Kind = "GitRepository" }, "InvalidSpec", "InvalidSpec"},
		"denied source":    {func(s *v1alpha1.MutationSpec) { s.SourceRef.Namespace = "team" }, "AccessDenied", "AccessDenied"},
		"denied config":    {func(s *v1alpha1.MutationSpec) { s.ConfigRef.Namespace = "team" }, "AccessDenied", "AccessDenied"},
		"values alone":     {func(s *v1alpha1.MutationSpec) { s.ConfigRef = nil; inline(`{"a":1}`)(s) }, "InvalidSpec", "InvalidSpec"},
		"missing source":   {func(s *v1alpha1.MutationSpec) { s.SourceRef.Name = "none" }, v1alpha1.SourceRefNotReadyReason, ""},
		"missing config":   {func(s *v1alpha1.MutationSpec) { s.ConfigRef.Name = "none" }, v1alpha1.ConfigRefNotReadyReason, ""},
		"missing resource": {func(s *v1alpha1.MutationSpec) { s.ConfigRef = component("none") }, v1alpha1.GetResourceFailedReason, ""},
		"no such path": {func(s *v1alpha1.MutationSpec) {
			s.ConfigRef.ResourceRef.ReferencePath = []map[string]string{{"name": "x"}}
		}, v1alpha1.ComponentDescriptorNotFoundReason, ""},
		"no archive": {func(s *v1alpha1.MutationSpec) { s.SourceRef = *component("text") }, v1alpha1.SourceNotATarArchiveReason, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			c := s.configure(t, tc.change)
			wantRefused(t, c, "False "+tc.ready, "")
			stall := ""
			if tc.stall != "" {
				stall = "True " + tc.stall
			}
			if got := reconcilertest.Conditions(c)["Stalled"]; got != stall {
				t.Errorf("Stalled is %q, want %q: %s", got, stall, reconcilertest.Message(c, "Ready"))
			}
		})
	}
}

func TestImagesNeedAComponent(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	r := reconcilertest.Resource("config", "app", "config")
	s.Create(r)
	s.resources.Reconcile(r)
	s.prove(t)
	ref := reconcilertest.From(v1alpha1.ResourceKind, "config")
	l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("localized"), Spec: v1alpha1.MutationSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "manifests"), ConfigRef: &ref,
	}}
	s.Create(l)
	s.localizations.Reconcile(l)
	wantRefused(t, l, "False InvalidSpec", "images are looked up in the component")
}
