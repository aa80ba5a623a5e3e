package manager

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/runtime/events"
	fluxmetrics "github.com/fluxcd/pkg/runtime/metrics"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// patience is how long objects may be worked on, or wait for others, before their status says so. A pipeline that is created
// at once is through by then, and nobody looks that fast.
const patience = 2 * time.Second

// turns is how many objects of all kinds are worked on at once, as a multiple of how many of one kind are: few enough that
// there is an order among them, and enough that what waits for a server keeps no processor idle.
const turns = 4

// Services makes what the plugins share once there is a manager.
type Services struct {
	live      client.Reader
	options   *options.Options
	metrics   *lifecycle.Metrics
	durations *fluxmetrics.Recorder

	gate    *lifecycle.Gate
	secrets *secrets.Lookout

	once    sync.Once
	foreign *source.Foreign
	err     error
}

// NewServices registers the metrics of the lifecycle. The reader must read past any cache.
func NewServices(live client.Reader, o *options.Options, registerer prometheus.Registerer) (*Services, error) {
	metrics, err := lifecycle.NewMetrics(registerer)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of the lifecycle: %w", err)
	}
	durations := fluxmetrics.NewRecorder()
	for _, collector := range durations.Collectors() {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register the metrics of reconciliations: %w", err)
		}
	}
	gate := lifecycle.NewGate(turnsOf(o),
		v1alpha1.ComponentVersionKind, v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind,
		v1alpha1.FluxDeployerKind, v1alpha1.GitSyncKind,
		v1alpha1.SnapshotKind, // what was written becomes usable
	)
	lookout, err := secrets.New(secrets.Options{
		Live: live, Interval: o.Secrets.CheckInterval, PerSecond: o.Secrets.ChecksPerSecond, Metrics: registerer, Log: ctrl.Log.WithName("secrets"),
	})
	if err != nil {
		return nil, err
	}
	return &Services{live: lookout.Reader(live), options: o, metrics: metrics, durations: durations, gate: gate, secrets: lookout}, nil
}

// turnsOf returns how many objects of all kinds are worked on at once: never less than how many of one kind may be.
func turnsOf(o *options.Options) int {
	limit := turns * o.Concurrent
	for _, n := range o.ConcurrentKinds {
		limit = max(limit, n)
	}
	return limit
}

// Lifecycle returns the options of the lifecycle for a manager.
func (s *Services) Lifecycle(mgr ctrl.Manager) lifecycle.Options {
	o := lifecycle.Options{
		Client:        mgr.GetClient(),
		Live:          s.live,
		Metrics:       s.metrics,
		Durations:     s.durations,
		Patience:      patience,
		Gate:          s.gate,
		MinRetryDelay: s.options.MinRetryDelay,
		MaxRetryDelay: s.options.MaxRetryDelay,
	}
	recorder, err := events.NewRecorder(mgr, ctrl.Log, s.options.EventsAddr, lifecycle.ReportingComponent)
	if err == nil {
		o.Recorder = recorder
	}
	return o
}

// Live returns what everybody reads through who reads past the cache, so that it is known by which Secrets objects decide.
func (s *Services) Live() client.Reader { return s.live }

// Secrets returns what tells objects of changes of the Secrets that they refer to.
func (s *Services) Secrets() *secrets.Lookout { return s.secrets }

// Setup adds to the manager what the plugins share.
func (s *Services) Setup(mgr ctrl.Manager) error {
	selector, err := s.options.Secrets.Selector()
	if err != nil {
		return err
	}
	return s.secrets.Setup(mgr, selector, s.options.WatchNamespace)
}

// Foreign returns what tells when the kinds of other projects are served; there is one for all plugins.
func (s *Services) Foreign(mgr ctrl.Manager) (*source.Foreign, error) {
	s.once.Do(func() { s.foreign, s.err = source.NewForeign(mgr) })
	return s.foreign, s.err
}
