// Package mutation is what Localization and Configuration share: both take the content of a source, change files in it by
// the rules of a ConfigData resource, and publish the result as a snapshot of their own. They differ in the rules alone.
package mutation

import (
	"context"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/transform"
)

// Options are what the plugins depend on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Repositories opens component repositories.
	Repositories *access.Provider
	// Store keeps snapshots.
	Store snapshot.Store
	// Finalizer is set on Snapshots whose content has to be taken away with them; empty for none.
	Finalizer string
	// Notices tell when there is room again; may be nil.
	Notices publish.Notices
	// Foreign tells when the kinds of Flux are served.
	Foreign func(ctrl.Manager) (*source.Foreign, error)
	// Artifacts fetches the artifacts of Flux sources; nil is a client with a timeout that connects to no
	// address where clouds serve secrets to their machines. Redirects are never followed.
	Artifacts *http.Client
	// Mappings evaluates the programs of mappings; nil switches them off.
	Mappings Mappings
	// NoCrossNamespaceRefs refuses references into other namespaces.
	NoCrossNamespaceRefs bool
	// Protection says whether content and images may be used that no signature can protect.
	Protection source.Protection
	// MaxBytes bounds the size of a resource as it is stored; zero is the default of the OCM client.
	MaxBytes int64
	// Limits bounds what is read whole, and what sources may unpack to.
	Limits Limits
	// Turn is what all kinds wait for before they parse a large file; nil is one of the kind's own.
	Turn *transform.Turn
	// Secrets tells of changes of the Secrets that objects refer to; nil never does.
	Secrets *secrets.Lookout
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// Mappings evaluates the programs of mappings.
type Mappings interface {
	// Evaluate returns what a program computes from a component. Errors that are the program's fault are *cuemap.ProgramError.
	Evaluate(ctx context.Context, program string, component map[string]any) (any, error)
}

// Kind is what a kind adds.
type Kind[T lifecycle.Object] struct {
	// Name is the name of the kind.
	Name string
	// New returns an empty object, and List an empty list of them.
	New  func() T
	List func() client.ObjectList
	// Parts returns spec and status of an object.
	Parts func(T) (*v1alpha1.MutationSpec, *v1alpha1.MutationStatus)
	// DigestAnnotation is the annotation by which events tell the digest of what was written.
	DigestAnnotation string
	// Plan turns the rules of a ConfigData into edits of files.
	Plan func(context.Context, *Run) ([]transform.Substitution, error)
}

// Plugin returns the feature for a kind.
func Plugin[T lifecycle.Object](k Kind[T], o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      k.Name,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		Requires:  []string{v1alpha1.ComponentVersionKind, v1alpha1.SnapshotKind},
		Needs:     fluxSources(),
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(ctx context.Context, mgr ctrl.Manager) error { return setup(ctx, mgr, k, o) },
	}
}

// To get Secrets, which values may come from, is a right of the feature ComponentVersion, without which neither of these is.
//
// +kubebuilder:rbac:roleName=Localization,groups=delivery.ocm.software,resources=resources;localizations;configurations,verbs=list;watch
// +kubebuilder:rbac:roleName=Localization,groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:roleName=Localization,groups=source.toolkit.fluxcd.io,resources=gitrepositories;ocirepositories;buckets;externalartifacts,verbs=list;watch
// +kubebuilder:rbac:roleName=Localization,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=gitrepositories.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Localization,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=ocirepositories.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Localization,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=buckets.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Localization,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=externalartifacts.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=delivery.ocm.software,resources=resources;localizations;configurations,verbs=list;watch
// +kubebuilder:rbac:roleName=Configuration,groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=source.toolkit.fluxcd.io,resources=gitrepositories;ocirepositories;buckets;externalartifacts,verbs=list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=gitrepositories.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=ocirepositories.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=buckets.source.toolkit.fluxcd.io,verbs=list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=externalartifacts.source.toolkit.fluxcd.io,verbs=list;watch

func setup[T lifecycle.Object](ctx context.Context, mgr ctrl.Manager, k Kind[T], o Options) error {
	options := o.Lifecycle(mgr)
	foreign, err := o.Foreign(mgr)
	if err != nil {
		return err
	}
	e := newEngine(mgr.GetClient(), mgr.GetCache(), options.Live, foreign, o)
	reconciler, err := lifecycle.New(sequence(e, k), options)
	if err != nil {
		return err
	}
	if err := source.Index(ctx, mgr, k.New(), k.references); err != nil {
		return err
	}
	c, err := watches(mgr, k, o).WatchesRawSource(publish.Room(o.Notices, k.Name)).
		WithOptions(lifecycle.ControllerOptions(mgr, k.Name, o.Concurrent)).Build(reconciler)
	if err != nil {
		return err
	}
	for _, gvk := range fluxSources() {
		foreign.WhenServed(gvk, func(ctx context.Context) { watchFlux(ctx, mgr, c, k.List(), gvk) })
	}
	return nil
}

// watches wakes an object by everything that it refers to.
func watches[T lifecycle.Object](mgr ctrl.Manager, k Kind[T], o Options) *builder.Builder {
	dependents := func(kind string) handler.EventHandler { return source.Dependents(mgr.GetClient(), k.List(), kind) }
	changed := builder.WithPredicates(source.Changed())
	return ctrl.NewControllerManagedBy(mgr).
		For(k.New(), builder.WithPredicates(source.SpecOrRequest())).
		Watches(&v1alpha1.ComponentVersion{}, dependents(v1alpha1.ComponentVersionKind), changed).
		Watches(&v1alpha1.Resource{}, dependents(v1alpha1.ResourceKind), changed).
		Watches(&v1alpha1.Localization{}, dependents(v1alpha1.LocalizationKind), changed).
		Watches(&v1alpha1.Configuration{}, dependents(v1alpha1.ConfigurationKind), changed).
		Watches(&v1alpha1.Snapshot{}, source.DependentsOfOwner(mgr.GetClient(), k.List()), changed).
		Watches(&v1alpha1.Snapshot{}, handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), k.New()),
			builder.WithPredicates(publish.Disturbed())).
		WatchesMetadata(&corev1.ConfigMap{}, dependents(source.ConfigMapKind)).
		Watches(k.New(), o.Secrets.Dependents(k.Name, k.references))
}

// watchFlux begins to watch a kind of Flux sources once the server has it.
func watchFlux(ctx context.Context, mgr ctrl.Manager, c controller.Controller, list client.ObjectList, kind fluxKind) {
	handle := source.Dependents(mgr.GetClient(), list, kind.Kind)
	err := c.Watch(ctrlsource.Kind[client.Object](mgr.GetCache(), newFluxSource(kind), handle, artifactChanged()))
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Changes of a kind will not be noticed before the next interval", "kind", kind.String())
	}
}

// sequence is the sequence of a reconciliation.
func sequence[T lifecycle.Object](e *engine, k Kind[T]) lifecycle.Kind[T, *Run] {
	return lifecycle.Kind[T, *Run]{
		Name: k.Name,
		New:  k.New,
		Begin: func(obj T, _ lifecycle.Events) *Run {
			spec, status := k.Parts(obj)
			return &Run{obj: obj, kind: k.Name, spec: spec, status: status}
		},
		Steps: []lifecycle.Step[*Run]{
			{Name: "resolveInputs", Run: e.resolveInputs, Light: true},
			{Name: "compare", Run: e.compare, Light: true},
			{Name: "readConfig", Run: e.readConfig},
			{Name: "readPatch", Run: e.readPatch},
			{Name: "plan", Run: func(ctx context.Context, r *Run) error { return e.plan(ctx, r, k.Plan) }},
			{Name: "publish", Run: e.publish},
		},
		Ready: func(r *Run) string { return "Applied version: " + r.status.LatestSourceVersion },
		Delivered: func(obj T) map[string]string {
			_, status := k.Parts(obj)
			return map[string]string{
				k.DigestAnnotation:          status.LatestSnapshotDigest,
				v1alpha1.RevisionAnnotation: v1alpha1.Revision(status.LatestSourceVersion, status.LatestManifestDigest),
			}
		},
	}
}

// references are the objects whose change can matter to an object.
func (k Kind[T]) references(obj client.Object) []source.Ref {
	typed, ok := obj.(T)
	if !ok {
		return nil
	}
	spec, _ := k.Parts(typed)
	return references(obj.GetNamespace(), spec)
}

// references are the objects whose change can matter.
func references(namespace string, spec *v1alpha1.MutationSpec) []source.Ref {
	refs := []source.Ref{source.RefTo(spec.SourceRef, namespace)}
	if spec.ConfigRef != nil {
		refs = append(refs, source.RefTo(*spec.ConfigRef, namespace))
	}
	if spec.PatchStrategicMerge != nil {
		refs = append(refs, patchRef(namespace, spec.PatchStrategicMerge))
	}
	for _, values := range spec.GetValuesSources() {
		if ref, ok := valuesRef(namespace, values); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

func valuesRef(namespace string, values v1alpha1.ValuesSource) (source.Ref, bool) {
	switch {
	case values.FluxSource != nil:
		ref := values.FluxSource.SourceRef
		if ref.Namespace == "" {
			ref.Namespace = namespace
		}
		return source.Ref{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}, true
	case values.ConfigMapSource != nil:
		return source.Ref{Kind: source.ConfigMapKind, Namespace: namespace, Name: values.ConfigMapSource.SourceRef.Name}, true
	case values.SecretSource != nil:
		return source.Ref{Kind: source.SecretKind, Namespace: namespace, Name: values.SecretSource.SourceRef.Name}, true
	case values.SourceRef != nil:
		return source.RefTo(*values.SourceRef, namespace), true
	}
	return source.Ref{}, false
}
