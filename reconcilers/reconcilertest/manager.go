package reconcilertest

import (
	"context"
	"net/http"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
)

// manager is the part of a manager that setting features up needs. It starts nothing.
type manager struct {
	ctrl.Manager

	world     *World
	runnables []ctrlmanager.Runnable
}

func (m *manager) Add(r ctrlmanager.Runnable) error {
	m.runnables = append(m.runnables, r)
	return nil
}

func (m *manager) GetClient() client.Client             { return m.world.Client }
func (m *manager) GetAPIReader() client.Reader          { return m.world.Client }
func (m *manager) GetScheme() *runtime.Scheme           { return m.world.scheme }
func (m *manager) GetRESTMapper() meta.RESTMapper       { return m.world.mapper }
func (m *manager) GetLogger() logr.Logger               { return logr.Discard() }
func (m *manager) GetCache() cache.Cache                { return readingCache{Reader: m.world.Client} }
func (m *manager) GetFieldIndexer() client.FieldIndexer { return m.world.indexes }
func (m *manager) GetConfig() *rest.Config              { return &rest.Config{} }
func (m *manager) GetHTTPClient() *http.Client          { return http.DefaultClient }

func (m *manager) GetControllerOptions() config.Controller {
	skip := true // tests of one process have the same controllers many times
	return config.Controller{SkipNameValidation: &skip}
}

// readingCache is a cache that is always up to date.
type readingCache struct {
	cache.Cache
	client.Reader
}

func (c readingCache) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return c.Reader.Get(ctx, key, obj, opts...)
}

func (c readingCache) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.Reader.List(ctx, list, opts...)
}
