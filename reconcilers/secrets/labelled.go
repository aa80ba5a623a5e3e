package secrets

import (
	"context"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Watched returns what a cache has to know about Secrets so that those with a label are watched: which ones, and that nothing but their names
// and their states is kept. Annotations may hold the content, as those of kubectl apply do.
func Watched(selector labels.Selector) map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{&corev1.Secret{}: {Label: selector, Transform: strip}}
}

func strip(obj any) (any, error) {
	if found, ok := obj.(*metav1.PartialObjectMetadata); ok {
		found.ObjectMeta = metav1.ObjectMeta{
			Namespace: found.Namespace, Name: found.Name, UID: found.UID, ResourceVersion: found.ResourceVersion,
		}
	}
	return obj, nil
}

// syncPatience is how long it may take until all Secrets that are to be watched were seen before the log says so.
const syncPatience = 30 * time.Second

// labelled are the Secrets that are watched.
type labelled struct {
	cache cache.Cache
	// namespace is the only one that is watched; empty is all.
	namespace string
	// all is set if there are no others.
	all bool
	// synced is set when all of them were seen. Who asks the cache before waits until then, without end where the right is lacking.
	synced atomic.Bool
}

// Setup adds the Lookout to the manager. If a selector is given, the Secrets that it selects are watched, in one namespace if it is not empty;
// the cache of the manager must have been made with Watched.
func (l *Lookout) Setup(mgr ctrl.Manager, selector labels.Selector, namespace string) error {
	if selector != nil {
		l.labelled = &labelled{cache: mgr.GetCache(), namespace: namespace, all: selector.Empty()}
		if err := mgr.Add(everywhere(l.listen)); err != nil {
			return err
		}
	}
	return mgr.Add(l)
}

// listen hears of the Secrets that are watched.
func (l *Lookout) listen(ctx context.Context) error {
	informer, err := l.labelled.cache.GetInformer(ctx, newMetadata(), cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    l.hear,
		UpdateFunc: func(_, obj any) { l.hear(obj) },
		DeleteFunc: l.lost,
	})
	if err != nil {
		return err
	}
	defer func() { _ = informer.RemoveEventHandler(registration) }()
	late := time.AfterFunc(syncPatience, func() {
		l.options.Log.Info("Secrets can't be watched yet, and are looked at like others: is the operator allowed to list and watch them?")
	})
	defer late.Stop()
	if toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		late.Stop()
		l.labelled.synced.Store(true)
	}
	<-ctx.Done()
	return nil
}

func (l *Lookout) hear(obj any) {
	if found, ok := obj.(*metav1.PartialObjectMetadata); ok {
		l.book.told(client.ObjectKeyFromObject(found), stateOf(found), time.Time{}) // a watch may lag behind
	}
}

// lost is for a Secret that is not there any more, or has lost its label.
func (l *Lookout) lost(obj any) {
	if last, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = last.Obj
	}
	if found, ok := obj.(*metav1.PartialObjectMetadata); ok {
		l.lookNow(client.ObjectKeyFromObject(found))
	}
}

// tells reports whether a Secret is watched and, as far as that says, what it was, so that it needs not be looked at.
func (w *labelled) tells(ctx context.Context, b *book, of name) bool {
	if w == nil || w.namespace != "" && w.namespace != of.Namespace || !w.synced.Load() {
		return false
	}
	found := newMetadata()
	err := w.cache.Get(ctx, of, found)
	if w.all && apierrors.IsNotFound(err) {
		return b.looked(of, state{})
	}
	return err == nil && b.looked(of, stateOf(found))
}

// everywhere is a runnable that every replica runs, leader or not.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
