package reconcilertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// ledger holds the writes in their order, and the faults that a test has ordered.
type ledger struct {
	scheme *runtime.Scheme

	mu     sync.Mutex
	writes []string
	faults map[string]error
	uids   int
}

func newLedger() *ledger { return &ledger{faults: map[string]error{}} }

// note writes a line such as "create Snapshot default/app" down, and returns the fault that was ordered for it.
func (l *ledger) note(verb string, obj client.Object) error {
	line := fmt.Sprintf("%s %s %s", verb, kindOf(l.scheme, obj), client.ObjectKeyFromObject(obj))
	l.mu.Lock()
	defer l.mu.Unlock()
	for part, fault := range l.faults {
		if strings.HasPrefix(line, part) {
			return fault
		}
	}
	l.writes = append(l.writes, line)
	return nil
}

func (l *ledger) identify(obj client.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if obj.GetUID() == "" {
		l.uids++
		obj.SetUID(types.UID(fmt.Sprintf("00000000-0000-0000-0000-%012d", l.uids)))
	}
	if obj.GetGeneration() == 0 {
		obj.SetGeneration(1)
	}
}

// Writes returns the writes since it was called last, such as "create Snapshot default/app" or "status Resource
// default/app".
func (w *World) Writes() []string {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	writes := w.ledger.writes
	w.ledger.writes = nil
	return writes
}

// Refuse lets every write whose line begins with the text fail; a nil error lets them pass again.
func (w *World) Refuse(text string, err error) {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if w.ledger.faults[text] = err; err == nil {
		delete(w.ledger.faults, text)
	}
}

// funcs make the fake client behave like the API server where that matters: it gives identities and generations.
func (w *World) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			w.ledger.identify(obj)
			if err := w.ledger.note("create", obj); err != nil {
				return err
			}
			return c.Create(ctx, obj, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			if err := w.ledger.note("update", obj); err != nil {
				return err
			}
			return w.counting(ctx, c, obj, func() error { return c.Update(ctx, obj, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := w.ledger.note("patch", obj); err != nil {
				return err
			}
			return w.counting(ctx, c, obj, func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			if err := w.ledger.note("delete", obj); err != nil {
				return err
			}
			return c.Delete(ctx, obj, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if applied, ok := obj.(client.Object); ok {
				if err := w.ledger.note("apply", applied); err != nil {
					return err
				}
			}
			return c.Apply(ctx, obj, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := w.ledger.note(sub, obj); err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
		List: w.indexes.list,
	}
}

// counting does a write and counts the generation up when it changed the spec.
func (w *World) counting(ctx context.Context, c client.Client, obj client.Object, write func() error) error {
	before, ok := obj.DeepCopyObject().(client.Object)
	if !ok || c.Get(ctx, client.ObjectKeyFromObject(obj), before) != nil {
		return write()
	}
	if err := write(); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(specOf(before), specOf(obj)) {
		return nil
	}
	obj.SetGeneration(before.GetGeneration() + 1)
	return client.IgnoreNotFound(c.Update(ctx, obj)) // it is gone when the write took its last finalizer
}

func specOf(obj client.Object) any {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u.Object["spec"]
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil
	}
	return fields["spec"]
}

func kindOf(scheme *runtime.Scheme, obj runtime.Object) string {
	gvk, err := apiutil.GVKForObject(obj, scheme)
	if err != nil {
		return obj.GetObjectKind().GroupVersionKind().Kind
	}
	return gvk.Kind
}

// indexes are those of the cache: what the fake client would have to know before it is built.
type indexes struct {
	scheme *runtime.Scheme
	funcs  map[string]client.IndexerFunc
}

func indexKey(kind, field string) string { return kind + " " + field }

// IndexField implements client.FieldIndexer.
func (i indexes) IndexField(_ context.Context, obj client.Object, field string, fn client.IndexerFunc) error {
	i.funcs[indexKey(kindOf(i.scheme, obj), field)] = fn
	return nil
}

// list answers selections by an indexed field.
func (i indexes) list(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	selector := options.FieldSelector
	options.FieldSelector = nil
	if err := c.List(ctx, list, options); err != nil || selector == nil {
		return err
	}
	gvk, err := apiutil.GVKForObject(list, i.scheme)
	if err != nil {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	for _, requirement := range selector.Requirements() {
		fn, ok := i.funcs[indexKey(strings.TrimSuffix(gvk.Kind, "List"), requirement.Field)]
		if !ok {
			return fmt.Errorf("no index on field %s of %s", requirement.Field, gvk.Kind)
		}
		items = slices.DeleteFunc(items, func(item runtime.Object) bool {
			obj, ok := item.(client.Object)
			return !ok || !slices.Contains(fn(obj), requirement.Value)
		})
	}
	return meta.SetList(list, items)
}

// GVK returns the kind of an object of this cluster.
func (w *World) GVK(obj runtime.Object) schema.GroupVersionKind {
	w.t.Helper()
	gvk, err := apiutil.GVKForObject(obj, w.scheme)
	if err != nil {
		w.t.Fatalf("kind of %T: %v", obj, err)
	}
	return gvk
}
