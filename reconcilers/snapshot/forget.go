package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
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
	// forgetTimeout bounds the deletion of one content.
	forgetTimeout = 30 * time.Second
	// forgetPatience is how long a deletion waits for the store, and deployedPatience how long for a FluxDeployer to go that
	// deploys the content: who deletes both does so at about the same time.
	forgetPatience   = 5 * time.Minute
	deployedPatience = 30 * time.Second
	// forgetAgain is when a deletion is tried again.
	forgetAgain = 5 * time.Second
)

// errDeployed is matched when Flux may still pull the content.
var errDeployed = errors.New("a FluxDeployer deploys it still")

// forgetter takes content out of a store that doesn't find by itself what nobody needs.
type forgetter struct {
	store  snapshot.Store
	reader client.Reader
	now    func() time.Time
}

// listed is how long the history in the status may be: what is to be taken out of the store is listed until it is.
func (c *controller) listed() int {
	if c.forgetter == nil {
		return c.history
	}
	return maxHistory
}

// forget takes out of the store what is further in the past than the history. What can't be taken out now stays listed, and is
// tried again with the next look; the Snapshot is none the less ready.
func (c *controller) forget(ctx context.Context, r *run) error {
	status := &r.obj.Status
	if c.forgetter == nil || len(status.History) <= c.history {
		return nil
	}
	kept := status.History[:c.history:c.history]
	for _, revision := range status.History[c.history:] {
		err := c.forgetter.drop(ctx, r.repository(), revision.ManifestDigest)
		if err == nil {
			continue
		}
		kept = append(kept, revision)
		if !errors.Is(err, errDeployed) {
			ctrl.LoggerFrom(ctx).Info("Content of before stays in the registry until the next look", "manifest", revision.ManifestDigest, "cause", err.Error())
		}
	}
	status.History = kept
	return nil
}

// undo takes all content of a deleted Snapshot out of the store. It gives up when that is not to be had: nobody waits for a
// registry that is gone for good.
func (f *forgetter) undo(ctx context.Context, s *v1alpha1.Snapshot) error {
	repository := snapshot.RepositoryName(s.Namespace, s.Name)
	manifests := map[string]bool{s.Spec.ManifestDigest: true, s.Status.ManifestDigest: true}
	for _, revision := range s.Status.History {
		manifests[revision.ManifestDigest] = true
	}
	delete(manifests, "")
	var errs []error
	patience := deployedPatience
	for manifest := range manifests {
		err := f.drop(ctx, repository, manifest)
		if err != nil && !errors.Is(err, errDeployed) {
			patience = forgetPatience
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	if f.now().Sub(s.DeletionTimestamp.Time) < patience {
		return lifecycle.Wait(v1alpha1.ContentMissingReason, forgetAgain, err)
	}
	ctrl.LoggerFrom(ctx).Info("Content of a deleted Snapshot stays in the registry", "repository", repository, "cause", err.Error())
	return nil
}

// drop deletes a manifest unless it is deployed. That it is gone already is fine, and so is a registry that deletes nothing.
func (f *forgetter) drop(ctx context.Context, name, manifest string) error {
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	deployed, err := f.deployed(ctx, name, manifest)
	if err != nil {
		return err
	}
	if deployed {
		return fmt.Errorf("content %s in repository %s: %w", manifest, name, errDeployed)
	}
	repository, err := f.store.Repository(name)
	if err != nil {
		return err
	}
	err = snapshot.Delete(ctx, repository, digest.Digest(manifest))
	if errors.Is(err, remote.ErrUndeletable) {
		return nil
	}
	return err
}

// deployed tells whether Flux may pull a manifest of a repository, which a FluxDeployer says whose source has moved on, too.
func (f *forgetter) deployed(ctx context.Context, repository, manifest string) (bool, error) {
	all := &v1alpha1.FluxDeployerList{}
	err := f.reader.List(ctx, all)
	if apimeta.IsNoMatchError(err) {
		return false, nil // without the kind, nothing was deployed
	}
	if err != nil {
		return false, fmt.Errorf("list FluxDeployers: %w", err)
	}
	for i := range all.Items {
		d := &all.Items[i]
		ref := source.RefTo(d.Spec.SourceRef, d.Namespace)
		_, applied, _ := strings.Cut(d.Status.LastAppliedRevision, "@")
		if d.DeletionTimestamp.IsZero() && applied == manifest && snapshot.RepositoryName(ref.Namespace, snapshot.Name(ref.Kind, ref.Name)) == repository {
			return true, nil
		}
	}
	return false, nil
}
