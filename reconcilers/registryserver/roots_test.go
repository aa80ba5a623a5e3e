package registryserver

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/store"
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
	if !got.Complete || !got.Managed("any/repository") {
		t.Error("the roots are not all that there is, or tags keep content by themselves")
	}
}
