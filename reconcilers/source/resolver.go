package source

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// ErrAccessDenied is matched by the error for a reference into another namespace where that isn't allowed.
var ErrAccessDenied = errors.New("references to other namespaces are switched off by --no-cross-namespace-refs")

// NotReadyError says why a reference can't be used yet.
type NotReadyError struct {
	// Ref is what was looked for.
	Ref Ref
	// Why is what is wrong with it, as a clause.
	Why string
	// Missing is set when the object doesn't exist at all.
	Missing bool
}

// Error implements error.
func (e *NotReadyError) Error() string { return fmt.Sprintf("%s %s", e.Ref, e.Why) }

// Content is a snapshot that a reference leads to.
type Content struct {
	// Ref is the object that wrote the snapshot.
	Ref Ref
	// SnapshotName is the name of the Snapshot object, in the namespace of Ref.
	SnapshotName string
	// LayerDigest and ManifestDigest are what the writer's status says; they are what is read, whatever the Snapshot
	// object says by then.
	LayerDigest, ManifestDigest string
	// Version is the version of the component that the content came from.
	Version string
	// Origins are the component versions that the content came from.
	Origins []v1alpha1.Origin
	// Identity is the identity of the snapshot.
	Identity map[string]string
	// Suspended is set when the writer does nothing, so that the content stays what it is.
	Suspended bool
}

// Resolver finds what references lead to. Reads go to the cache.
type Resolver struct {
	// Reader reads objects.
	Reader client.Reader
	// NoCrossNamespaceRefs refuses references into other namespaces.
	NoCrossNamespaceRefs bool
}

// Allow checks that an object in the namespace may refer to ref. The error matches ErrAccessDenied.
func (r Resolver) Allow(namespace string, ref Ref) error {
	if r.NoCrossNamespaceRefs && ref.Namespace != namespace {
		return fmt.Errorf("%s is in another namespace than %s: %w", ref, namespace, ErrAccessDenied)
	}
	return nil
}

// ComponentVersion returns the component version that a reference leads to, with a status that pins what it holds. It
// returns a *NotReadyError while it can't be used, and an error that matches ErrAccessDenied when it may not be.
func (r Resolver) ComponentVersion(ctx context.Context, namespace string, ref v1alpha1.ObjectReference) (*v1alpha1.ComponentVersion, error) {
	to := RefTo(ref, namespace)
	to.Kind = v1alpha1.ComponentVersionKind
	if err := r.Allow(namespace, to); err != nil {
		return nil, err
	}
	cv := &v1alpha1.ComponentVersion{}
	if err := r.get(ctx, to, cv); err != nil {
		return nil, err
	}
	if why := notReady(cv); why != "" {
		return nil, &NotReadyError{Ref: to, Why: why}
	}
	if cv.Status.ManifestDigest == "" || cv.Status.ComponentDescriptor == nil || cv.Status.ReplicatedRepositoryURL == "" {
		return nil, &NotReadyError{Ref: to, Why: "has no version yet"}
	}
	return cv, nil
}

// Snapshot returns the current content of the snapshot writer that a reference leads to. It returns the errors of
// ComponentVersion.
func (r Resolver) Snapshot(ctx context.Context, namespace string, ref v1alpha1.ObjectReference) (*Content, error) {
	to := RefTo(ref, namespace)
	if err := r.Allow(namespace, to); err != nil {
		return nil, err
	}
	writer, err := newWriter(to.Kind)
	if err != nil {
		return nil, err
	}
	if err := r.get(ctx, to, writer); err != nil {
		return nil, err
	}
	if why := notReady(writer); why != "" {
		return nil, &NotReadyError{Ref: to, Why: why}
	}
	if writer.GetSnapshotName() == "" || writer.GetManifestDigest() == "" {
		return nil, &NotReadyError{Ref: to, Why: "has no snapshot yet"}
	}
	snapshot := &v1alpha1.Snapshot{}
	at := Ref{Kind: v1alpha1.SnapshotKind, Namespace: to.Namespace, Name: writer.GetSnapshotName()}
	if err := r.get(ctx, at, snapshot); err != nil {
		return nil, err
	}
	if why := snapshotNotReady(snapshot, writer); why != "" {
		return nil, &NotReadyError{Ref: at, Why: why}
	}
	return &Content{
		Ref:            to,
		SnapshotName:   snapshot.Name,
		LayerDigest:    writer.GetSnapshotDigest(),
		ManifestDigest: writer.GetManifestDigest(),
		Version:        writer.GetSourceVersion(),
		Origins:        writer.GetOrigins(),
		Identity:       snapshot.Spec.Identity,
		Suspended:      writer.GetSchedule().Suspend,
	}, nil
}

// writer is a snapshot writer as the client reads it.
type writer interface {
	client.Object
	v1alpha1.SnapshotWriter
	GetSchedule() v1alpha1.Schedule
	GetStatus() *v1alpha1.CommonStatus
}

func newWriter(kind string) (writer, error) {
	switch kind {
	case v1alpha1.ResourceKind:
		return &v1alpha1.Resource{}, nil
	case v1alpha1.LocalizationKind:
		return &v1alpha1.Localization{}, nil
	case v1alpha1.ConfigurationKind:
		return &v1alpha1.Configuration{}, nil
	}
	return nil, &UnknownKindError{Kind: kind}
}

// UnknownKindError says that a reference names a kind that can't be a source.
type UnknownKindError struct {
	// Kind is the kind that was named.
	Kind string
}

// Error implements error.
func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("kind %q can't be a source: use Resource, Localization, Configuration or ComponentVersion", e.Kind)
}

func (r Resolver) get(ctx context.Context, ref Ref, obj client.Object) error {
	err := r.Reader.Get(ctx, ref.Key(), obj)
	if apierrors.IsNotFound(err) {
		return &NotReadyError{Ref: ref, Why: "does not exist", Missing: true}
	}
	if err != nil {
		return fmt.Errorf("get %s: %w", ref, err)
	}
	return nil
}

// reconciled is an object of ours, whose readiness counts for its current generation only.
type reconciled interface {
	client.Object
	conditions.Getter
	GetSchedule() v1alpha1.Schedule
	GetStatus() *v1alpha1.CommonStatus
}

// notReady says, as a clause, why an object can't be used; it is empty when it can.
func notReady(obj reconciled) string {
	ready := conditions.Get(obj, meta.ReadyCondition)
	switch {
	case !obj.GetDeletionTimestamp().IsZero():
		return "is being deleted"
	case ready == nil, obj.GetStatus().ObservedGeneration != obj.GetGeneration() && ready.Status != "False" && !keepsContent(obj):
		return "is not ready yet"
	case ready.Status != "True" && waits(obj):
		return "is not ready yet"
	case ready.Status != "True":
		return "is not ready: " + ready.Message
	}
	if cv, ok := obj.(*v1alpha1.ComponentVersion); ok {
		return notVerified(cv)
	}
	return ""
}

// notVerified says why a component version that has to be verified can't be used. Its readiness alone is not enough: whoever
// wrote it, an older version of this program among them, may not have looked at a signature.
func notVerified(cv *v1alpha1.ComponentVersion) string {
	switch {
	case len(cv.Spec.Verify) == 0, cv.Status.Verified:
		return ""
	case cv.Spec.Suspend:
		return "is suspended and is not verified: resume it, so that the signatures of spec.verify are checked"
	}
	return "is not verified"
}

// keepsContent tells an object that is suspended, which is a change of its spec that nobody will observe. Its status names the
// content that it stands for until then. A ComponentVersion stands for a version as long as nothing else in its spec has
// changed: by another one the version may not have been accepted, or verified.
func keepsContent(obj reconciled) bool {
	if !obj.GetSchedule().Suspend || !conditions.IsTrue(obj, meta.ReadyCondition) {
		return false
	}
	cv, ok := obj.(*v1alpha1.ComponentVersion)
	return !ok || cv.Status.SpecDigest != "" && cv.Status.SpecDigest == cv.Spec.Digest()
}

// waits tells an object that waits for others itself from one that something is wrong with. What it waits for is said by
// what it waits for; to repeat it down a chain would only rewrite every status whenever it changes.
func waits(obj reconciled) bool {
	reconciling := conditions.Get(obj, meta.ReconcilingCondition)
	return reconciling != nil && reconciling.Status == "True" && reconciling.Reason != meta.ProgressingWithRetryReason
}

// snapshotNotReady says why a snapshot doesn't hold what its writer says; it is empty when it does.
func snapshotNotReady(snapshot *v1alpha1.Snapshot, writer v1alpha1.SnapshotWriter) string {
	if snapshot.Status.ManifestDigest != writer.GetManifestDigest() {
		return "does not hold the current content yet"
	}
	return notReady(snapshot)
}
