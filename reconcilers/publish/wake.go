package publish

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Notices tell what happens to repositories without the doing of their owners.
type Notices interface {
	// Follow calls a function with each notice from now on until the context is over. One without a repository is about all.
	Follow(ctx context.Context, each func(store.Notice))
}

// hashed is what the name of a Snapshot has more than that of its owner: a hyphen and seven characters.
const hashed = 8

// Room wakes the owners of a kind that were refused because there was no room, as soon as there is. They need no Snapshot for
// that: the first write of an owner may be the one that was refused. Of no notices comes nothing, and neither is anybody woken
// whose name is too long to be read from that of the repository: those try again after their backoff.
func Room(notices Notices, kind string) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		if notices == nil {
			return nil
		}
		go notices.Follow(ctx, func(n store.Notice) {
			if owner, ok := ownerOf(n.Repository, kind); ok && n.Kind == store.Room {
				queue.Add(reconcile.Request{NamespacedName: owner})
			}
		})
		return nil
	})
}

// ownerOf returns the owner of that kind whose snapshot lies in the repository. The characters that make the name of a
// Snapshot unique follow from the kind, too, so a repository has an owner of one kind only.
func ownerOf(repository, kind string) (types.NamespacedName, bool) {
	namespace, name, ok := strings.Cut(repository, "/")
	if !ok || len(name) <= hashed {
		return types.NamespacedName{}, false
	}
	owner := types.NamespacedName{Namespace: namespace, Name: name[:len(name)-hashed]}
	return owner, snapshot.RepositoryName(namespace, snapshot.Name(kind, owner.Name)) == repository
}
