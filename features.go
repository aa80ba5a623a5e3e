package main

import (
	"cmp"
	"context"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/gitsync"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/subscription"
	"github.com/ocm-operator/ocm-operator/transform"
)

// features is the feature list of the operator.
func features(s *shared) []plugin.Plugin {
	o := s.options
	protection := source.Protection{Deny: o.DenyUnprotected}
	mutations := mutation.Options{
		Lifecycle: s.services.Lifecycle, Foreign: s.services.Foreign, Repositories: s.repositories, Store: s.store, Mappings: s.mappings,
		NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, Protection: protection, MaxBytes: o.MaxResourceSize,
		Limits: mutation.Limits{Archives: o.Limits.Archives(), ConfigBytes: o.Limits.ConfigSize, ValuesBytes: o.Limits.ValuesSize},
		Turn:   transform.NewTurn(), Secrets: s.services.Secrets(),
	}
	snapshots := snapshotkind.Options{
		Lifecycle: s.services.Lifecycle, Store: s.store, Metrics: metrics.Registry, Address: s.snapshots().URL(),
		Recheck: o.SnapshotRecheck, History: o.Registry.History, Forget: s.external != nil, Deployers: s.deployers,
		Concurrent: o.Workers(v1alpha1.SnapshotKind),
	}
	resources := resource.Options{
		Lifecycle: s.services.Lifecycle, Repositories: s.repositories, Store: s.store,
		NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, Protection: protection, MaxBytes: o.MaxResourceSize, Archives: o.Limits.Archives(),
		Concurrent: o.Workers(v1alpha1.ResourceKind),
	}
	if s.registry != nil {
		notices := s.registry.Notices()
		snapshots.Notices, resources.Notices, mutations.Notices = notices, notices, notices
	}
	if s.external != nil {
		resources.Finalizer, mutations.Finalizer = v1alpha1.SnapshotFinalizer, v1alpha1.SnapshotFinalizer
	}
	localizations, configurations := mutations, mutations
	localizations.Concurrent, configurations.Concurrent = o.Workers(v1alpha1.LocalizationKind), o.Workers(v1alpha1.ConfigurationKind)
	return []plugin.Plugin{
		componentversion.Plugin(componentversion.Options{
			Lifecycle: s.services.Lifecycle, Repositories: s.repositories, Transfers: s.transfers, Secrets: s.services.Secrets(),
			Concurrent: o.Workers(v1alpha1.ComponentVersionKind),
		}),
		subscription.Plugin(subscription.Options{
			Lifecycle: s.services.Lifecycle, Repositories: s.repositories, Transfers: s.transfers, Secrets: s.services.Secrets(),
			Concurrent: o.Workers(v1alpha1.ComponentSubscriptionKind),
		}),
		snapshotkind.Plugin(snapshots),
		resource.Plugin(resources),
		localization.Plugin(localizations),
		configuration.Plugin(configurations),
		fluxdeployer.Plugin(fluxdeployer.Options{
			Lifecycle: s.services.Lifecycle, Foreign: s.services.Foreign, Secrets: s.services.Secrets(),
			Registry:             s.flux(),
			Store:                s.store,
			Artifacts:            artifacts(s),
			NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, Concurrent: o.Workers(v1alpha1.FluxDeployerKind),
		}),
		gitsync.Plugin(gitsync.Options{
			Lifecycle: s.services.Lifecycle, Store: s.store, Secrets: s.services.Secrets(), UserAgent: "ocm-operator/" + version, AllowedHosts: o.AllowedHosts, Metrics: metrics.Registry,
			TempDir: o.Git.TempDir, MaxRepositoryBytes: o.Git.MaxRepositoryBytes, Limits: tree.Limits{Files: o.Git.MaxFiles},
			NoCrossNamespaceRefs: o.NoCrossNamespaceRefs, CrossNamespaceRefs: o.Git.CrossNamespaceRefs, Concurrent: o.Workers(v1alpha1.GitSyncKind),
		}),
	}
}

// artifacts is how Flux reads snapshots where it does so without the registry.
func artifacts(s *shared) fluxdeployer.Artifacts {
	a := fluxdeployer.Artifacts{Namespace: cmp.Or(s.options.WatchNamespace, s.options.Namespace)}
	if s.options.Registry.Artifacts {
		a.Find = func(ctx context.Context, repository, manifest string) (fluxdeployer.Artifact, error) {
			found, err := s.registry.Artifact(ctx, repository, manifest)
			return fluxdeployer.Artifact(found), err
		}
	}
	return a
}
