package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
)

const (
	// maxHistory is what the status of a Snapshot has room for.
	maxHistory = 64
	// forgetTimeout bounds the deletion of all that one Snapshot needs no more, and lastTimeout the try after which its patience
	// is over.
	forgetTimeout = 30 * time.Second
	lastTimeout   = 5 * time.Second
	// forgetPatience is how long a deletion waits for the store, and deployedPatience how long for a FluxDeployer to go that
	// deploys the content: who deletes both does so at about the same time.
	forgetPatience   = 5 * time.Minute
	deployedPatience = 30 * time.Second
	// forgetAgain is when a deletion is tried again.
	forgetAgain = 5 * time.Second
	// silencePause is for how long nothing is deleted from a store that didn't answer, and refusalPause from one that refused.
	// Other Snapshots would but wait for the same.
	silencePause = 10 * time.Second
	refusalPause = time.Minute
)

// errDeployed is matched when Flux may still pull the content.
var errDeployed = errors.New("a FluxDeployer deploys it still")

// forgetter takes content out of a store that doesn't find by itself what nobody needs.
type forgetter struct {
	store snapshot.Store
	// deployers lists FluxDeployers.
	deployers client.Reader
	now       func() time.Time

	mu sync.Mutex
	// resumes is when the store is asked again that ended a pass with the cause.
	resumes time.Time
	cause   error
}

// listed is how long the history in the status may be: what is to be taken out of the store is listed until it is.
func (c *controller) listed() int {
	if c.forgetter == nil {
		return c.history
	}
	return maxHistory
}

// unlist tells which content nobody will take out of the store, because the list of what there was has no room for it.
func (c *controller) unlist(ctx context.Context, r *run, before []v1alpha1.SnapshotRevision) {
	if c.forgetter == nil {
		return
	}
	for _, revision := range before {
		if revision.ManifestDigest != r.obj.Spec.ManifestDigest && !slices.Contains(manifestsOf(r.obj.Status.History), revision.ManifestDigest) {
			ctrl.LoggerFrom(ctx).Info("Content of before stays in the registry: too much of it could not be deleted",
				"repository", r.repository(), "manifest", revision.ManifestDigest)
		}
	}
}

// forget takes out of the store what is further in the past than the history. What can't be taken out now stays listed, and is
// tried again with the next look; the Snapshot is none the less ready.
func (c *controller) forget(ctx context.Context, r *run) error {
	status := &r.obj.Status
	if c.forgetter == nil || len(status.History) <= c.history {
		return nil
	}
	left, err := c.forgetter.pass(ctx, forgetTimeout, r.repository(), manifestsOf(status.History[c.history:]))
	kept := status.History[:c.history:c.history]
	for _, revision := range status.History[c.history:] {
		if slices.Contains(left, revision.ManifestDigest) {
			kept = append(kept, revision)
		}
	}
	status.History = kept
	if err != nil && !errors.Is(err, errDeployed) {
		ctrl.LoggerFrom(ctx).Info("Content of before stays in the registry until the next look", "manifests", len(left), "cause", err.Error())
	}
	return nil
}

func manifestsOf(history []v1alpha1.SnapshotRevision) []string {
	manifests := make([]string, 0, len(history))
	for _, revision := range history {
		manifests = append(manifests, revision.ManifestDigest)
	}
	return manifests
}

// undo takes all content of a deleted Snapshot out of the store. It gives up when that is not to be had: nobody waits for a
// registry that is gone for good.
func (f *forgetter) undo(ctx context.Context, s *v1alpha1.Snapshot) error {
	repository := snapshot.RepositoryName(s.Namespace, s.Name)
	manifests := append(manifestsOf(s.Status.History), s.Status.ManifestDigest, s.Spec.ManifestDigest)
	slices.Sort(manifests)
	manifests = slices.DeleteFunc(slices.Compact(manifests), func(manifest string) bool { return manifest == "" })
	gone, timeout := f.now().Sub(s.DeletionTimestamp.Time), forgetTimeout
	if gone >= forgetPatience {
		timeout = lastTimeout
	}
	left, err := f.pass(ctx, timeout, repository, manifests)
	if err == nil {
		return nil
	}
	patience := forgetPatience
	if errors.Is(err, errDeployed) {
		patience = deployedPatience
	}
	if gone < patience {
		return lifecycle.Wait(v1alpha1.SnapshotRegistryFailedReason, forgetAgain, err)
	}
	ctrl.LoggerFrom(ctx).Info("Content of a deleted Snapshot stays in the registry", "repository", repository, "manifests", left, "cause", err.Error())
	return nil
}

// pass deletes manifests of a repository unless they are deployed, and returns those that stay. It ends with the first that
// can't be deleted: the others hardly can. The error matches errDeployed when nothing else is in the way.
func (f *forgetter) pass(ctx context.Context, timeout time.Duration, name string, manifests []string) (left []string, err error) {
	if err := f.paused(); err != nil {
		return manifests, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	deployed, err := f.deployed(ctx, name)
	if err != nil {
		return manifests, err
	}
	repository, err := f.store.Repository(name)
	if err != nil {
		return manifests, err
	}
	for i, manifest := range manifests {
		if deployed[manifest] {
			left = append(left, manifest)
			continue
		}
		err := snapshot.Delete(ctx, repository, digest.Digest(manifest))
		switch {
		case err == nil, errors.Is(err, remote.ErrUndeletable):
			// That the registry deletes nothing for its clients is fine, and won't change by asking again.
		default:
			f.pause(err)
			return append(left, manifests[i:]...), fmt.Errorf("repository %s: %w", name, err)
		}
	}
	if len(left) > 0 {
		return left, fmt.Errorf("content %s in repository %s: %w", left[0], name, errDeployed)
	}
	return nil, nil
}

// paused returns why the store isn't to be asked now.
func (f *forgetter) paused() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Before(f.resumes) {
		return f.cause
	}
	return nil
}

// pause keeps all Snapshots from asking for a while, after an error that isn't about one manifest.
func (f *forgetter) pause(err error) {
	var pause time.Duration
	switch {
	case errors.Is(err, remote.ErrUnauthorized):
		pause = refusalPause
	case errors.Is(err, remote.ErrUnreachable), errors.Is(err, remote.ErrUnsure), errors.Is(err, context.DeadlineExceeded):
		pause = silencePause
	default:
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resumes, f.cause = f.now().Add(pause), err
}

// +kubebuilder:rbac:roleName=external-registry,groups=delivery.ocm.software,resources=fluxdeployers,verbs=list

// deployed returns the manifests of a repository that Flux may pull.
func (f *forgetter) deployed(ctx context.Context, repository string) (map[string]bool, error) {
	handed, err := source.HandedOver(ctx, f.deployers)
	if err != nil {
		return nil, err
	}
	deployed := map[string]bool{}
	for _, h := range handed {
		if h.Repository == repository && !h.Leaving {
			deployed[h.Manifest] = true
		}
	}
	return deployed, nil
}
