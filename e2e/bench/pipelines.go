package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
)

// submitters is how many requests at a time bring the objects into the cluster. More would only queue in the API server.
const submitters = 4

// kinds of a pipeline, in its order.
var kinds = []string{
	v1alpha1.ComponentVersionKind, v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind, v1alpha1.FluxDeployerKind,
}

// fleet is a number of pipelines, each with a namespace and a component of its own.
type fleet struct {
	w        *world
	names    []string
	interval time.Duration
	arrivals *arrivals
}

// newFleet prepares the pipelines: everything but their objects.
func (w *world) newFleet(ctx context.Context, count int, interval time.Duration) (*fleet, error) {
	f := &fleet{w: w, interval: interval, arrivals: newArrivals()}
	for i := range count {
		f.names = append(f.names, fmt.Sprintf("pipeline-%03d", i))
	}
	w.say("publishing %d components", count)
	err := each(f.names, func(i int, name string) error {
		return errors.Join(f.publish(ctx, i, 1), w.namespace(ctx, name))
	})
	return f, err
}

// version is a version of a pipeline's component. No two pipelines have the same, and so none has content of another.
func version(pipeline, major int) string { return fmt.Sprintf("%d.0.%d", major, pipeline) }

func (f *fleet) publish(ctx context.Context, pipeline, major int) error {
	o := podinfo.Options{Version: version(pipeline, major), ImageRegistry: "registry.example/acme"}
	return podinfo.Publish(ctx, f.w.source.repository(f.names[pipeline]), o, ocm.Options{UserAgent: publisher})
}

// submit creates the objects of all pipelines.
func (f *fleet) submit(ctx context.Context) error {
	return each(f.names, func(_ int, name string) error {
		return f.w.create(ctx, pipeline, "${NAMESPACE}", name, "${REPOSITORY}", f.w.source.repository(name), "${INTERVAL}", f.interval.String())
	})
}

// create creates the objects of a text with placeholders.
func (w *world) create(ctx context.Context, text string, placeholders ...string) error {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(strings.NewReplacer(placeholders...).Replace(text)), 4096)
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the objects of a pipeline: %w", err)
		}
		if err := w.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("create %s %s/%s: %w", obj.GetKind(), obj.GetNamespace(), obj.GetName(), err)
		}
	}
}

// each calls a function for all names, a few at a time, and returns its errors.
func each(names []string, do func(i int, name string) error) error {
	var group sync.WaitGroup
	errs := make([]error, len(names))
	slots := make(chan struct{}, submitters)
	for i, name := range names {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i, name)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// arrivals are the moments at which something was first seen in the namespaces of pipelines.
type arrivals struct {
	mu      sync.Mutex
	sources map[string]time.Time
	applied map[string]map[string]time.Time // by namespace and version
}

func newArrivals() *arrivals {
	return &arrivals{sources: map[string]time.Time{}, applied: map[string]map[string]time.Time{}}
}

// follow notes arrivals until the returned function is called.
func (f *fleet) follow(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	var watches []watch.Interface
	stop = func() {
		cancel()
		for _, w := range watches {
			w.Stop()
		}
		group.Wait()
	}
	for _, followed := range []struct {
		gvk  schema.GroupVersionKind
		note func(*unstructured.Unstructured)
	}{
		{schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, f.arrivals.noteApplied},
		{schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "OCIRepository"}, f.arrivals.noteSource},
	} {
		list := &unstructured.UnstructuredList{}
		followed.gvk.Kind += "List"
		list.SetGroupVersionKind(followed.gvk)
		events, err := f.w.client.Watch(ctx, list, client.MatchingFields{"metadata.name": "podinfo"})
		if err != nil {
			stop()
			return nil, fmt.Errorf("watch %s: %w", followed.gvk.Kind, err)
		}
		watches = append(watches, events)
		group.Go(func() {
			for event := range events.ResultChan() {
				if obj, ok := event.Object.(*unstructured.Unstructured); ok {
					followed.note(obj)
				}
			}
		})
	}
	return stop, nil
}

func (a *arrivals) noteSource(obj *unstructured.Unstructured) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, seen := a.sources[obj.GetNamespace()]; !seen {
		a.sources[obj.GetNamespace()] = time.Now()
	}
}

// noteApplied notes when content of a version is applied: what the configuration has put in says which.
func (a *arrivals) noteApplied(obj *unstructured.Unstructured) {
	configured, _, _ := unstructured.NestedString(obj.Object, "data", "configuredVersion")
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.applied[obj.GetNamespace()]
	if seen == nil {
		seen = map[string]time.Time{}
		a.applied[obj.GetNamespace()] = seen
	}
	if _, again := seen[configured]; !again {
		seen[configured] = time.Now()
	}
}

// since returns after what time each pipeline had a version applied, for those that have.
func (f *fleet) since(major int, begin func(pipeline int) time.Time) []time.Duration {
	f.arrivals.mu.Lock()
	defer f.arrivals.mu.Unlock()
	var took []time.Duration
	for i, name := range f.names {
		if at, ok := f.arrivals.applied[name][version(i, major)]; ok {
			took = append(took, at.Sub(begin(i)))
		}
	}
	slices.Sort(took)
	return took
}

// sources returns after what time each pipeline had its OCIRepository.
func (f *fleet) sources(begin time.Time) []time.Duration {
	f.arrivals.mu.Lock()
	defer f.arrivals.mu.Unlock()
	var took []time.Duration
	for _, at := range f.arrivals.sources {
		took = append(took, at.Sub(begin))
	}
	slices.Sort(took)
	return took
}

// applied waits until all pipelines have a version applied, and all their objects are ready.
func (f *fleet) applied(ctx context.Context, major int, begin func(pipeline int) time.Time) ([]time.Duration, error) {
	err := f.w.poll(ctx, 250*time.Millisecond, "everything is applied", func(context.Context) (bool, string, error) {
		n := len(f.since(major, begin))
		return n == len(f.names), fmt.Sprintf("%d of %d", n, len(f.names)), nil
	})
	if err != nil {
		return nil, err
	}
	err = f.w.poll(ctx, 250*time.Millisecond, "everything is ready", func(ctx context.Context) (bool, string, error) {
		return f.ready(ctx, v1alpha1.FluxDeployerKind)
	})
	return f.since(major, begin), err
}

// ready tells whether the objects of a kind are ready in all pipelines.
func (f *fleet) ready(ctx context.Context, kind string) (bool, string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
	if err := f.w.client.List(ctx, list); err != nil {
		return false, "", err
	}
	n, last := 0, ""
	for i := range list.Items {
		if ready, why := isReady(&list.Items[i]); ready {
			n++
		} else {
			last = ", " + list.Items[i].GetNamespace() + ": " + why
		}
	}
	return n == len(f.names), fmt.Sprintf("%d of %d objects of kind %s%s", n, len(f.names), kind, last), nil
}

func isReady(obj *unstructured.Unstructured) (ready bool, why string) {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	for _, raw := range conditions {
		fields, _ := raw.(map[string]any)
		if fields["type"] == "Ready" {
			return fields["status"] == string(metav1.ConditionTrue) && observed == obj.GetGeneration(), fmt.Sprint(fields["message"])
		}
	}
	return false, "has no condition yet"
}

// pipeline is a component on its way through every kind.
const pipeline = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata: {name: podinfo, namespace: "${NAMESPACE}"}
spec:
  interval: ${INTERVAL}
  component: phoban.io/podinfo
  repository: {url: "${REPOSITORY}"}
  version: {semver: ">=1.0.0"}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: podinfo, namespace: "${NAMESPACE}"}
spec:
  interval: ${INTERVAL}
  sourceRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: manifests}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata: {name: podinfo, namespace: "${NAMESPACE}"}
spec:
  interval: ${INTERVAL}
  sourceRef: {kind: Resource, name: podinfo}
  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: config}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Configuration
metadata: {name: podinfo, namespace: "${NAMESPACE}"}
spec:
  interval: ${INTERVAL}
  sourceRef: {kind: Localization, name: podinfo}
  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: config}}
  values: {message: measured}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: podinfo, namespace: "${NAMESPACE}"}
spec:
  interval: ${INTERVAL}
  waitForReady: true
  sourceRef: {kind: Configuration, name: podinfo}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}"}
`
