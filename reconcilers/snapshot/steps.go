package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// controller holds what the steps of every run share.
type controller struct {
	store   snapshot.Store
	notices Notices
	metrics *metrics
	address string
	history int
	refused refused
	// forgetter is nil where the store finds by itself what nobody needs.
	forgetter *forgetter
}

// run is one reconciliation.
type run struct {
	obj    *v1alpha1.Snapshot
	events lifecycle.Events
}

func (r *run) repository() string { return snapshot.RepositoryName(r.obj.Namespace, r.obj.Name) }

// room says whether there is room for what the owner wants to write. It says nothing about what is there already.
func (c *controller) room(_ context.Context, r *run) error {
	var full string
	if c.notices != nil {
		full = c.notices.Full(r.repository())
	}
	told := conditions.Get(r.obj, v1alpha1.StorageFullCondition)
	switch {
	case full != "":
		c.refused.add(r.repository())
		if told == nil || told.Message != full {
			r.events.Warning(r.obj, v1alpha1.StorageFullReason, full)
		}
		conditions.MarkTrue(r.obj, v1alpha1.StorageFullCondition, v1alpha1.StorageFullReason, "%s", full)
	case told != nil:
		conditions.Delete(r.obj, v1alpha1.StorageFullCondition)
		// A store that was just opened has refused nobody yet, and says nothing by that.
		if c.refused.remove(r.repository()) {
			r.events.Normal(r.obj, meta.ProgressingReason, "The registry takes new content again")
		}
	}
	return nil
}

// maxRefused bounds of how many repositories it is remembered that they were refused room.
const maxRefused = 10_000

// refused are the repositories that this process has seen to be refused room.
type refused struct {
	mu  sync.Mutex
	all map[string]bool
}

func (r *refused) add(repository string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= maxRefused {
		r.all = map[string]bool{} // of the others no event will say that there is room
	}
	r.all[repository] = true
}

func (r *refused) remove(repository string) (found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = r.all[repository]
	delete(r.all, repository)
	return found
}

// prove looks for the content in the store, by its digest.
func (c *controller) prove(ctx context.Context, r *run) error {
	err := c.find(ctx, r)
	missing := errors.Is(err, errMissing)
	ready := conditions.Get(r.obj, meta.ReadyCondition)
	lost := ready != nil && ready.Reason == v1alpha1.ContentMissingReason
	switch {
	case missing && !lost:
		c.metrics.missing()
	case err == nil && lost:
		c.metrics.healed(time.Since(ready.LastTransitionTime.Time))
	}
	if missing {
		return lifecycle.Fail(v1alpha1.ContentMissingReason, err)
	}
	return err
}

// errMissing is matched when the content is not there, which is a verdict: its owner writes it again.
var errMissing = errors.New("the owner has to write it again")

func (c *controller) find(ctx context.Context, r *run) error {
	s := r.obj
	repository, err := c.store.Repository(r.repository())
	if err != nil {
		return lifecycle.Stall(v1alpha1.CreateRepositoryNameFailedReason, err)
	}
	if s.Spec.ManifestDigest == "" {
		return fmt.Errorf("spec.manifestDigest is empty, as a controller that came before has left it: %w", errMissing)
	}
	present, err := snapshot.Exists(ctx, repository, digest.Digest(s.Spec.ManifestDigest), digest.Digest(s.Spec.Digest))
	if _, damaged := errors.AsType[*snapshot.DigestMismatchError](err); damaged {
		return fmt.Errorf("%w, %w", err, errMissing)
	}
	if err != nil {
		return lifecycle.Retry(v1alpha1.SnapshotRegistryFailedReason, err)
	}
	if !present {
		return fmt.Errorf("content %s is not in repository %s, %w", s.Spec.ManifestDigest, r.repository(), errMissing)
	}
	return nil
}

// remember says what was found, and what was found before that.
func (c *controller) remember(ctx context.Context, r *run) error {
	status, spec := &r.obj.Status, r.obj.Spec
	before := v1alpha1.SnapshotRevision{Tag: status.Tag, Digest: status.Digest, ManifestDigest: status.ManifestDigest}
	if before.ManifestDigest != "" && before.ManifestDigest != spec.ManifestDigest {
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Content %s with digest %s takes the place of %s with digest %s",
			spec.Tag, spec.ManifestDigest, before.Tag, before.ManifestDigest))
		status.History = slices.Insert(status.History, 0, before)
	}
	all := status.History
	status.History = past(all, spec.ManifestDigest, c.listed())
	c.unlist(ctx, r, all)
	status.Digest, status.ManifestDigest, status.Tag = spec.Digest, spec.ManifestDigest, spec.Tag
	status.RepositoryURL = c.address + "/" + r.repository()
	return nil
}

// past returns the first entries of a history, each content once, and without the current one: going back to what was before
// takes it out of the past.
func past(history []v1alpha1.SnapshotRevision, current string, limit int) []v1alpha1.SnapshotRevision {
	seen := map[string]bool{current: true}
	var kept []v1alpha1.SnapshotRevision
	for _, revision := range history {
		if seen[revision.ManifestDigest] || len(kept) >= limit {
			continue
		}
		seen[revision.ManifestDigest] = true
		kept = append(kept, revision)
	}
	return kept
}
