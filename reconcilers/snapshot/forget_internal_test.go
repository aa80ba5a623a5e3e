package snapshot

import (
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// TestDeployedContentStays keeps what a FluxDeployer has given to Flux, and lets a deletion go on without it after a while.
func TestDeployedContentStays(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	name := snapshot.Name(v1alpha1.ResourceKind, "app")
	repository := snapshot.RepositoryName("default", name)
	deployed := snapshottest.Write(t, snapshottest.Repository(t, w.Store, repository), []byte("deployed")).ManifestDigest.String()
	other := snapshottest.Write(t, snapshottest.Repository(t, w.Store, repository), []byte("other")).ManifestDigest.String()
	deployer := &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.FluxDeployerSpec{
		Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "app"),
	}}
	w.Create(deployer)
	w.SetStatus(deployer, func() { deployer.Status.LastAppliedRevision = "1.0.0@" + deployed })
	now := time.Now()
	f := &forgetter{store: w.Store, reader: w.Client, now: func() time.Time { return now }}

	if err := f.drop(t.Context(), repository, deployed); !errors.Is(err, errDeployed) {
		t.Errorf("what is deployed: %v", err)
	}
	if err := f.drop(t.Context(), snapshot.RepositoryName("default", "other"), deployed); err != nil {
		t.Errorf("the same in another repository: %v", err)
	}
	for range 2 {
		if err := f.drop(t.Context(), repository, other); err != nil {
			t.Errorf("what is not deployed: %v", err)
		}
	}
	deleted := metav1.NewTime(now)
	s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(name), Spec: v1alpha1.SnapshotSpec{ManifestDigest: deployed}}
	s.DeletionTimestamp = &deleted
	for _, step := range []struct {
		after time.Duration
		waits bool
	}{{0, true}, {deployedPatience - time.Second, true}, {deployedPatience, false}} {
		now = deleted.Add(step.after)
		err := f.undo(t.Context(), s)
		verdict := new(lifecycle.Verdict)
		if waits := errors.As(err, &verdict) && verdict.After > 0; waits != step.waits {
			t.Errorf("after %s: %v", step.after, err)
		}
	}
	w.Delete(deployer)
	if err := f.undo(t.Context(), s); err != nil {
		t.Error(err)
	}
	if found, err := snapshot.Exists(t.Context(), snapshottest.Repository(t, w.Store, repository), digest.Digest(deployed), ""); found || err != nil {
		t.Errorf("nobody deploys it, and it is there: %v, %v", found, err)
	}
}

// TestPatienceEnds lets a deletion go on without a registry that is gone for long.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	now := time.Now()
	gone := errors.New("connection refused")
	f := &forgetter{store: refusing{gone}, reader: w.Client, now: func() time.Time { return now }}
	deleted := metav1.NewTime(now)
	s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.SnapshotSpec{ManifestDigest: "sha256:1"}}
	s.DeletionTimestamp = &deleted
	for after, want := range map[time.Duration]error{0: gone, forgetPatience - time.Second: gone, forgetPatience: nil} {
		now = deleted.Add(after)
		if err := f.undo(t.Context(), s); !errors.Is(err, want) {
			t.Errorf("after %s: %v", after, err)
		}
	}
}

// refusing is a store that doesn't answer.
type refusing struct{ err error }

func (r refusing) Repository(string) (snapshot.Repository, error) { return nil, r.err }
