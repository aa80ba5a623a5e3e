package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
)

// stubborn is a store that deletes nothing while there is an error.
type stubborn struct {
	snapshot.Store
	err *error
}

func (s stubborn) Repository(name string) (snapshot.Repository, error) {
	r, err := s.Store.Repository(name)
	return stubbornRepository{r, s.err}, err
}

type stubbornRepository struct {
	snapshot.Repository
	err *error
}

func (s stubbornRepository) DeleteManifest(ctx context.Context, dgst digest.Digest) error {
	if *s.err != nil {
		return *s.err
	}
	return s.Repository.DeleteManifest(ctx, dgst)
}

// forgetful installs the kind with a store that finds no garbage by itself.
func forgetful(w *reconcilertest.World, fails *error) *reconcilertest.Controller {
	return w.Install(snapshotkind.Plugin(snapshotkind.Options{
		Lifecycle: w.Lifecycle, Store: stubborn{w.Store, fails}, Address: address, History: 1, Forget: true,
	}))
}

// has tells whether the store has a manifest.
func has(t *testing.T, w *reconcilertest.World, manifest string) bool {
	t.Helper()
	repository, err := w.Store.Repository(snapshot.RepositoryName("default", "app"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = repository.Manifest(t.Context(), manifest)
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// TestForget takes out of the store what is further in the past than the history, as soon as that is possible.
func TestForget(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	var fails error
	controller, s := forgetful(w, &fails), written(t, w)
	var manifests []string
	next := func(content string) {
		t.Helper()
		turn(t, w, s, content)
		controller.Reconcile(s)
		manifests = append(manifests, s.Spec.ManifestDigest)
		if got := reconcilertest.Message(s, "Ready"); s.Status.ManifestDigest != s.Spec.ManifestDigest {
			t.Fatalf("%s is not taken up: %s", content, got)
		}
	}
	there := func(when string, want ...bool) {
		t.Helper()
		var got []bool
		for _, manifest := range manifests {
			got = append(got, has(t, w, manifest))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	next("a")
	next("b")
	there("the history has room", true, true)
	fails = errors.New("the registry is gone")
	next("c")
	there("the registry is gone", true, true, true)
	fails = nil
	controller.Reconcile(s)
	there("the registry is back", false, true, true)
	if diff := cmp.Diff([]string{"b"}, past(t, s)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	fails = fmt.Errorf("answer 405: %w", remote.ErrUndeletable)
	next("d")
	there("the registry deletes nothing", false, true, true, true)
	if diff := cmp.Diff([]string{"c"}, past(t, s)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// TestDeletion deletes a Snapshot: its content goes before the object does, unless the registry is gone for long.
func TestDeletion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fails  error
		stays  bool
		reason string
	}{
		"deleted":       {nil, false, "nobody else finds the content"},
		"undeletable":   {remote.ErrUndeletable, false, "the registry never will"},
		"registry gone": {errors.New("connection refused"), true, "it may come back soon"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			var fails error
			controller, s := forgetful(w, &fails), written(t, w)
			for _, content := range []string{"a", "b"} {
				turn(t, w, s, content)
				controller.Reconcile(s)
			}
			manifests := []string{s.Status.ManifestDigest, s.Status.History[0].ManifestDigest}
			fails = tc.fails
			w.Delete(s)
			result := controller.Reconcile(s)
			if got := w.Has(s); got != tc.stays || (result.RequeueAfter > 0) != tc.stays || result.RequeueAfter > time.Minute {
				t.Errorf("the object is there: %v, again after %s: %s", got, result.RequeueAfter, tc.reason)
			}
			for _, manifest := range manifests {
				if got := has(t, w, manifest); got != (tc.fails != nil) {
					t.Errorf("%s is in the store: %v", manifest, got)
				}
			}
		})
	}
}
