package main

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
	"github.com/ocm-operator/ocm-operator/reconcilers/registryserver"
	"github.com/ocm-operator/ocm-operator/reconcilers/snapshotregistry"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// keepSnapshots opens the store of snapshots: the embedded registry, or the one that is named by the command line.
func (s *shared) keepSnapshots(ctx context.Context, live client.Client) (err error) {
	o, log := s.options, ctrl.Log.WithName("registry")
	if !o.External.Used() {
		s.registry, err = registryserver.New(ctx, live, o.Namespace, o.Registry, metrics.Registry, log)
		if err != nil {
			return err
		}
		s.registry.Watch(s.services.Secrets())
		s.store = snapshot.Embedded(s.registry.Store())
		return nil
	}
	s.external, err = snapshotregistry.New(snapshotregistry.Options{
		External: o.External, Limits: o.Registry, Namespace: o.Namespace, Live: live, UserAgent: "ocm-operator/" + version, Metrics: metrics.Registry, Log: log,
	})
	if err != nil {
		return err
	}
	s.store = s.external.Store()
	return nil
}

// snapshots is the registry that snapshots are kept in.
func (s *shared) snapshots() interface {
	manager.Registry
	URL() string
} {
	if s.external != nil {
		return s.external
	}
	return s.registry
}

// flux is how Flux reaches that registry.
func (s *shared) flux() fluxdeployer.Registry {
	o := s.options
	if s.external == nil {
		return fluxdeployer.Registry{
			Address: o.Registry.Address, PlainHTTP: o.Registry.PlainHTTP,
			CA: s.registry.CA, Issue: s.registry.Issue, Valid: s.registry.Valid, Changes: s.registry.Changes(),
		}
	}
	external := &fluxdeployer.External{
		Path: o.External.Path, Pull: o.External.PullSecret != "", Authority: o.External.CertSecret != "", Shared: s.external.Shared,
	}
	if !external.Pull && o.External.Provider != v1alpha1.GenericProvider {
		external.Provider = o.External.Provider
	}
	return fluxdeployer.Registry{Address: o.External.Host, PlainHTTP: o.External.PlainHTTP, External: external, Changes: s.external.Changes()}
}
