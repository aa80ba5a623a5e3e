package mutation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// input is content that a mutation reads: a resource of a component version, or a snapshot.
type input struct {
	source.Input
	// version is the version of the component that it came from.
	version string
	// key decides, together with those of the other inputs, whether there is anything to do.
	key any

	// One of the two is set.
	component *componentInput
	snapshot  *source.Content
}

// componentInput is a resource of a component version.
type componentInput struct {
	object *v1alpha1.ComponentVersion
	ref    v1alpha1.ResourceReference
	node   source.Node
	// repository, version and resource are read when they are needed.
	repository *access.Repository
	version    *ocm.ComponentVersion
	resource   *descriptor.Resource
}

// stream is open content with what is known of it.
type stream struct {
	io.ReadCloser
	// chart is set for a packed Helm chart.
	chart  bool
	digest string
	meta   snapshot.Meta
}

// resolve finds what a reference leads to, without asking a registry.
func (e *engine) resolve(ctx context.Context, namespace string, ref v1alpha1.ObjectReference) (*input, error) {
	to := source.RefTo(ref, namespace)
	if to.Kind != v1alpha1.ComponentVersionKind {
		content, err := e.resolver.Snapshot(ctx, namespace, ref)
		if err != nil {
			return nil, err
		}
		return &input{
			Input:    source.Input{Ref: to, Origins: content.Origins, Suspended: content.Suspended},
			version:  content.Version,
			key:      content.ManifestDigest,
			snapshot: content,
		}, nil
	}
	if ref.ResourceRef == nil {
		return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"the reference to %s has no resourceRef: name the resource of the component that is wanted", to))
	}
	object, err := e.resolver.ComponentVersion(ctx, namespace, ref)
	if err != nil {
		return nil, err
	}
	node, err := source.Walk(object.Status.ComponentDescriptor, ref.ResourceRef.ReferencePath)
	if err != nil {
		return nil, lifecycle.Fail(v1alpha1.ComponentDescriptorNotFoundReason, err)
	}
	key := []any{object.Status.ReplicatedRepositoryURL, object.Status.ComponentDescriptor.ManifestDigest, node, ref.ResourceRef}
	return &input{
		Input:     source.Input{Ref: to, Origins: []v1alpha1.Origin{source.OriginOf(object)}, Suspended: object.Spec.Suspend},
		version:   object.Status.ReconciledVersion,
		key:       append(key, e.protection.Parts(object)...),
		component: &componentInput{object: object, ref: *ref.ResourceRef, node: node},
	}, nil
}

// load reads the descriptor that holds the resource, and selects it.
func (e *engine) load(ctx context.Context, c *componentInput) error {
	if c.resource != nil {
		return nil
	}
	repository, err := e.repositories.Effective(ctx, c.object)
	if err != nil {
		return access.Verdict(v1alpha1.AuthenticatedContextCreationFailedReason, err)
	}
	c.repository = repository
	if c.version, err = repository.Pinned(ctx, c.node); err != nil {
		return access.Verdict(v1alpha1.GetComponentDescriptorFailedReason, err)
	}
	resource, err := c.version.Descriptor().FindResource(access.Selector(c.ref))
	if err != nil {
		return access.Verdict(v1alpha1.GetResourceFailedReason, err)
	}
	if err := e.protection.Check(c.node, resource); err != nil {
		return err
	}
	c.resource = resource
	return nil
}

// open opens the content.
func (e *engine) open(ctx context.Context, in *input) (*stream, error) {
	if in.component != nil {
		return e.openResource(ctx, in.component)
	}
	repository, err := e.store.Repository(snapshot.RepositoryName(in.Ref.Namespace, in.snapshot.SnapshotName))
	if err != nil {
		return nil, err
	}
	content, err := snapshot.Open(ctx, repository, digest.Digest(in.snapshot.ManifestDigest))
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil, lifecycle.Wait(v1alpha1.ContentMissingReason, 0, fmt.Errorf("content of %s is gone and is being written again: %w", in.Ref, err))
	}
	if _, damaged := errors.AsType[*snapshot.DigestMismatchError](err); damaged {
		return nil, lifecycle.Wait(v1alpha1.ContentMissingReason, 0, fmt.Errorf("content of %s is not what was written, and has to be written again: %w", in.Ref, err))
	}
	if err != nil {
		return nil, err
	}
	meta := snapshot.Meta{
		Component:        content.Annotations[snapshot.AnnotationComponent],
		ComponentVersion: content.Annotations[snapshot.AnnotationComponentVersion],
		Resource:         content.Annotations[snapshot.AnnotationResource],
		ResourceVersion:  content.Annotations[snapshot.AnnotationResourceVersion],
	}
	return &stream{ReadCloser: content, chart: content.MediaType == snapshot.MediaTypeChart, digest: content.LayerDigest.String(), meta: meta}, nil
}

func (e *engine) openResource(ctx context.Context, c *componentInput) (*stream, error) {
	if err := e.load(ctx, c); err != nil {
		return nil, err
	}
	blob, err := c.version.Open(ctx, c.resource, ocm.ReadOptions{MaxBytes: e.maxBytes})
	if err != nil {
		return nil, judged(v1alpha1.GetResourceFailedReason, err)
	}
	meta := snapshot.Meta{
		Component: c.node.Component, ComponentVersion: c.node.Version,
		Resource: c.resource.Name, ResourceVersion: c.resource.Version,
	}
	chart := c.resource.Type == access.ChartType || blob.MediaType == snapshot.MediaTypeChart
	return &stream{ReadCloser: blob, chart: chart, digest: blob.Digest.String(), meta: meta}, nil
}

// String says what is read, with the name of the resource.
func (in *input) String() string {
	if in.component == nil {
		return in.Ref.String()
	}
	return fmt.Sprintf("resource %q of %s", in.component.ref.Name, in.Ref)
}

// wanted is a file of text that a reference of the spec leads to.
type wanted struct {
	// title says what it is, and field is the reference.
	title, field string
	limit        fileLimit
}

// instead says what to do about a reference that leads to something else.
func (w wanted) instead(in *input) string {
	if in.component == nil {
		return fmt.Sprintf("refer in %s to what holds %s, one YAML or JSON file", w.field, w.title)
	}
	return fmt.Sprintf("name the resource that holds %s, one YAML or JSON file, in %s.resourceRef.name", w.title, w.field)
}

// readSmall reads content that is one file of text, whole and checked.
func (e *engine) readSmall(ctx context.Context, in *input, w wanted) ([]byte, error) {
	content, err := e.open(ctx, in)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	raw, err := io.ReadAll(io.LimitReader(content, w.limit.bytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in, err)
	}
	if packed, _, _ := archive.Sniff(bytes.NewReader(raw)); packed {
		return nil, &fileError{fmt.Errorf("%s is an archive of files: %s", in, w.instead(in))}
	}
	if int64(len(raw)) > w.limit.bytes {
		return nil, &fileError{w.limit.error(in.String())}
	}
	return bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")), nil
}

// identity names what the mutation's snapshot comes from: the configuration, and the object that applied it.
func (in *input) identity() map[string]string {
	if in.snapshot != nil {
		return maps.Clone(in.snapshot.Identity)
	}
	c := in.component
	identity := map[string]string{}
	for key, value := range c.ref.ExtraIdentity {
		if key != v1alpha1.ResourceVersionKey {
			identity[key] = value
		}
	}
	identity[v1alpha1.ComponentNameKey] = naming.ComponentDescriptorName(c.node.Component, c.node.Version, c.node.ExtraIdentity)
	identity[v1alpha1.ComponentVersionKey] = c.node.Version
	identity[v1alpha1.ResourceNameKey] = c.resource.Name
	identity[v1alpha1.ResourceVersionKey] = c.resource.Version
	if len(c.ref.ReferencePath) > 0 {
		identity[v1alpha1.ResourceReferencePathKey] = naming.ReferencePathKey(c.ref.ReferencePath)
	}
	return identity
}
