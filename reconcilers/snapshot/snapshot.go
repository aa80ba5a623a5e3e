// Package snapshot reconciles Snapshots: it proves that the content which an object names is in the snapshot store, and
// says where it can be pulled.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Options are what the plugin depends on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Store keeps snapshots.
	Store snapshot.Store
	// Address is scheme, host and port under which the store is reached.
	Address string
	// Recheck is the time after which the presence of content is proved again.
	Recheck time.Duration
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.SnapshotKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(_ context.Context, mgr ctrl.Manager) error { return setup(mgr, o) },
	}
}

func setup(mgr ctrl.Manager, o Options) error {
	reconciler, err := lifecycle.New(kind(&controller{store: o.Store, address: o.Address}, o.Recheck), o.Lifecycle(mgr))
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.Snapshot{}, builder.WithPredicates(source.SpecOrRequest())).
		WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.SnapshotKind, o.Concurrent)).
		Complete(reconciler)
}

func kind(c *controller, recheck time.Duration) lifecycle.Kind[*v1alpha1.Snapshot, *v1alpha1.Snapshot] {
	return lifecycle.Kind[*v1alpha1.Snapshot, *v1alpha1.Snapshot]{
		Name:  v1alpha1.SnapshotKind,
		New:   func() *v1alpha1.Snapshot { return &v1alpha1.Snapshot{} },
		Begin: func(obj *v1alpha1.Snapshot, _ lifecycle.Events) *v1alpha1.Snapshot { return obj },
		Steps: []lifecycle.Step[*v1alpha1.Snapshot]{{Name: "prove", Run: c.prove}},
		Ready: func(s *v1alpha1.Snapshot) string { return fmt.Sprintf("Snapshot with name '%s' is ready", s.Name) },
		Delivered: func(s *v1alpha1.Snapshot) map[string]string {
			return map[string]string{v1alpha1.SnapshotDigestAnnotation: s.Status.Digest}
		},
		Instant: true,
		Every:   recheck,
		// The controllers that came before set it, and waited for their registry when an object was deleted.
		LegacyFinalizers: []string{v1alpha1.SnapshotFinalizer},
	}
}

// controller proves snapshots.
type controller struct {
	store   snapshot.Store
	address string
}

// prove looks for the content in the store, by its digest.
func (c *controller) prove(ctx context.Context, s *v1alpha1.Snapshot) error {
	name := snapshot.RepositoryName(s.Namespace, s.Name)
	repository, err := c.store.Repository(name)
	if err != nil {
		return lifecycle.Stall(v1alpha1.CreateRepositoryNameFailedReason, err)
	}
	if s.Spec.ManifestDigest == "" {
		// Written by a controller that came before: its owner writes it again.
		return lifecycle.Fail(v1alpha1.ContentMissingReason, errors.New("spec.manifestDigest is empty, the owner has to write the snapshot again"))
	}
	present, err := snapshot.Exists(ctx, repository, digest.Digest(s.Spec.ManifestDigest), digest.Digest(s.Spec.Digest))
	if _, damaged := errors.AsType[*snapshot.DigestMismatchError](err); damaged {
		return lifecycle.Fail(v1alpha1.ContentMissingReason, fmt.Errorf("%w, the owner has to write it again", err))
	}
	if err != nil {
		return lifecycle.Retry(v1alpha1.ContentMissingReason, err)
	}
	if !present {
		return lifecycle.Fail(v1alpha1.ContentMissingReason, fmt.Errorf(
			"content %s is not in repository %s, the owner has to write it again", s.Spec.ManifestDigest, name))
	}
	s.Status.Digest = s.Spec.Digest
	s.Status.ManifestDigest = s.Spec.ManifestDigest
	s.Status.Tag = s.Spec.Tag
	s.Status.RepositoryURL = c.address + "/" + name
	return nil
}
