package resource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// engine changes when the same resource would be published as other bytes.
const engine = "resource/v1"

// controller holds what the steps of every run share.
type controller struct {
	repositories *access.Provider
	resolver     source.Resolver
	publisher    publish.Publisher
	maxBytes     int64
	archives     archive.Limits
	protection   source.Protection
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj *v1alpha1.Resource

	component   *v1alpha1.ComponentVersion
	node        source.Node
	fingerprint string
	// held is set when the snapshot holds what it should already.
	held     bool
	version  *ocm.ComponentVersion
	resource *descriptor.Resource
}

func (r *run) owner() publish.Owner {
	return publish.Owner{Object: r.obj, Kind: v1alpha1.ResourceKind}
}

func (r *run) ref() v1alpha1.ResourceReference { return *r.obj.Spec.SourceRef.ResourceRef }

// resolveSource takes the pinned component version that holds the resource from the status of the ComponentVersion, which
// nobody but its controller writes.
func (c *controller) resolveSource(ctx context.Context, r *run) error {
	ref := r.obj.Spec.SourceRef
	if ref.Kind != "" && ref.Kind != v1alpha1.ComponentVersionKind {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"spec.sourceRef.kind is %q, but a Resource comes from a ComponentVersion: leave the kind out", ref.Kind))
	}
	if ref.ResourceRef == nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New("spec.sourceRef.resourceRef is missing: name the resource of the component that is wanted"))
	}
	component, err := c.resolver.ComponentVersion(ctx, r.obj.Namespace, ref)
	if notReady, ok := errors.AsType[*source.NotReadyError](err); ok && notReady.Missing {
		return source.Verdict(v1alpha1.ComponentVersionNotFoundReason, fmt.Errorf("%w: create it, or correct spec.sourceRef", err))
	}
	if err != nil {
		return source.Verdict(v1alpha1.ComponentVersionNotReadyReason, err)
	}
	node, err := source.Walk(component.Status.ComponentDescriptor, ref.ResourceRef.ReferencePath)
	if err != nil {
		return lifecycle.Fail(v1alpha1.ComponentDescriptorNotFoundReason, err)
	}
	r.component, r.node = component, node
	return nil
}

// compare finds out, without asking any registry, whether there is anything to do.
func (c *controller) compare(ctx context.Context, r *run) error {
	parts := []any{engine, r.component.Status.ReplicatedRepositoryURL, r.node, r.ref()}
	fingerprint, err := source.Fingerprint(append(parts, c.protection.Parts(r.component)...)...)
	if err != nil {
		return err
	}
	r.fingerprint = fingerprint
	if fingerprint != r.obj.Status.Fingerprint {
		return nil
	}
	r.held, err = c.publisher.Holds(ctx, r.owner(), r.obj)
	return err
}

// findResource reads the descriptor and selects the resource in it.
func (c *controller) findResource(ctx context.Context, r *run) error {
	if r.held {
		return nil
	}
	repository, err := c.repositories.Effective(ctx, r.component)
	if err != nil {
		return access.Verdict(v1alpha1.AuthenticatedContextCreationFailedReason, err)
	}
	r.version, err = repository.Pinned(ctx, r.node)
	if err != nil {
		return access.Verdict(v1alpha1.GetComponentDescriptorFailedReason, err)
	}
	r.resource, err = r.version.Descriptor().FindResource(access.Selector(r.ref()))
	if err != nil {
		return access.Verdict(v1alpha1.GetResourceFailedReason, err)
	}
	return c.protection.Check(r.node, r.resource)
}

// publish streams the resource into the snapshot.
func (c *controller) publish(ctx context.Context, r *run) error {
	status := &r.obj.Status
	// The same content may belong to a newer version of the component that refers to it.
	origins := []v1alpha1.Origin{source.OriginOf(r.component)}
	if r.held {
		if err := c.publisher.Trace(ctx, r.owner(), origins); err != nil {
			return lifecycle.Retry(v1alpha1.CreateOrUpdateSnapshotFailedReason, err)
		}
	} else {
		published, err := c.transfer(ctx, r, origins)
		if err != nil {
			return err
		}
		status.SnapshotName = published.SnapshotName
		status.LatestSnapshotDigest = published.LayerDigest.String()
		status.LatestManifestDigest = published.ManifestDigest.String()
		status.LastAppliedResourceVersion = r.resource.Version
		status.Fingerprint = r.fingerprint
	}
	status.Origins = origins
	status.LastAppliedComponentVersion = r.component.Status.ReconciledVersion
	status.LatestSourceVersion = r.component.Status.ReconciledVersion
	return nil
}

func (c *controller) transfer(ctx context.Context, r *run, origins []v1alpha1.Origin) (publish.Published, error) {
	blob, err := r.version.Open(ctx, r.resource, ocm.ReadOptions{MaxBytes: c.maxBytes})
	if err != nil {
		return publish.Published{}, sourceVerdict(err)
	}
	defer blob.Close()
	content, err := inspect(r.resource, blob)
	if err != nil {
		return publish.Published{}, sourceVerdict(err)
	}
	var readErr error
	artifact := publish.Artifact{
		Identity: r.identity(),
		Origins:  origins,
		Meta:     r.meta(content, blob),
		Content: func(w io.Writer) error {
			readErr = content.copy(w, c.archives)
			return readErr
		},
	}
	published, err := c.publisher.Publish(ctx, r.owner(), artifact)
	return published, publish.Verdict(err, readErr, sourceVerdict)
}

// sourceVerdict judges errors of reading the resource: content that is not what was promised, or can't be used, is so at
// the next try too.
func sourceVerdict(err error) error {
	var (
		mismatch *ocm.DigestMismatchError
		entry    *archive.EntryError
		limit    *archive.LimitError
	)
	switch {
	case errors.As(err, &mismatch):
		return lifecycle.Fail(v1alpha1.ContentMismatchReason, err)
	case errors.Is(err, errNoChart), errors.As(err, &entry), errors.As(err, &limit):
		return lifecycle.Fail(v1alpha1.GetResourceFailedReason, publish.Flagged(err))
	}
	return access.Verdict(v1alpha1.GetResourceFailedReason, err)
}

// identity names the resource within its component version.
func (r *run) identity() map[string]string {
	ref := r.ref()
	identity := map[string]string{
		v1alpha1.ComponentNameKey:    naming.ComponentDescriptorName(r.node.Component, r.node.Version, r.node.ExtraIdentity),
		v1alpha1.ComponentVersionKey: r.node.Version,
		v1alpha1.ResourceNameKey:     r.resource.Name,
		v1alpha1.ResourceVersionKey:  r.resource.Version,
	}
	maps.Copy(identity, ref.ExtraIdentity)
	if len(ref.ReferencePath) > 0 {
		identity[v1alpha1.ResourceReferencePathKey] = naming.ReferencePathKey(ref.ReferencePath)
	}
	return identity
}

func (r *run) meta(c *content, blob *ocm.Blob) snapshot.Meta {
	meta := snapshot.Meta{
		Component:        r.node.Component,
		ComponentVersion: r.node.Version,
		Resource:         r.resource.Name,
		ResourceVersion:  r.resource.Version,
		SourceDigest:     blob.Digest.String(),
		MediaType:        blob.MediaType,
		Kind:             c.kind,
		ChartConfig:      c.chartConfig,
	}
	if c.chartVersion != "" {
		meta.Tag = snapshot.ChartTag(c.chartVersion)
	}
	return meta
}
