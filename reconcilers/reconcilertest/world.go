package reconcilertest

import (
	"context"
	"errors"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Namespace is where objects are that say nothing else.
const Namespace = "default"

// World is a cluster in memory with a registry of its own.
type World struct {
	// Client reads and writes the objects, and counts the writes.
	Client client.Client
	// Recorder takes the events.
	Recorder *record.FakeRecorder
	// Contents is the embedded registry's store, which is kept in Dir, and Store the same for snapshots.
	Contents *store.Store
	Dir      string
	Store    snapshot.Store
	// Repositories opens component repositories with the Secrets of this cluster.
	Repositories *access.Provider
	// Metrics are used by the lifecycle when they are set.
	Metrics *lifecycle.Metrics

	t       testing.TB
	scheme  *runtime.Scheme
	mapper  *meta.DefaultRESTMapper
	ledger  *ledger
	indexes indexes
	foreign *source.Foreign
	// transfers is made when it is asked for.
	transfers *transfers.Pool
}

// New returns a cluster with the objects in it.
func New(t testing.TB, objects ...client.Object) *World {
	t.Helper()
	w := &World{t: t, Recorder: record.NewFakeRecorder(4096), ledger: newLedger(), scheme: Scheme(t)}
	w.mapper = mapperOf(w.scheme)
	inner := fake.NewClientBuilder().WithScheme(w.scheme).WithRESTMapper(w.mapper).WithStatusSubresource(withStatus()...).Build()
	w.ledger.scheme = w.scheme
	w.indexes = indexes{scheme: w.scheme, funcs: map[string]client.IndexerFunc{}}
	w.Client = interceptor.NewClient(inner, w.funcs())
	w.Dir = t.TempDir()
	contents, err := store.Open(w.Dir, store.Options{})
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() { _ = contents.Close() })
	w.Contents, w.Store = contents, snapshot.Embedded(contents)
	if w.Repositories, err = access.New(access.Options{Live: w.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}}); err != nil {
		t.Fatalf("open repositories: %v", err)
	}
	for _, object := range objects {
		w.Create(object)
	}
	w.Writes()
	return w
}

// Scheme returns the types of Kubernetes and of this project.
func Scheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatalf("make the scheme: %v", err)
	}
	return scheme
}

func withStatus() []client.Object {
	return []client.Object{
		&v1alpha1.ComponentVersion{}, &v1alpha1.Resource{}, &v1alpha1.Snapshot{}, &v1alpha1.Localization{},
		&v1alpha1.Configuration{}, &v1alpha1.FluxDeployer{}, &v1alpha1.ComponentSubscription{}, &v1alpha1.GitSync{},
	}
}

func mapperOf(scheme *runtime.Scheme) *meta.DefaultRESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, version := range []schema.GroupVersion{corev1.SchemeGroupVersion, v1alpha1.GroupVersion} {
		for kind := range scheme.KnownTypes(version) {
			mapper.Add(version.WithKind(kind), meta.RESTScopeNamespace)
		}
	}
	return mapper
}

// Serve lets the cluster have a kind of another project.
func (w *World) Serve(kinds ...schema.GroupVersionKind) {
	for _, kind := range kinds {
		w.mapper.Add(kind, meta.RESTScopeNamespace)
	}
}

// Lifecycle returns the options of the lifecycle, as a feature takes them.
func (w *World) Lifecycle(ctrl.Manager) lifecycle.Options {
	return lifecycle.Options{Client: w.Client, Live: w.Client, Recorder: w.Recorder, Metrics: w.Metrics}
}

// Foreign returns what tells which kinds are served, as a feature takes it.
func (w *World) Foreign(mgr ctrl.Manager) (*source.Foreign, error) {
	if w.foreign != nil {
		return w.foreign, nil
	}
	foreign, err := source.NewForeign(mgr)
	w.foreign = foreign
	return foreign, err
}

// Install sets a feature up and returns what reconciles its objects.
func (w *World) Install(p plugin.Plugin) *Controller {
	w.t.Helper()
	mgr := &manager{world: w}
	if err := p.Setup(w.t.Context(), mgr); err != nil {
		w.t.Fatalf("set up feature %s: %v", p.Name, err)
	}
	for _, added := range mgr.runnables {
		if reconciler, ok := added.(reconcile.Reconciler); ok {
			return &Controller{world: w, reconciler: reconciler}
		}
	}
	w.t.Fatalf("feature %s has no controller", p.Name)
	return nil
}

// Controller reconciles the objects of one feature.
type Controller struct {
	world      *World
	reconciler reconcile.Reconciler
}

// Reconcile reconciles an object once and reads it again.
func (c *Controller) Reconcile(obj client.Object) reconcile.Result {
	c.world.t.Helper()
	result, err := c.Try(c.world.t.Context(), obj)
	if err != nil {
		c.world.t.Fatalf("reconcile %s: %v", client.ObjectKeyFromObject(obj), err)
	}
	return result
}

// Try reconciles an object once, reads it again if it is still there, and returns the error.
func (c *Controller) Try(ctx context.Context, obj client.Object) (reconcile.Result, error) {
	key := client.ObjectKeyFromObject(obj)
	result, err := c.reconciler.Reconcile(ctx, reconcile.Request{NamespacedName: key})
	return result, errors.Join(err, client.IgnoreNotFound(c.world.Client.Get(context.WithoutCancel(ctx), key, obj)))
}
