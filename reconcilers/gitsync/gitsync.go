// Package gitsync reconciles GitSyncs: it pushes the content of a snapshot to a branch of a git repository, and proposes the branch with
// a pull request if that is wanted.
//
// Every look begins with the branches of the repository, which is one request. Only if those, the content, and the spec are not what they
// were before, a commit is fetched and compared. What is pushed is a single commit, and the server itself compares what it replaces, so that
// whoever else pushes loses nothing. The branch is pushed, and the status says so, before the forge is asked for anything. Who dies in
// between finds the branch and the pull request again by what they are called and what the commit says.
package gitsync

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Options are what the plugin depends on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Store keeps snapshots.
	Store snapshot.Store
	// UserAgent is sent to git servers and forges.
	UserAgent string
	// AllowedHosts are those of the flag --allowed-hosts: an address where clouds serve secrets to their machines is connected to only if it
	// is one of them.
	AllowedHosts []string
	// TempDir is where repositories are fetched to; empty is the default of the system.
	TempDir string
	// MaxRepositoryBytes bounds what is fetched of a repository, and what is pushed to it; zero is 1 GiB.
	MaxRepositoryBytes int64
	// Limits bounds the content of snapshots; zero fields have their defaults.
	Limits tree.Limits
	// NoCrossNamespaceRefs refuses references into other namespaces, and CrossNamespaceRefs lets them be where that is not set.
	NoCrossNamespaceRefs, CrossNamespaceRefs bool
	// Settling is how long a pull request may stay open whose content is in its base branch, since a forge that has just merged it says so a
	// moment later; zero is 5 s.
	Settling time.Duration
	// Metrics is where the metrics are registered; nil is nowhere.
	Metrics prometheus.Registerer
	// Secrets tells of changes of the Secrets that objects refer to; nil never does.
	Secrets *secrets.Lookout
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// usualRepositoryBytes is the default of Options.MaxRepositoryBytes.
const usualRepositoryBytes = 1 << 30

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.GitSyncKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		Requires:  []string{v1alpha1.SnapshotKind},
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(ctx context.Context, mgr ctrl.Manager) error { return setup(ctx, mgr, o) },
	}
}

// +kubebuilder:rbac:roleName=GitSync,groups=delivery.ocm.software,resources=gitsyncs,verbs=get;list;watch
// +kubebuilder:rbac:roleName=GitSync,groups=delivery.ocm.software,resources=gitsyncs/status,verbs=patch
// +kubebuilder:rbac:roleName=GitSync,groups=delivery.ocm.software,resources=componentversions;resources;localizations;configurations,verbs=list;watch
// +kubebuilder:rbac:roleName=GitSync,groups="",resources=secrets,verbs=get

func setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Store == nil {
		return fmt.Errorf("options of kind %s are incomplete: Store is required", v1alpha1.GitSyncKind)
	}
	hosts, err := oci.ParseHosts(o.AllowedHosts)
	if err != nil {
		return fmt.Errorf("--allowed-hosts: %w", err)
	}
	metrics, err := newMetrics(o.Metrics)
	if err != nil {
		return fmt.Errorf("register the metrics of git: %w", err)
	}
	lifecycleOptions := o.Lifecycle(mgr)
	c := newController(o, mgr.GetClient(), lifecycleOptions.Live)
	c.hosts, c.metrics = hosts, metrics
	reconciler, err := lifecycle.New(kind(c), lifecycleOptions)
	if err != nil {
		return err
	}
	if err := source.Index(ctx, mgr, &v1alpha1.GitSync{}, references); err != nil {
		return err
	}
	return watches(mgr, o).WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.GitSyncKind, o.Concurrent)).Complete(reconciler)
}

func watches(mgr ctrl.Manager, o Options) *builder.Builder {
	list := &v1alpha1.GitSyncList{}
	changed := builder.WithPredicates(source.Changed())
	dependents := func(kind string) handler.EventHandler { return source.Dependents(mgr.GetClient(), list, kind) }
	// A Snapshot alone says nothing about whether its writer vouches for it.
	written := source.DependentsOfSnapshot(mgr.GetClient(), list)
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.GitSync{}, builder.WithPredicates(source.SpecOrRequest())).
		Watches(&v1alpha1.Resource{}, dependents(v1alpha1.ResourceKind), changed).
		Watches(&v1alpha1.Localization{}, dependents(v1alpha1.LocalizationKind), changed).
		Watches(&v1alpha1.Configuration{}, dependents(v1alpha1.ConfigurationKind), changed).
		Watches(&v1alpha1.Resource{}, written, changed).
		Watches(&v1alpha1.Localization{}, written, changed).
		Watches(&v1alpha1.Configuration{}, written, changed).
		Watches(&v1alpha1.Snapshot{}, source.DependentsOfOwner(mgr.GetClient(), list), changed).
		Watches(&v1alpha1.Snapshot{}, dependents(v1alpha1.SnapshotKind), changed).
		Watches(&v1alpha1.GitSync{}, o.Secrets.Dependents(v1alpha1.GitSyncKind, references))
}

// kind is the sequence of a reconciliation.
func kind(c *controller) lifecycle.Kind[*v1alpha1.GitSync, *run] {
	return lifecycle.Kind[*v1alpha1.GitSync, *run]{
		Name: v1alpha1.GitSyncKind,
		New:  func() *v1alpha1.GitSync { return &v1alpha1.GitSync{} },
		Begin: func(obj *v1alpha1.GitSync, events lifecycle.Events) *run {
			return &run{obj: obj, events: events}
		},
		Steps: releasing([]lifecycle.Step[*run]{
			{Name: "heedRequest", Run: c.heedRequest, Light: true},
			{Name: "resolveSource", Run: c.resolveSource, Light: true},
			{Name: "enter", Run: c.enter},
			{Name: "readCredentials", Run: c.readCredentials},
			{Name: "look", Run: c.look},
			{Name: "leave", Run: c.leave},
			{Name: "push", Run: c.push},
			{Name: "propose", Run: c.propose},
			{Name: "record", Run: c.record},
		}),
		Ready:     ready,
		Delivered: delivered,
		Progress: func(obj *v1alpha1.GitSync) string {
			return "reconciliation in progress for branch " + obj.TargetBranch() + " of " + obj.Spec.Repository.URL
		},
		Halt: c.halt,
	}
}

// references are the objects whose change can matter.
func references(obj client.Object) []source.Ref {
	sync, ok := obj.(*v1alpha1.GitSync)
	if !ok {
		return nil
	}
	var refs []source.Ref
	if ref := sync.Spec.SourceRef; ref != nil {
		refs = append(refs, source.RefTo(*ref, sync.Namespace))
	}
	if ref := sync.Spec.SnapshotRef; ref != nil {
		refs = append(refs, source.Ref{Kind: v1alpha1.SnapshotKind, Namespace: sync.Namespace, Name: ref.Name})
	}
	for _, secret := range secretNames(sync) {
		refs = append(refs, source.Ref{Kind: source.SecretKind, Namespace: sync.Namespace, Name: secret})
	}
	return refs
}
