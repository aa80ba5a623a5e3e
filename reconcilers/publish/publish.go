// Package publish writes the snapshots of the kinds that own one: the content into the snapshot store, and then the
// Snapshot object that names it. Nothing names content before its last byte is stored.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// ErrForeignSnapshot is matched when a Snapshot of the owner's name belongs to somebody else.
var ErrForeignSnapshot = errors.New("a Snapshot of that name belongs to another object: delete it, or rename one of the owners")

// Publisher writes snapshots.
type Publisher struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Store keeps the content.
	Store snapshot.Store
	// Finalizer is set on Snapshots that are made, where their content has to be taken away with them; otherwise it is empty. Their
	// own controller sets it, too, but they may be deleted before it has seen them.
	Finalizer string
}

// Owner is an object that a snapshot belongs to.
type Owner struct {
	// Object is the owner.
	Object client.Object
	// Kind is its kind; objects from the cache don't carry it.
	Kind string
}

// SnapshotName returns the name of the owner's Snapshot.
func (o Owner) SnapshotName() string { return snapshot.Name(o.Kind, o.Object.GetName()) }

// repository returns where the owner's content lies in the store.
func (o Owner) repository() string {
	return snapshot.RepositoryName(o.Object.GetNamespace(), o.SnapshotName())
}

// Artifact is what a snapshot is made of.
type Artifact struct {
	// Identity goes into the Snapshot object, and so do Origins, the component versions that the content came from.
	Identity map[string]string
	Origins  []v1alpha1.Origin
	// Meta describes the content.
	Meta snapshot.Meta
	// Content writes the content.
	Content func(w io.Writer) error
}

// Published tells what was written.
type Published struct {
	// SnapshotName is the name of the Snapshot object.
	SnapshotName string
	// LayerDigest and ManifestDigest are those of the content.
	LayerDigest, ManifestDigest digest.Digest
}

// Publish writes the content and then the Snapshot object.
func (p Publisher) Publish(ctx context.Context, owner Owner, a Artifact) (Published, error) {
	repository, err := p.Store.Repository(owner.repository())
	if err != nil {
		return Published{}, err
	}
	if a.Meta.Tag == "" {
		a.Meta.Tag = snapshot.Tag(a.Meta.ResourceVersion)
	}
	written, err := snapshot.Write(ctx, repository, a.Meta, a.Content)
	if err != nil {
		return Published{}, err
	}
	spec := v1alpha1.SnapshotSpec{
		Identity:       a.Identity,
		Digest:         written.LayerDigest.String(),
		ManifestDigest: written.ManifestDigest.String(),
		Tag:            a.Meta.Tag,
		Origins:        a.Origins,
	}
	if err := p.apply(ctx, owner, spec); err != nil {
		return Published{}, err
	}
	return Published{SnapshotName: owner.SnapshotName(), LayerDigest: written.LayerDigest, ManifestDigest: written.ManifestDigest}, nil
}

// Holds tells whether the owner's Snapshot still says what the owner wrote and has not found its content missing. It asks
// no registry; that is what the Snapshot's own controller does. One that is suspended doesn't look, so what it found
// before counts no more. It is asked by owners that want nothing else: a store that has refused them something before, and
// remembers that, is told so.
func (p Publisher) Holds(ctx context.Context, owner Owner, writer v1alpha1.SnapshotWriter) (bool, error) {
	if writer.GetManifestDigest() == "" {
		return false, nil
	}
	found := &v1alpha1.Snapshot{}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: owner.Object.GetNamespace(), Name: owner.SnapshotName()}, found)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("get Snapshot %s/%s: %w", owner.Object.GetNamespace(), owner.SnapshotName(), err)
	}
	held := found.DeletionTimestamp.IsZero() &&
		found.Spec.ManifestDigest == writer.GetManifestDigest() && found.Spec.Digest == writer.GetSnapshotDigest() &&
		(found.Spec.Suspend || conditions.GetReason(found, meta.ReadyCondition) != v1alpha1.ContentMissingReason)
	if s, remembers := p.Store.(settler); held && remembers {
		s.Settle(owner.repository())
	}
	return held, nil
}

// settler is a store that remembers whom it has refused room.
type settler interface {
	// Settle says that the owner of a repository has what it wants there.
	Settle(repository string)
}

// Trace makes the owner's Snapshot tell where its content came from, for content that is held: the same bytes may belong to
// a newer version by now, or to one that was verified since. It writes only what is not there.
func (p Publisher) Trace(ctx context.Context, owner Owner, origins []v1alpha1.Origin) error {
	key := client.ObjectKey{Namespace: owner.Object.GetNamespace(), Name: owner.SnapshotName()}
	found := &v1alpha1.Snapshot{}
	if err := p.Client.Get(ctx, key, found); err != nil {
		return fmt.Errorf("get Snapshot %s: %w", key, err)
	}
	if slices.Equal(found.Spec.Origins, origins) {
		return nil
	}
	before := found.DeepCopy()
	found.Spec.Origins = origins
	return p.Client.Patch(ctx, found, client.MergeFrom(before))
}

// To patch Snapshots is a right of the feature of that name, without which none of these is.
//
// +kubebuilder:rbac:roleName=Resource,groups=delivery.ocm.software,resources=snapshots,verbs=create
// +kubebuilder:rbac:roleName=Localization,groups=delivery.ocm.software,resources=snapshots,verbs=create
// +kubebuilder:rbac:roleName=Configuration,groups=delivery.ocm.software,resources=snapshots,verbs=create

// apply creates or changes the Snapshot object.
func (p Publisher) apply(ctx context.Context, owner Owner, spec v1alpha1.SnapshotSpec) error {
	key := client.ObjectKey{Namespace: owner.Object.GetNamespace(), Name: owner.SnapshotName()}
	found := &v1alpha1.Snapshot{}
	err := p.Client.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		created := &v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Spec: spec}
		if err := p.own(owner, created); err != nil {
			return err
		}
		if p.Finalizer != "" {
			controllerutil.AddFinalizer(created, p.Finalizer)
		}
		return p.Client.Create(ctx, created)
	}
	if err != nil {
		return fmt.Errorf("get Snapshot %s: %w", key, err)
	}
	before := found.DeepCopy()
	if err := p.own(owner, found); err != nil {
		return err
	}
	spec.Suspend = found.Spec.Suspend // the user's
	if maps.Equal(found.Spec.Identity, spec.Identity) && found.Spec.ManifestDigest == spec.ManifestDigest {
		// The content was written again, so the snapshot has to look again.
		annotations := maps.Clone(found.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[meta.ReconcileRequestAnnotation] = time.Now().UTC().Format(time.RFC3339Nano)
		found.SetAnnotations(annotations)
	}
	found.Spec = spec
	return p.Client.Patch(ctx, found, client.MergeFrom(before))
}

// own makes the owner an owner of the snapshot, unless it is somebody else's already.
func (p Publisher) own(owner Owner, s *v1alpha1.Snapshot) error {
	for _, ref := range s.GetOwnerReferences() {
		if ref.UID != owner.Object.GetUID() && (ref.Kind != owner.Kind || ref.Name != owner.Object.GetName()) {
			return fmt.Errorf("snapshot %s/%s belongs to %s %s: %w", s.Namespace, s.Name, ref.Kind, ref.Name, ErrForeignSnapshot)
		}
	}
	s.SetOwnerReferences(nil) // an owner that was recreated under its name has a new UID
	return controllerutil.SetOwnerReference(owner.Object, s, p.Client.Scheme())
}
