package endurance

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// watch calls a function with every change of the objects of a kind in a namespace, from now on, one after the other. It
// returns a function that ends that, and the objects that there are now.
func (w *world) watch(namespace, kind string, each func(watch.EventType, *unstructured.Unstructured)) (present []unstructured.Unstructured, stop func()) {
	w.t.Helper()
	list, err := w.List(w.t.Context(), namespace, kind)
	if err != nil {
		w.t.Fatalf("list %s: %v", kind, err)
	}
	present, since := list.Items, list.GetResourceVersion()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	events, err := w.Client.Watch(ctx, list, &client.ListOptions{Namespace: namespace, Raw: &metav1.ListOptions{ResourceVersion: since}})
	if err != nil {
		cancel()
		w.t.Fatalf("watch %s: %v", kind, err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for event := range events.ResultChan() {
			if obj, ok := event.Object.(*unstructured.Unstructured); ok && event.Type != watch.Error {
				each(event.Type, obj)
			} else if ctx.Err() == nil {
				w.t.Errorf("watch %s: %s %v", kind, event.Type, event.Object)
			}
		}
		if ctx.Err() == nil {
			w.t.Errorf("the API server has ended the watch of %s: what happened then was not seen", kind)
		}
	})
	stop = func() {
		cancel()
		events.Stop()
		group.Wait()
	}
	w.t.Cleanup(stop)
	return present, stop
}

// change is a change of an object that was seen.
type change struct {
	event  watch.EventType
	object *unstructured.Unstructured
}

func (c change) String() string {
	ready, err := e2etest.Condition(c.object, meta.ReadyCondition)
	if err != nil {
		ready = &metav1.Condition{}
	}
	return fmt.Sprintf("%s %s %s generation %d, Ready %s %s: %s",
		c.event, c.object.GetKind(), c.object.GetName(), c.object.GetGeneration(), ready.Status, ready.Reason, ready.Message)
}

// witness remembers every change of the objects of some kinds.
type witness struct {
	w     *world
	kinds []string
	stops []func()

	mu      sync.Mutex
	latest  map[string]string // resource versions
	changes []change
	before  map[string]*unstructured.Unstructured
}

// witness begins to remember.
func (w *world) witness(kinds ...string) *witness {
	w.t.Helper()
	x := &witness{w: w, kinds: kinds, latest: map[string]string{}, before: map[string]*unstructured.Unstructured{}}
	for _, kind := range kinds {
		x.mu.Lock()
		present, stop := w.watch(w.Namespace, kind, func(event watch.EventType, obj *unstructured.Unstructured) { x.see(event, obj) })
		for i := range present {
			x.latest[key(&present[i])] = present[i].GetResourceVersion()
			x.before[key(&present[i])] = &present[i]
		}
		x.mu.Unlock()
		x.stops = append(x.stops, stop)
	}
	return x
}

func key(obj *unstructured.Unstructured) string { return obj.GetKind() + " " + obj.GetName() }

func (x *witness) see(event watch.EventType, obj *unstructured.Unstructured) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.latest[key(obj)] = obj.GetResourceVersion()
	x.changes = append(x.changes, change{event, obj})
}

// stop ends the remembering when all that has happened until now was seen, and returns it.
func (x *witness) stop() []change {
	x.w.t.Helper()
	for _, kind := range x.kinds {
		for _, obj := range x.w.objects(kind) {
			x.w.Eventually("the watch has seen "+key(&obj), func() error {
				x.mu.Lock()
				defer x.mu.Unlock()
				// A number, whatever the API says: the watch may be ahead of the list.
				if seen := x.latest[key(&obj)]; compareVersions(seen, obj.GetResourceVersion()) < 0 {
					return fmt.Errorf("it is at %q, the object at %s", seen, obj.GetResourceVersion())
				}
				return nil
			})
		}
	}
	for _, stop := range x.stops {
		stop()
	}
	return x.changes
}

func compareVersions(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// fallen returns the changes after which one of the kinds was not ready.
func fallen(changes []change, kinds ...string) []change {
	var found []change
	for _, c := range changes {
		ready, err := e2etest.Condition(c.object, meta.ReadyCondition)
		if slices.Contains(kinds, c.object.GetKind()) && (c.event == watch.Deleted || err != nil || ready.Status != metav1.ConditionTrue) {
			found = append(found, c)
		}
	}
	return found
}

// failed returns the changes by which Flux says that something failed. That it is at work is its own matter.
func failed(changes []change) []change {
	return slices.DeleteFunc(fallen(changes, flux...), func(c change) bool {
		ready, err := e2etest.Condition(c.object, meta.ReadyCondition)
		return c.event != watch.Deleted && (err != nil || ready.Status != metav1.ConditionFalse)
	})
}

// settled wants an object to be ready and to have nothing in progress.
func settled(obj *unstructured.Unstructured) error {
	if err := e2etest.Ready(obj); err != nil {
		return err
	}
	for _, other := range []string{meta.ReconcilingCondition, meta.StalledCondition} {
		if c, err := e2etest.Condition(obj, other); err == nil {
			return fmt.Errorf("%s is %s, %s: %s", other, c.Status, c.Reason, c.Message)
		}
	}
	return nil
}
