package registryserver

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// roots tells the collector of the registry what must stay: what Snapshot objects name. It reads the cache, which has seen
// all objects before it answers at all.
type roots struct {
	reader client.Reader
}

// Roots implements store.Roots.
func (r roots) Roots(ctx context.Context) (store.RootSet, error) {
	all := &v1alpha1.SnapshotList{}
	if err := r.reader.List(ctx, all); err != nil {
		return store.RootSet{}, fmt.Errorf("list Snapshots: %w", err)
	}
	set := store.RootSet{
		Complete: true,
		// Everything in the registry was written for a Snapshot; its tags alone keep nothing.
		Managed: func(string) bool { return true },
	}
	for i := range all.Items {
		s := &all.Items[i]
		repository := snapshot.RepositoryName(s.Namespace, s.Name)
		for _, manifest := range []string{s.Spec.ManifestDigest, s.Status.ManifestDigest} {
			if manifest != "" {
				set.Manifests = append(set.Manifests, store.Root{Repository: repository, Digest: digest.Digest(manifest)})
			}
		}
	}
	return set, nil
}

// collector frees what no Snapshot names any more, in every replica, beside everything else.
func (r *Registry) collector(mgr ctrl.Manager, metrics *registry.Metrics) *store.Collector {
	return &store.Collector{
		Store:    r.store,
		Roots:    roots{reader: mgr.GetCache()},
		Interval: r.options.CollectInterval,
		Report:   report(r.log, metrics),
	}
}

func report(log logr.Logger, metrics *registry.Metrics) func(store.CollectStats, error) {
	return func(stats store.CollectStats, err error) {
		metrics.Collected(stats, err)
		switch {
		case err != nil:
			log.Error(err, "Content that nothing refers to was not collected, the next run tries again")
		case stats.Manifests+stats.Blobs > 0:
			log.Info("Collected content that nothing refers to", "manifests", stats.Manifests, "blobs", stats.Blobs, "bytes", stats.Bytes)
		}
	}
}
