// Package fluxdeployer reconciles FluxDeployers: it hands a snapshot to Flux, pinned by digest, and keeps what Flux needs
// to pull it and to apply it.
package fluxdeployer

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Kinds of Flux that are created.
var (
	ociRepositoryKind    = schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "OCIRepository"}
	externalArtifactKind = schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "ExternalArtifact"}
	kustomizationKind    = schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}
	helmReleaseKind      = schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmRelease"}
)

// Registry is how Flux reaches the snapshots.
type Registry struct {
	// Address is host and port as Flux reaches them.
	Address string
	// PlainHTTP is set when the registry doesn't speak TLS.
	PlainHTTP bool
	// CA returns the certificates in PEM that the registry is trusted by; empty means the system's.
	CA func() []byte
	// Issue returns a credential that may pull the repository and nothing else, for the given time.
	Issue func(repository string, ttl time.Duration) (username, password string, err error)
	// Valid tells whether a credential may pull the repository, and needs not be replaced.
	Valid func(ctx context.Context, repository, username, password string) bool

	// External is set when the registry is that of others, which issues no credentials: CA, Issue and Valid are then not asked.
	External *External
	// Changes has a signal when what Flux needs to pull has changed. Nil is never.
	Changes <-chan struct{}
}

// Options are what the plugin depends on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Registry is how Flux reaches the snapshots.
	Registry Registry
	// Store keeps snapshots, and tells which are Helm charts; nil leaves that to Flux.
	Store snapshot.Store
	// Artifacts is how Flux reads snapshots without the registry; the zero value leaves it to the registry.
	Artifacts Artifacts
	// Foreign tells when the kinds of Flux are served.
	Foreign func(ctrl.Manager) (*source.Foreign, error)
	// Secrets tells when somebody changes the Secrets that were written; nil never does.
	Secrets *secrets.Lookout
	// NoCrossNamespaceRefs refuses references into other namespaces.
	NoCrossNamespaceRefs bool
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.FluxDeployerKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		Requires:  []string{v1alpha1.SnapshotKind},
		Needs:     []schema.GroupVersionKind{ociRepositoryKind, kustomizationKind, helmReleaseKind},
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(ctx context.Context, mgr ctrl.Manager) error { return setup(ctx, mgr, o) },
	}
}

// +kubebuilder:rbac:roleName=FluxDeployer,groups=delivery.ocm.software,resources=fluxdeployers,verbs=get;list;watch
// +kubebuilder:rbac:roleName=FluxDeployer,groups=delivery.ocm.software,resources=fluxdeployers/status,verbs=patch
// +kubebuilder:rbac:roleName=FluxDeployer,groups=delivery.ocm.software,resources=resources;localizations;configurations,verbs=list;watch
// +kubebuilder:rbac:roleName=FluxDeployer,groups=source.toolkit.fluxcd.io,resources=ocirepositories,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:roleName=FluxDeployer,groups=kustomize.toolkit.fluxcd.io,resources=kustomizations,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:roleName=FluxDeployer,groups=helm.toolkit.fluxcd.io,resources=helmreleases,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:roleName=FluxDeployer,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=ocirepositories.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=FluxDeployer,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=kustomizations.kustomize.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=FluxDeployer,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=helmreleases.helm.toolkit.fluxcd.io,verbs=list;watch

func setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	foreign, err := o.Foreign(mgr)
	if err != nil {
		return err
	}
	options := o.Lifecycle(mgr)
	deployer := &deployer{
		client:   mgr.GetClient(),
		live:     options.Live,
		cache:    mgr.GetCache(),
		secrets:  o.Secrets,
		recorder: options.Recorder,
		foreign:  foreign,
		resolver: source.Resolver{Reader: mgr.GetClient(), NoCrossNamespaceRefs: o.NoCrossNamespaceRefs},
		registry: o.Registry,
		store:    o.Store,
		now:      time.Now,

		artifacts: o.Artifacts,
	}
	kinds := []schema.GroupVersionKind{ociRepositoryKind, kustomizationKind, helmReleaseKind}
	if o.Artifacts.Find != nil {
		kinds = append(kinds, externalArtifactKind)
		deployer.gate = newGate(mgr.GetClient(), options.Live, o.Artifacts.Namespace, mgr.GetLogger().WithName(v1alpha1.FluxDeployerKind))
		if err := mgr.Add(deployer.gate); err != nil {
			return err
		}
	}
	reconciler, err := lifecycle.New(kind(deployer), options)
	if err != nil {
		return err
	}
	if err := source.Index(ctx, mgr, &v1alpha1.FluxDeployer{}, references); err != nil {
		return err
	}
	c, err := deployer.watches(mgr).WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.FluxDeployerKind, o.Concurrent)).Build(reconciler)
	if err != nil {
		return err
	}
	if o.Registry.Changes != nil {
		if err := c.Watch(ctrlsource.Func(wakeOnChanges(mgr.GetClient(), o.Registry.Changes))); err != nil {
			return err
		}
	}
	for _, gvk := range kinds {
		foreign.WhenServed(gvk, func(ctx context.Context) { deployer.watchCreated(ctx, mgr, c, gvk) })
	}
	return nil
}

// kind is the sequence of a reconciliation.
func kind(d *deployer) lifecycle.Kind[*v1alpha1.FluxDeployer, *run] {
	return lifecycle.Kind[*v1alpha1.FluxDeployer, *run]{
		Name: v1alpha1.FluxDeployerKind,
		New:  func() *v1alpha1.FluxDeployer { return &v1alpha1.FluxDeployer{} },
		Begin: func(obj *v1alpha1.FluxDeployer, events lifecycle.Events) *run {
			return &run{obj: obj, events: events}
		},
		Steps: []lifecycle.Step[*run]{
			{Name: "checkSource", Run: d.checkSource, Light: true},
			{Name: "renewAccess", Run: d.renewAccess, Light: true},
			{Name: "resolveSource", Run: d.resolveSource, Light: true},
			{Name: "chooseSource", Run: d.chooseSource},
			{Name: "render", Run: d.render},
			{Name: "provideAccess", Run: d.provideAccess},
			{Name: "apply", Run: d.announcing(d.apply)},
			{Name: "prune", Run: d.prune},
			{Name: "await", Run: d.announcing(d.await)},
			{Name: "announce", Run: d.announce},
		},
		Ready: func(r *run) string { return "FluxDeployer '" + r.obj.Name + "' is ready" },
		Delivered: func(obj *v1alpha1.FluxDeployer) map[string]string {
			return map[string]string{v1alpha1.RevisionAnnotation: obj.Status.LastAppliedRevision}
		},
	}
}

func references(obj client.Object) []source.Ref {
	d, ok := obj.(*v1alpha1.FluxDeployer)
	if !ok {
		return nil
	}
	return []source.Ref{source.RefTo(d.Spec.SourceRef, d.Namespace)}
}
