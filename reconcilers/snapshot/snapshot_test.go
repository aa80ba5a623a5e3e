package snapshot_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

const address = "https://registry.example.com:5000"

func install(w *reconcilertest.World) *reconcilertest.Controller {
	return w.Install(snapshotkind.Plugin(snapshotkind.Options{
		Lifecycle: w.Lifecycle, Store: w.Store, Address: address, Recheck: 7 * time.Minute,
	}))
}

// write puts content into the store.
func write(t *testing.T, w *reconcilertest.World) snapshot.Result {
	t.Helper()
	return writeContent(t, w, "content")
}

func writeContent(t *testing.T, w *reconcilertest.World, content string) snapshot.Result {
	t.Helper()
	repository, err := w.Store.Repository(snapshot.RepositoryName("default", "app"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := snapshot.Write(t.Context(), repository, snapshot.Meta{Kind: snapshot.Opaque}, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// written puts content into the store and its Snapshot into the cluster.
func written(t *testing.T, w *reconcilertest.World) *v1alpha1.Snapshot {
	t.Helper()
	result := write(t, w)
	s := &v1alpha1.Snapshot{
		ObjectMeta: reconcilertest.Named("app"),
		Spec:       v1alpha1.SnapshotSpec{Tag: "1.0.0", Digest: result.LayerDigest.String(), ManifestDigest: result.ManifestDigest.String()},
	}
	w.Create(s)
	return s
}

func TestContentIsProved(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := install(w), written(t, w)
	w.Writes()
	result := controller.Reconcile(s)
	if result.RequeueAfter != 7*time.Minute {
		t.Errorf("looked at again after %s, want the interval of the kind", result.RequeueAfter)
	}
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(s)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	got := []string{s.Status.Digest, s.Status.ManifestDigest, s.Status.Tag, s.Status.RepositoryURL, reconcilertest.Message(s, "Ready")}
	want := []string{s.Spec.Digest, s.Spec.ManifestDigest, "1.0.0", address + "/default/app", "Snapshot with name 'app' is ready"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"status Snapshot default/app"}, w.Writes()); diff != "" {
		t.Errorf("writes: one is enough for an instant kind (-want +got):\n%s", diff)
	}
	controller.Reconcile(s)
	if writes := w.Writes(); len(writes) > 0 {
		t.Errorf("writes %v of unchanged content", writes)
	}
}

// TestTamperedContentIsWrittenAgain changes what is on the disk. The Snapshot finds it out, and what its owner writes then is
// sound.
func TestTamperedContentIsWrittenAgain(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := install(w), written(t, w)
	controller.Reconcile(s)
	w.Tamper(s.Spec.Digest)
	controller.Reconcile(s)
	if got, message := reconcilertest.Conditions(s)["Ready"], reconcilertest.Message(s, "Ready"); got != "False ContentMissing" || !strings.Contains(message, "damaged") || !strings.Contains(message, s.Spec.Digest) {
		t.Errorf("Ready is %q: %s", got, message)
	}
	write(t, w)
	controller.Reconcile(s)
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(s)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if got := string(w.Stored("default", "app", s.Spec.ManifestDigest).Content); got != "content" {
		t.Errorf("content is %q", got)
	}
}

func TestContentThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*reconcilertest.World, *v1alpha1.Snapshot)
		reason string
	}{
		"other manifest": {func(w *reconcilertest.World, s *v1alpha1.Snapshot) {
			w.Change(s, func() { s.Spec.ManifestDigest = digest.FromString("x").String() })
		}, "it was never written"},
		"other layer": {func(w *reconcilertest.World, s *v1alpha1.Snapshot) {
			w.Change(s, func() { s.Spec.Digest = digest.FromString("x").String() })
		}, "the manifest is of other content"},
		"older controller": {func(w *reconcilertest.World, s *v1alpha1.Snapshot) {
			w.Change(s, func() { s.Spec.ManifestDigest = "" })
		}, "the owner writes it anew"},
		"manifest deleted": {func(w *reconcilertest.World, s *v1alpha1.Snapshot) {
			repository, err := w.Contents.Repository("default/app")
			if err != nil {
				t.Error(err)
				return
			}
			if err := repository.DeleteManifest(t.Context(), digest.Digest(s.Spec.ManifestDigest)); err != nil {
				t.Error(err)
			}
		}, "the registry was cleaned up by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			controller, s := install(w), written(t, w)
			controller.Reconcile(s)
			w.Events()
			tc.change(w, s)
			result := controller.Reconcile(s)
			want := map[string]string{"Ready": "False ContentMissing", "Reconciling": "True ProgressingWithRetry"}
			if diff := cmp.Diff(want, reconcilertest.Conditions(s)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if result.RequeueAfter != 7*time.Minute {
				t.Errorf("looked at again after %s, want the interval of the kind", result.RequeueAfter)
			}
			if events := w.Events(); len(events) != 2 {
				t.Errorf("events %q, want the cause and the end", events)
			}
		})
	}
}

// damaged is a store whose manifests are not what they were.
type damaged struct{ snapshot.Store }

func (d damaged) Repository(name string) (snapshot.Repository, error) {
	repository, err := d.Store.Repository(name)
	return damagedRepository{repository}, err
}

type damagedRepository struct{ snapshot.Repository }

func (d damagedRepository) Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	desc, body, err := d.Repository.Manifest(ctx, ref)
	return desc, append(body, ' '), err
}

func TestDamagedContentIsMissing(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	s := written(t, w)
	w.Store = damaged{w.Store}
	install(w).Reconcile(s)
	if got := reconcilertest.Conditions(s)["Ready"]; got != "False "+v1alpha1.ContentMissingReason {
		t.Errorf("Ready is %q, want that the owner writes it again", got)
	}
}

func TestDeletedSnapshotOfAnOlderController(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := install(w), written(t, w)
	w.Change(s, func() { s.Finalizers = []string{v1alpha1.SnapshotFinalizer} })
	if err := w.Contents.Close(); err != nil { // the registry is gone
		t.Fatal(err)
	}
	w.Delete(s)
	controller.Reconcile(s)
	if w.Has(s) {
		t.Error("the Snapshot is still there: deletion must not wait for a registry")
	}
}

// TestLivingSnapshotsWaitForNobody: where content goes by itself, no finalizer stays that an uninstallation would leave behind.
func TestLivingSnapshotsWaitForNobody(t *testing.T) {
	t.Parallel()
	const theirs = "example.com/theirs"
	for name, tc := range map[string]struct {
		before, after []string
		suspended     bool
		forget        bool
		reason        string
	}{
		"of before":       {[]string{v1alpha1.SnapshotFinalizer}, nil, false, false, "an older controller has set it, or this one with a registry of others"},
		"of others":       {[]string{theirs, v1alpha1.SnapshotFinalizer}, []string{theirs}, false, false, "what others wait for is theirs"},
		"suspended":       {[]string{v1alpha1.SnapshotFinalizer}, nil, true, false, "it can be deleted like any other"},
		"in use":          {[]string{v1alpha1.SnapshotFinalizer}, []string{v1alpha1.SnapshotFinalizer}, false, true, "the content has to be taken away with it"},
		"not set":         {nil, []string{v1alpha1.SnapshotFinalizer}, false, true, "the registry was the embedded one before"},
		"without content": {[]string{v1alpha1.SnapshotFinalizer}, nil, false, false, "nobody may ever write it again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			var controller *reconcilertest.Controller
			if tc.forget {
				controller = forgetful(w, new(error))
			} else {
				controller = install(w)
			}
			s := written(t, w)
			w.Change(s, func() {
				s.Finalizers, s.Spec.Suspend = tc.before, tc.suspended
				if name == "without content" {
					s.Spec.ManifestDigest = ""
				}
			})
			controller.Reconcile(s)
			if diff := cmp.Diff(tc.after, s.Finalizers); diff != "" {
				t.Errorf("finalizers: %s (-want +got):\n%s", tc.reason, diff)
			}
			w.Writes()
			controller.Reconcile(s)
			if writes := w.Writes(); len(writes) > 0 {
				t.Errorf("it writes %v when nothing has changed", writes)
			}
		})
	}
}

func TestUnusableStoreIsAPassingFault(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	controller, s := install(w), written(t, w)
	controller.Reconcile(s)
	if err := w.Contents.Close(); err != nil {
		t.Fatal(err)
	}
	controller.Reconcile(s)
	if got := reconcilertest.Conditions(s)["Ready"]; got != "True Succeeded" {
		t.Errorf("Ready is %s, want what was proved last: a store that is away has lost nothing", got)
	}
}
