// Package manager puts the operator together: the manager with its caches, probes and leader election, the services that
// plugins share, and the order in which they are set up.
package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/registry/replica"
)

const (
	// shutdownTimeout is what running reconciliations and transfers have when the process is asked to end.
	shutdownTimeout = 30 * time.Second
	// probeTimeout bounds a readiness check.
	probeTimeout = 2 * time.Second
)

// Config returns how the API server is reached, with the limits of the command line.
func Config(o *options.Options) (*rest.Config, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = o.KubeQPS, o.KubeBurst
	return config, nil
}

// Manager is the manager, with what it knows of the other replicas.
type Manager struct {
	ctrl.Manager

	// leadership is nil without leader election.
	leadership *leadership
	// survivors are what ends after everything else.
	survivors []*survivor
}

// +kubebuilder:rbac:roleName=secrets-watch,groups="",resources=secrets,verbs=list;watch

// New returns the manager. Secrets, ConfigMaps and ServiceAccounts are never cached: only the metadata of the latter two is watched, and
// that of Secrets only if the command line says so. What adjusts its options is for tests, which have several managers in a process.
func New(ctx context.Context, scheme *runtime.Scheme, o *options.Options, adjust ...func(*ctrl.Options)) (*Manager, error) {
	config, err := Config(o)
	if err != nil {
		return nil, err
	}
	timeout := shutdownTimeout
	cached := cache.Options{DefaultTransform: cache.TransformStripManagedFields()}
	if o.WatchNamespace != "" {
		cached.DefaultNamespaces = map[string]cache.Config{o.WatchNamespace: {}}
	}
	selector, err := o.Secrets.Selector()
	if err != nil {
		return nil, err
	}
	if selector != nil {
		cached.ByObject = secrets.Watched(selector)
	}
	settings := ctrl.Options{
		Scheme: scheme,
		Cache:  cached,
		Client: client.Options{Cache: &client.CacheOptions{
			DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.ServiceAccount{}},
		}},
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddr},
		HealthProbeBindAddress:        o.HealthAddr,
		PprofBindAddress:              o.PprofAddr,
		LeaderElection:                o.Leader.Enable,
		LeaderElectionID:              o.LeaseName,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: o.Leader.ReleaseOnCancel,
		LeaseDuration:                 &o.Leader.LeaseDuration,
		RenewDeadline:                 &o.Leader.RenewDeadline,
		RetryPeriod:                   &o.Leader.RetryPeriod,
		GracefulShutdownTimeout:       &timeout,
	}
	mgr := &Manager{}
	if o.Leader.Enable {
		own, err := address(ctx, config, o)
		if err != nil {
			return nil, err
		}
		if mgr.leadership, err = newLeadership(config, o, own); err != nil {
			return nil, err
		}
		settings.LeaderElectionResourceLockInterface = mgr.leadership.lock
	}
	for _, f := range adjust {
		f(&settings)
	}
	if mgr.Manager, err = ctrl.NewManager(config, settings); err != nil {
		return nil, err
	}
	if mgr.leadership != nil {
		//nolint:staticcheck // leases know the events of before only
		mgr.leadership.lock.LockConfig.EventRecorder = mgr.GetEventRecorderFor(leaderAgent)
	}
	return mgr, nil
}

// Registry is where snapshots are kept.
type Registry interface {
	// Setup adds what it does by itself to the manager.
	Setup(mgr ctrl.Manager) error
	// Check tells whether it does what others can do only with it.
	Check(request *http.Request) error
}

// follower is a registry of which each replica has a part.
type follower interface {
	// Follow says who knows which replica leads.
	Follow(leader func() replica.Leader)
}

// Assemble sets up the registry, the plugins and the probes. Every replica is ready when it can serve: what it does not have it
// gets from the one that leads.
func Assemble(ctx context.Context, mgr *Manager, set *plugin.Set, registry Registry, metrics prometheus.Registerer) error {
	if err := metrics.Register(set.Collector()); err != nil {
		return fmt.Errorf("register the metric of the features: %w", err)
	}
	if mgr.leadership != nil {
		if f, ok := registry.(follower); ok {
			f.Follow(mgr.leadership.Leader)
			// Nobody else has to know at once, and may be allowed to watch it.
			if err := mgr.Add(mgr.leadership); err != nil {
				return err
			}
		}
	}
	if err := registry.Setup(mgr); err != nil {
		return fmt.Errorf("set up the registry: %w", err)
	}
	if err := set.Setup(ctx, mgr); err != nil {
		return err
	}
	return errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("registry", registry.Check),
		mgr.AddReadyzCheck("caches", synced(mgr)),
	)
}

// synced tells whether the caches have seen everything that was there when the process began. Before, nothing is decided.
func synced(mgr ctrl.Manager) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), probeTimeout)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}
