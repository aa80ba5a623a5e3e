package registryserver

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestRootsAreWhatSnapshotsName(t *testing.T) {
	t.Parallel()
	wanted, both := digest.FromString("wanted"), digest.FromString("both")
	moving := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("moving"), Spec: v1alpha1.SnapshotSpec{ManifestDigest: wanted.String()}}
	other := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("other"), Spec: v1alpha1.SnapshotSpec{ManifestDigest: both.String()}}
	other.Namespace = "team"
	old := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("old")} // of an older controller
	w := reconcilertest.New(t, moving, other, old)
	w.SetStatus(moving, func() { moving.Status.ManifestDigest = both.String() })
	got, err := roots{reader: w.Client}.Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []store.Root{
		{Repository: "default/moving", Digest: wanted},
		{Repository: "default/moving", Digest: both}, // who has the old one pinned pulls it still
		{Repository: "team/other", Digest: both},
	}
	if diff := cmp.Diff(want, got.Manifests); diff != "" {
		t.Errorf("roots (-want +got):\n%s", diff)
	}
	if !got.Complete || !got.Managed(snapshot.RepositoryName("team", "other")) {
		t.Error("the roots are not all that there is, or tags keep content of Snapshots by themselves")
	}
	if got.Managed("team/components/component-descriptors/acme.org/shop") {
		t.Error("tags don't keep what was replicated into the registry")
	}
}

func TestRootsAreWhatSnapshotsNamedBefore(t *testing.T) {
	t.Parallel()
	s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.SnapshotSpec{ManifestDigest: "sha256:now"}}
	w := reconcilertest.New(t, s)
	w.SetStatus(s, func() {
		s.Status.History = []v1alpha1.SnapshotRevision{
			{Tag: "3", Digest: "sha256:c", ManifestDigest: "sha256:3"},
			{Tag: "2", Digest: "sha256:b", ManifestDigest: "sha256:2"},
			{Tag: "1", Digest: "sha256:a", ManifestDigest: "sha256:1"},
		}
	})
	for limit, past := range [][]digest.Digest{{}, {"sha256:3"}, {"sha256:2", "sha256:3"}, {"sha256:1", "sha256:2", "sha256:3"}, {"sha256:1", "sha256:2", "sha256:3"}} {
		got, err := roots{reader: w.Client, history: limit}.Roots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []store.Root{{Repository: "default/app", Digest: "sha256:now"}}
		for _, manifest := range past {
			want = append(want, store.Root{Repository: "default/app", Digest: manifest, Superseded: true})
		}
		if diff := cmp.Diff(want, got.Manifests); diff != "" {
			t.Errorf("with a history of %d, the oldest first (-want +got):\n%s", limit, diff)
		}
	}
}

func TestRootsAreWhatIsDeployed(t *testing.T) {
	t.Parallel()
	old, attempted := digest.FromString("old"), digest.FromString("attempted")
	suspended := &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named("suspended")}
	suspended.Spec.SourceRef = v1alpha1.ObjectReference{Kind: v1alpha1.ResourceKind, Namespace: "team", Name: "app"}
	fresh := &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named("fresh")} // has deployed nothing yet
	w := reconcilertest.New(t, suspended, fresh)
	w.SetStatus(suspended, func() {
		suspended.Status.LastAppliedRevision = "1.0.0@" + old.String()
		suspended.Status.LastAttemptedRevision = "1.0.1@" + attempted.String()
	})
	got, err := roots{reader: w.Client}.Roots(t.Context())
	repository := snapshot.RepositoryName("team", snapshot.Name(v1alpha1.ResourceKind, "app"))
	want := []store.Root{{Repository: repository, Digest: old}, {Repository: repository, Digest: attempted}}
	if diff := cmp.Diff(want, got.Manifests); err != nil || diff != "" {
		t.Errorf("roots: %v (-want +got):\n%s", err, diff)
	}
}

// withoutDeployers fails to list FluxDeployers.
type withoutDeployers struct {
	client.Reader
	err error
}

func (r withoutDeployers) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.FluxDeployerList); ok {
		return r.err
	}
	return r.Reader.List(ctx, list, opts...)
}

func TestRootsWithoutFluxDeployers(t *testing.T) {
	t.Parallel()
	down := errors.New("the server does not answer")
	for name, tc := range map[string]struct {
		err    error
		passes bool
		reason string
	}{
		"no such kind": {&apimeta.NoKindMatchError{}, true, "nothing can be deployed"},
		"no answer":    {down, false, "what is deployed would be collected"},
	} {
		w := reconcilertest.New(t, &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.SnapshotSpec{ManifestDigest: "sha256:a"}})
		got, err := roots{reader: withoutDeployers{w.Client, tc.err}}.Roots(t.Context())
		if passes := err == nil && got.Complete && len(got.Manifests) == 1; passes != tc.passes || !tc.passes && !errors.Is(err, tc.err) {
			t.Errorf("%s: got %v (%v), want that it passes %t: %s", name, got.Manifests, err, tc.passes, tc.reason)
		}
	}
}
