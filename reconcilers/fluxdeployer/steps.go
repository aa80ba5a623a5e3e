package fluxdeployer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// deployer holds what the steps of every run share.
type deployer struct {
	client   client.Client
	live     client.Reader
	cache    client.Reader
	secrets  *secrets.Lookout
	recorder record.EventRecorder
	foreign  *source.Foreign
	resolver source.Resolver
	registry Registry
	store    snapshot.Store
	now      func() time.Time

	artifacts Artifacts
	// gate is nil without artifacts.
	gate *gate
	// watched holds the kinds of Flux that the server has, as far as the watches have found out.
	watched sync.Map
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj    *v1alpha1.FluxDeployer
	events lifecycle.Events

	repository string
	// accessible is set when Flux has what it needs to pull from the repository.
	accessible bool
	content    *source.Content
	// artifact is set when Flux gets the content as an ExternalArtifact.
	artifact *Artifact
	// fallback is why it gets an OCIRepository although artifacts are wanted.
	fallback string
	// objects are what is wanted, in the order in which it is applied, and found what is there of them.
	objects, found []*unstructured.Unstructured
}

// revision is how Flux calls the content: its version, and what it is to the last byte.
func (r *run) revision() string { return r.content.Version + "@" + r.content.ManifestDigest }

// checkSource finds out where the snapshot of the source lies, be it ready or not.
func (d *deployer) checkSource(_ context.Context, r *run) error {
	ref := source.RefTo(r.obj.Spec.SourceRef, r.obj.Namespace)
	if ref.Kind == v1alpha1.ComponentVersionKind {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New(
			"spec.sourceRef is a ComponentVersion, which has no content of its own: refer to a Resource, a Localization or a Configuration"))
	}
	if err := d.resolver.Allow(r.obj.Namespace, ref); err != nil {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
	}
	r.repository = snapshot.RepositoryName(ref.Namespace, snapshot.Name(ref.Kind, ref.Name))
	return nil
}

// resolveSource finds the current snapshot.
func (d *deployer) resolveSource(ctx context.Context, r *run) error {
	content, err := d.resolver.Snapshot(ctx, r.obj.Namespace, r.obj.Spec.SourceRef)
	if missing, ok := errors.AsType[*source.NotReadyError](err); ok && missing.Missing && missing.Ref.Kind != v1alpha1.SnapshotKind {
		err = fmt.Errorf("%w: create it, or correct spec.sourceRef", err)
	}
	if err != nil {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
	}
	r.content = content
	return nil
}

// apply applies what changed. An object that is on its way out holds none of the others up.
func (d *deployer) apply(ctx context.Context, r *run) error {
	var written []string
	defer func() {
		if len(written) > 0 {
			r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Applied %s with version %s, digest %s",
				strings.Join(written, " and "), r.content.Version, r.content.ManifestDigest))
		}
	}()
	for _, obj := range r.objects {
		out, err := d.applyObject(ctx, r.obj, obj)
		if err != nil {
			return lifecycle.Retry(applyReason(obj.GroupVersionKind()), err)
		}
		if obj.GroupVersionKind() == externalArtifactKind {
			published, err := d.publish(ctx, r, out.object)
			if err != nil {
				return lifecycle.Retry(v1alpha1.CreateOrUpdateExternalArtifactFailedReason, err)
			}
			out.written = out.written || published
		}
		if out.object.GroupVersionKind().Group == ociRepositoryKind.Group {
			// Flux pulls it from now on, even if nothing else comes of this.
			r.obj.Status.LastAttemptedRevision = r.revision()
		}
		r.found = append(r.found, out.object)
		if out.adopted {
			r.events.Normal(r.obj, meta.ProgressingReason, "Took over "+describe(obj))
		}
		if out.written {
			written = append(written, obj.GetKind())
		}
	}
	// Flux works with it from now on, whatever comes of that.
	r.obj.Status.Origins = r.content.Origins
	return nil
}

func applyReason(gvk schema.GroupVersionKind) string {
	switch gvk.Kind {
	case kustomizationKind.Kind:
		return v1alpha1.CreateOrUpdateKustomizationFailedReason
	case helmReleaseKind.Kind:
		return v1alpha1.CreateOrUpdateHelmFailedReason
	case externalArtifactKind.Kind:
		return v1alpha1.CreateOrUpdateExternalArtifactFailedReason
	}
	return v1alpha1.CreateOrUpdateOCIRepositoryFailedReason
}

// prune deletes what an earlier template made, and brings the status up to date.
func (d *deployer) prune(ctx context.Context, r *run) error {
	status := &r.obj.Status
	if r.fallback != "" && status.OCIRepository == "" {
		r.events.Warning(r.obj, meta.FeatureGateDisabledReason, "Falling back to an OCIRepository: "+r.fallback)
	}
	for _, field := range []struct {
		gvk  schema.GroupVersionKind
		name *string
	}{
		{kustomizationKind, &status.Kustomization},
		{helmReleaseKind, &status.HelmRelease},
		{ociRepositoryKind, &status.OCIRepository},
		{externalArtifactKind, &status.ExternalArtifact},
	} {
		if r.wants(field.gvk) {
			*field.name = r.obj.Namespace + "/" + r.obj.Name
			continue
		}
		if field.gvk == externalArtifactKind && d.artifacts.Find == nil {
			continue // without the option, nobody may look at it: it goes with the deployer
		}
		if d.mayExist(field.gvk, *field.name) {
			if err := d.deleteObject(ctx, r.obj, field.gvk); err != nil {
				return lifecycle.Retry(applyReason(field.gvk), err)
			}
		}
		*field.name = ""
	}
	if err := d.revokeAccess(ctx, r); err != nil {
		return lifecycle.Retry(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, err)
	}
	return nil
}

// mayExist tells whether an object of a kind can be there: the status says so, or could have been lost before it did.
func (d *deployer) mayExist(gvk schema.GroupVersionKind, name string) bool {
	if _, watched := d.watched.Load(gvk); watched {
		return true
	}
	return name != "" && d.foreign.Served(gvk)
}

func (r *run) wants(gvk schema.GroupVersionKind) bool {
	for _, obj := range r.objects {
		if obj.GroupVersionKind() == gvk {
			return true
		}
	}
	return false
}

// await mirrors the readiness of what was applied, when that is asked for. Ready means ready with this very content.
func (d *deployer) await(_ context.Context, r *run) error {
	for _, found := range r.found {
		if !found.GetDeletionTimestamp().IsZero() {
			return lifecycle.Wait(applyReason(found.GroupVersionKind()), 0, fmt.Errorf("%s %w", describe(found), errTerminating))
		}
	}
	if !r.obj.Spec.WaitForReady {
		return nil
	}
	for _, found := range r.found {
		state, message := readiness(found, r.content.ManifestDigest)
		switch {
		case state == stateFailed:
			return lifecycle.Fail(v1alpha1.CreatedObjectsNotReadyReason, fmt.Errorf("%s is not ready: %s", found.GetKind(), message))
		case state == statePending && (!conditions.IsTrue(r.obj, meta.ReadyCondition) || !again(found, r.content.ManifestDigest)):
			return lifecycle.Wait(v1alpha1.CreatedObjectsNotReadyReason, 0,
				errors.New("waiting for ready condition on created sources: "+found.GetKind()+" "+message))
		}
	}
	return nil
}
