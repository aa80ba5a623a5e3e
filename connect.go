package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/registryserver"
	"github.com/ocm-operator/ocm-operator/reconcilers/snapshotregistry"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// shared is what several features are made with.
type shared struct {
	options      *options.Options
	scheme       *runtime.Scheme
	services     *manager.Services
	repositories *access.Provider
	// registry is the embedded registry, and external the one that is used in its place; the other is nil.
	registry *registryserver.Registry
	external *snapshotregistry.Registry
	store    snapshot.Store
	mappings *cuemap.Runner
	// transfers makes the copies of component versions that reconcilers ask for.
	transfers *transfers.Pool
	// deployers lists FluxDeployers where they are no feature, so that no cache does; otherwise it is nil.
	deployers client.Reader
}

// connect makes the clients: to the API server, to component repositories, and to the embedded registry.
func connect(ctx context.Context, o *options.Options, known *plugin.Set) (*shared, error) {
	s := &shared{options: o, scheme: runtime.NewScheme()}
	if err := errors.Join(clientgoscheme.AddToScheme(s.scheme), known.AddScheme(s.scheme)); err != nil {
		return nil, err
	}
	config, err := manager.Config(o)
	if err != nil {
		return nil, err
	}
	live, err := client.New(config, client.Options{Scheme: s.scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	if err := manager.CheckDefinitions(ctx, live); err != nil {
		return nil, err
	}
	if s.services, err = manager.NewServices(live, o, metrics.Registry); err != nil {
		return nil, err
	}
	if s.repositories, err = access.New(s.accessTo(live, o)); err != nil {
		return nil, err
	}
	if err := s.keepSnapshots(ctx, live); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(known.Enabled(), func(p plugin.Plugin) bool { return p.Name == v1alpha1.FluxDeployerKind }) {
		s.deployers = live
		if o.WatchNamespace != "" {
			s.deployers = client.NewNamespacedClient(live, o.WatchNamespace)
		}
	}
	if s.mappings, err = cuemap.NewRunner(o.Limits.Mappings); err != nil {
		return nil, err
	}
	s.transfers, err = transfers.New(transfers.Options{Workers: o.Transfers.Concurrent, PerHost: o.Transfers.PerHost, Metrics: metrics.Registry})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// accessTo returns how component repositories are accessed.
func (s *shared) accessTo(live client.Client, o *options.Options) access.Options {
	to := access.Options{
		Live: s.services.Live(), UserAgent: "ocm-operator/" + version, AllowedHosts: o.AllowedHosts, AccessMethods: o.AccessMethods,
		NoOperatorIdentity: o.NoOperatorIdentity, Limits: o.Limits.Components(), Metrics: metrics.Registry,
	}
	to.Archives = access.ArchiveOptions{
		Dir: o.Archives.Dir, TempDir: o.Archives.TempDir, TempBytes: o.Archives.TempBytes, MaxBytes: o.Archives.MaxBytes,
	}
	if !o.External.Used() {
		to.Embedded = []string{o.Registry.Address, o.Registry.Advertise}
	}
	if o.ObjectIdentity {
		to.Identities = live
	}
	return to
}
