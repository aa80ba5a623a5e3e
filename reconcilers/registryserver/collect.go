package registryserver

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// roots tells the collector of the registry what must stay: what Snapshot objects name, what they named before as long as
// there is room for it, and what is deployed of it.
// It reads the cache, which has seen all objects before it answers at all.
type roots struct {
	reader client.Reader
	// history is how much of the past of a Snapshot stays, whatever its status says: one that is suspended, or lost its content,
	// does not get its status shortened.
	history int
}

// +kubebuilder:rbac:roleName=registry,groups=delivery.ocm.software,resources=snapshots;fluxdeployers,verbs=list;watch

// Roots implements store.Roots.
func (r roots) Roots(ctx context.Context) (store.RootSet, error) {
	all := &v1alpha1.SnapshotList{}
	// The objects are only looked at; copies of all of them would take more memory than all that is known of the content.
	if err := r.reader.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return store.RootSet{}, fmt.Errorf("list Snapshots: %w", err)
	}
	set := store.RootSet{
		Complete: true,
		// What was written for Snapshots is kept by them, and not by tags. What else there is, such as components that were
		// replicated into this registry, stays until its tag is deleted.
		Managed: snapshot.IsRepositoryName,
	}
	for i := range all.Items {
		s := &all.Items[i]
		repository := snapshot.RepositoryName(s.Namespace, s.Name)
		for _, manifest := range []string{s.Spec.ManifestDigest, s.Status.ManifestDigest} {
			if manifest != "" {
				set.Manifests = append(set.Manifests, store.Root{Repository: repository, Digest: digest.Digest(manifest)})
			}
		}
		// The oldest comes first, because the first is the first to go when room is needed.
		past := s.Status.History[:min(r.history, len(s.Status.History))]
		for _, revision := range slices.Backward(past) {
			set.Manifests = append(set.Manifests, store.Root{Repository: repository, Digest: digest.Digest(revision.ManifestDigest), Superseded: true})
		}
	}
	deployed, err := r.deployed(ctx)
	if err != nil {
		return store.RootSet{}, err
	}
	set.Manifests = append(set.Manifests, deployed...)
	return set, nil
}

// deployed is what Flux may still pull though its source has moved on.
func (r roots) deployed(ctx context.Context) ([]store.Root, error) {
	handed, err := source.HandedOver(ctx, r.reader)
	if err != nil {
		return nil, err
	}
	var kept []store.Root
	for _, h := range handed {
		kept = append(kept, store.Root{Repository: h.Repository, Digest: digest.Digest(h.Manifest)})
	}
	return kept, nil
}

// collector frees what no Snapshot and no FluxDeployer names any more, in every replica, beside everything else.
func (r *Registry) collector(mgr ctrl.Manager, metrics *registry.Metrics) *store.Collector {
	return &store.Collector{
		Store:    r.store,
		Roots:    roots{reader: mgr.GetCache(), history: r.options.History},
		Interval: r.options.CollectInterval,
		Report:   report(r.log, metrics, r.store.Capacity),
	}
}

func report(log logr.Logger, metrics *registry.Metrics, capacity func() store.Capacity) func(store.CollectStats, error) {
	return func(stats store.CollectStats, err error) {
		metrics.Collected(stats, err)
		switch {
		case err != nil:
			log.Error(err, "Content that nothing refers to was not collected, the next run tries again")
		case stats.Pressed && stats.Manifests+stats.Blobs > 0:
			// Whoever misses what Snapshots stood for before finds here why it went: its disk may be full of the content of others.
			room := capacity()
			log.Info("Gave up content as there is little room", "manifests", stats.Manifests, "blobs", stats.Blobs, "bytes", stats.Bytes,
				"superseded", stats.Superseded, "used", room.Used, "max", room.Max, "disk", room.Total, "diskFree", room.Free)
		case stats.Manifests+stats.Blobs > 0:
			log.Info("Collected content that nothing refers to", "manifests", stats.Manifests, "blobs", stats.Blobs, "bytes", stats.Bytes,
				"superseded", stats.Superseded)
		}
	}
}
