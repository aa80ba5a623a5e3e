package source

import (
	"context"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// discoveryLag is how long the server may take from writing a CustomResourceDefinition to serving its kind.
const discoveryLag = 30 * time.Second

// Foreign tells which kinds of other projects the server has, and calls back as soon as it has one that was missing. It
// reacts to CustomResourceDefinitions and never asks on a schedule.
type Foreign struct {
	mgr     ctrl.Manager
	mu      sync.Mutex
	waiting map[schema.GroupVersionKind][]func(context.Context)
	// wake has room for one signal: that there was a change while the last one was handled.
	wake chan struct{}
}

// NewForeign returns a Foreign that runs in the manager.
func NewForeign(mgr ctrl.Manager) (*Foreign, error) {
	f := &Foreign{mgr: mgr, waiting: map[schema.GroupVersionKind][]func(context.Context){}, wake: make(chan struct{}, 1)}
	return f, mgr.Add(f)
}

// Served tells whether the server has the kind.
func (f *Foreign) Served(gvk schema.GroupVersionKind) bool {
	_, err := f.mgr.GetRESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	return err == nil
}

// WhenServed calls back once, as soon as the server has the kind, on a goroutine of its own.
func (f *Foreign) WhenServed(gvk schema.GroupVersionKind, callback func(context.Context)) {
	f.mu.Lock()
	f.waiting[gvk] = append(f.waiting[gvk], callback)
	f.mu.Unlock()
	f.signal()
}

func (f *Foreign) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// NeedLeaderElection is false: every replica keeps its watches, so that a new leader starts warm.
func (f *Foreign) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (f *Foreign) Start(ctx context.Context) error {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	informer, err := f.mgr.GetCache().GetInformer(ctx, crd)
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { f.signal() },
		UpdateFunc: func(any, any) { f.signal() },
	})
	if err != nil {
		return err
	}
	defer func() { _ = informer.RemoveEventHandler(registration) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
			f.settle(ctx)
		}
	}
}

// settle looks for waited-for kinds until none is left, or the server had time enough to serve what the change brought.
func (f *Foreign) settle(ctx context.Context) {
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, discoveryLag, true, func(ctx context.Context) (bool, error) {
		return f.notify(ctx) == 0, nil
	})
	if err != nil && ctx.Err() == nil {
		f.signal() // a server that is in trouble that long says nothing when it is over
	}
}

// notify calls back for every kind that is served by now and returns how many are still missing though some
// CustomResourceDefinition names them.
func (f *Foreign) notify(ctx context.Context) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	pending := 0
	for gvk, callbacks := range f.waiting {
		switch _, err := f.mgr.GetRESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version); {
		case err == nil:
			delete(f.waiting, gvk)
			for _, callback := range callbacks {
				go callback(ctx)
			}
		case !meta.IsNoMatchError(err):
			pending++ // discovery itself failed: try again
		case f.defined(ctx, gvk):
			pending++ // written, not yet served
		}
	}
	return pending
}

// defined tells whether a CustomResourceDefinition of the kind's group is there whose name could be its.
func (f *Foreign) defined(ctx context.Context, gvk schema.GroupVersionKind) bool {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	err := f.mgr.GetCache().Get(ctx, client.ObjectKey{Name: plural.Resource + "." + gvk.Group}, crd)
	return err == nil
}
