package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
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
	f := &forgetter{store: w.Store, deployers: w.Client, now: func() time.Time { return now }}

	if err := drop(t, f, repository, deployed); !errors.Is(err, errDeployed) {
		t.Errorf("what is deployed: %v", err)
	}
	if err := drop(t, f, snapshot.RepositoryName("default", "other"), deployed); err != nil {
		t.Errorf("the same in another repository: %v", err)
	}
	for range 2 {
		if err := drop(t, f, repository, other); err != nil {
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
	f := &forgetter{store: refusing{gone}, deployers: w.Client, now: func() time.Time { return now }}
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

// drop deletes one manifest.
func drop(t *testing.T, f *forgetter, repository, manifest string) error {
	t.Helper()
	_, err := f.pass(t.Context(), forgetTimeout, repository, []string{manifest})
	return err
}

// TestWhatFluxIsAtStays keeps what Flux was given and has not got ready with: it pulls it nevertheless.
func TestWhatFluxIsAtStays(t *testing.T) {
	t.Parallel()
	name := snapshot.Name(v1alpha1.ResourceKind, "app")
	repository := snapshot.RepositoryName("default", name)
	for name, tc := range map[string]struct {
		applied, attempted string
		kept               []string
	}{
		"nothing yet":                        {"", "", nil},
		"the first ever":                     {"", "1.0.0@sha256:a", []string{"sha256:a"}},
		"the next":                           {"1.0.0@sha256:a", "1.0.1@sha256:b", []string{"sha256:a", "sha256:b"}},
		"ready":                              {"1.0.1@sha256:b", "1.0.1@sha256:b", []string{"sha256:b"}},
		"made by a release that did not say": {"1.0.0@sha256:a", "", []string{"sha256:a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			deployer := &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.FluxDeployerSpec{
				Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(v1alpha1.ResourceKind, "app"),
			}}
			w.Create(deployer)
			w.SetStatus(deployer, func() {
				deployer.Status.LastAppliedRevision, deployer.Status.LastAttemptedRevision = tc.applied, tc.attempted
			})
			f := &forgetter{store: &deleting{}, deployers: w.Client, now: time.Now}
			left, err := f.pass(t.Context(), forgetTimeout, repository, []string{"sha256:a", "sha256:b", "sha256:c"})
			if !slices.Equal(left, tc.kept) || errors.Is(err, errDeployed) != (len(tc.kept) > 0) {
				t.Errorf("%v stay, want %v: %v", left, tc.kept, err)
			}
		})
	}
}

// deleting is a store that counts deletions and answers them all with the same.
type deleting struct {
	asked  []string
	answer func(ctx context.Context) error
}

func (d *deleting) Repository(string) (snapshot.Repository, error) {
	return deletingRepository{store: d}, nil
}

// deletingRepository is its only repository.
type deletingRepository struct {
	snapshot.Repository
	store *deleting
}

func (r deletingRepository) DeleteManifest(ctx context.Context, manifest digest.Digest) error {
	d := r.store
	d.asked = append(d.asked, manifest.String())
	if d.answer == nil {
		return nil
	}
	return d.answer(ctx)
}

func many(n int) (all []v1alpha1.SnapshotRevision) {
	for i := range n {
		all = append(all, v1alpha1.SnapshotRevision{ManifestDigest: fmt.Sprintf("sha256:%d", i)})
	}
	return all
}

// TestOneAnswerIsEnough asks a registry that refuses, or is silent, once: not for each manifest, and not for each Snapshot.
func TestOneAnswerIsEnough(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		pause time.Duration
	}{
		"refused":      {remote.ErrUnauthorized, refusalPause},
		"silent":       {context.DeadlineExceeded, silencePause},
		"unreachable":  {remote.ErrUnreachable, silencePause},
		"a login page": {remote.ErrUnsure, silencePause},
		"another":      {errors.New("it answered 400 Bad Request"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			now := time.Now()
			store := &deleting{answer: func(context.Context) error { return fmt.Errorf("delete: %w", tc.err) }}
			c := &controller{history: 2, forgetter: &forgetter{store: store, deployers: w.Client, now: func() time.Time { return now }}}
			first, second := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("a")}, &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("b")}
			first.Status.History, second.Status.History = many(maxHistory), many(maxHistory)
			look := func(s *v1alpha1.Snapshot) {
				t.Helper()
				if err := c.forget(t.Context(), &run{obj: s}); err != nil || len(s.Status.History) != maxHistory {
					t.Errorf("%d are listed still, %v", len(s.Status.History), err)
				}
			}
			look(first)
			if len(store.asked) != 1 {
				t.Errorf("asked %d times in one look", len(store.asked))
			}
			look(second)
			want := 2
			if tc.pause > 0 {
				want = 1
			}
			if len(store.asked) != want {
				t.Errorf("asked %d times in two looks, want %d", len(store.asked), want)
			}
			now = now.Add(tc.pause)
			look(second)
			if len(store.asked) != want+1 {
				t.Errorf("asked %d times after the pause, want one more than %d", len(store.asked), want)
			}
		})
	}
}

// TestDeletionIsBounded deletes a Snapshot from a registry that accepts connections and says nothing: the deadline is one for
// everything, and short when the patience is over.
func TestDeletionIsBounded(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	now := time.Now()
	var left time.Duration
	store := &deleting{answer: func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Error("a deletion has no deadline")
		}
		left = time.Until(deadline)
		return context.DeadlineExceeded
	}}
	f := &forgetter{store: store, deployers: w.Client, now: func() time.Time { return now }}
	deleted := metav1.NewTime(now)
	s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.SnapshotSpec{ManifestDigest: "sha256:now"}}
	s.Status.History, s.DeletionTimestamp = many(maxHistory), &deleted
	if err := f.undo(t.Context(), s); !errors.Is(err, context.DeadlineExceeded) || len(store.asked) != 1 || left > forgetTimeout {
		t.Errorf("asked %d times with %s left: %v", len(store.asked), left, err)
	}
	now = deleted.Add(forgetPatience)
	if err := f.undo(t.Context(), s); err != nil || len(store.asked) != 2 || left > lastTimeout {
		t.Errorf("after the patience, asked %d times with %s left: %v", len(store.asked), left, err)
	}
	if err := f.undo(t.Context(), s); err != nil || len(store.asked) != 2 {
		t.Errorf("the next Snapshot asked again: %d times, %v", len(store.asked), err)
	}
}
