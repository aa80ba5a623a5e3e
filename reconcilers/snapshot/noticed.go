package snapshot

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// plain is the length up to which the name of a repository is surely that of its Snapshot. Longer ones may have been cut.
const plain = 100

// noticed wakes the Snapshots that notices are about.
func noticed(mgr ctrl.Manager, notices Notices) ctrlsource.Source {
	return ctrlsource.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		if notices == nil {
			return nil
		}
		go notices.Follow(ctx, func(n store.Notice) {
			names, err := snapshotsOf(ctx, mgr.GetClient(), n.Repository)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Snapshots were not woken, they look again by themselves", "repository", n.Repository)
			}
			for _, name := range names {
				queue.Add(reconcile.Request{NamespacedName: name})
			}
		})
		return nil
	})
}

// snapshotsOf returns the Snapshot whose content lies in the repository, or all of them if it has no name. There may be no
// such Snapshot, which does no harm to a queue. An index would cost memory for every Snapshot, and few names are ever cut.
func snapshotsOf(ctx context.Context, reader client.Reader, repository string) ([]types.NamespacedName, error) {
	namespace, name, _ := strings.Cut(repository, "/")
	if repository != "" && len(repository) <= plain {
		return []types.NamespacedName{{Namespace: namespace, Name: name}}, nil
	}
	all := &v1alpha1.SnapshotList{}
	// The objects are only looked at.
	if err := reader.List(ctx, all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var names []types.NamespacedName
	for i := range all.Items {
		if s := &all.Items[i]; repository == "" || snapshot.RepositoryName(s.Namespace, s.Name) == repository {
			names = append(names, client.ObjectKeyFromObject(s))
		}
	}
	return names, nil
}
