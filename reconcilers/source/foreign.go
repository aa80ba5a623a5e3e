package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
)

// discoveryLag is how long the server may take from writing a CustomResourceDefinition to serving its kind.
const discoveryLag = 30 * time.Second

// definitions are the CustomResourceDefinitions of a server.
var definitions = apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions")

// Foreign tells which kinds of other projects the server has, and calls back as soon as it has one that was missing. It
// reacts to CustomResourceDefinitions and never asks on a schedule. It watches no others than those of the kinds that are missing,
// each by its name, so that it needs to be allowed nothing else.
type Foreign struct {
	mgr      ctrl.Manager
	metadata metadata.Interface

	mu      sync.Mutex
	waiting map[schema.GroupVersionKind]*missing
	// wake has room for one signal: that there was a change while the last one was handled.
	wake chan struct{}
}

// missing is a kind that the server did not have when it was asked.
type missing struct {
	callbacks []func(context.Context)
	// definition has the CustomResourceDefinition once it is there; it is nil while nobody watches.
	definition toolscache.Store
	unwatch    context.CancelFunc
}

// NewForeign returns a Foreign that runs in the manager.
func NewForeign(mgr ctrl.Manager) (*Foreign, error) {
	client, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("prepare the watch of CustomResourceDefinitions: %w", err)
	}
	f := &Foreign{mgr: mgr, metadata: client, waiting: map[schema.GroupVersionKind]*missing{}, wake: make(chan struct{}, 1)}
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
	m, known := f.waiting[gvk]
	if !known {
		m = &missing{}
		f.waiting[gvk] = m
	}
	m.callbacks = append(m.callbacks, callback)
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
	var watches sync.WaitGroup
	defer watches.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
			f.settle(ctx, &watches)
		}
	}
}

// settle looks for waited-for kinds until none is left, or the server had time enough to serve what the change brought.
func (f *Foreign) settle(ctx context.Context, watches *sync.WaitGroup) {
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, discoveryLag, true, func(context.Context) (bool, error) {
		return f.notify(ctx) == 0, nil
	})
	if err != nil && ctx.Err() == nil {
		f.signal() // a server that is in trouble that long says nothing when it is over
	}
	f.watch(ctx, watches)
}

// notify calls back for every kind that is served by now and returns how many are still missing though their
// CustomResourceDefinition is there.
func (f *Foreign) notify(ctx context.Context) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	pending := 0
	for gvk, m := range f.waiting {
		switch _, err := f.mgr.GetRESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version); {
		case err == nil:
			delete(f.waiting, gvk)
			if m.unwatch != nil {
				m.unwatch()
			}
			for _, callback := range m.callbacks {
				go callback(ctx)
			}
		case !meta.IsNoMatchError(err):
			pending++ // discovery itself failed: try again
		case m.definition != nil && len(m.definition.ListKeys()) > 0:
			pending++ // written, not yet served
		}
	}
	return pending
}

// watch begins to watch the CustomResourceDefinition of every kind that is missing. One that was written since the last look is
// seen by the watch, too.
func (f *Foreign) watch(ctx context.Context, watches *sync.WaitGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for gvk, m := range f.waiting {
		if m.definition != nil {
			continue
		}
		informer := metadatainformer.NewFilteredMetadataInformer(f.metadata, definitions, metav1.NamespaceAll, 0, nil, only(definitionOf(gvk))).Informer()
		_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { f.signal() },
			UpdateFunc: func(any, any) { f.signal() },
		})
		if err != nil {
			f.mgr.GetLogger().Error(err, "A kind that appears is not noticed before the operator starts again", "kind", gvk.String())
			continue
		}
		watched, unwatch := context.WithCancel(ctx)
		m.definition, m.unwatch = informer.GetStore(), unwatch
		watches.Go(func() { informer.RunWithContext(watched) })
	}
}

// definitionOf returns the name of the CustomResourceDefinition of a kind, whose plural is the usual one.
func definitionOf(gvk schema.GroupVersionKind) string {
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return plural.GroupResource().String()
}

func only(name string) func(*metav1.ListOptions) {
	return func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
}
