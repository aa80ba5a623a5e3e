package mutation

import (
	"context"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// patchInput is the file that a file of the source is merged over.
type patchInput struct {
	source.Input
	// version is the revision of the place that holds it.
	version string
	// identity names that place in the identity of the snapshot.
	identity map[string]string
	// key decides, together with those of the other inputs, whether there is anything to do.
	key any
	// load reads the file.
	load func(ctx context.Context) ([]byte, error)
}

// patchRef is the object that a patch refers to.
func patchRef(namespace string, p *v1alpha1.PatchStrategicMerge) source.Ref {
	ref := p.Source.SourceRef
	if ref.Namespace == "" {
		ref.Namespace = namespace
	}
	return source.Ref{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
}

// resolvePatch finds the place, without fetching what Flux or a registry holds.
func (e *engine) resolvePatch(ctx context.Context, namespace string, p *v1alpha1.PatchStrategicMerge) (*patchInput, error) {
	ref := patchRef(namespace, p)
	if err := e.resolver.Allow(namespace, ref); err != nil {
		return nil, err
	}
	switch ref.Kind {
	case v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind:
		return e.patchFromSnapshot(ctx, namespace, ref, p)
	}
	if !isFluxSource(ref.Kind) {
		return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.%s.source.sourceRef.kind is %q: use %s, %s, %s or %s", patchField, ref.Kind,
			strings.Join(fluxSourceKinds, ", "), v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind))
	}
	return e.patchFromFlux(ctx, ref, p)
}

// patchFromFlux takes the base from the artifact of a Flux source.
func (e *engine) patchFromFlux(ctx context.Context, ref source.Ref, p *v1alpha1.PatchStrategicMerge) (*patchInput, error) {
	at, err := e.artifact(ctx, ref, "take the base of the patch from elsewhere")
	if err != nil {
		return nil, err
	}
	in := newPatchInput(source.Input{Ref: ref}, at.digest, at.revision, p)
	in.load = func(ctx context.Context) ([]byte, error) {
		raw, err := e.fileOf(ctx, at, p.Source.Path, e.baseFile())
		if err != nil {
			return nil, judgedFile(v1alpha1.ReconcileMutationObjectFailedReason, fmt.Errorf("base of the patch from %s at %s: %w", ref, at.revision, err))
		}
		return raw, nil
	}
	return in, nil
}

// patchFromSnapshot takes the base from what another object has written.
func (e *engine) patchFromSnapshot(ctx context.Context, namespace string, ref source.Ref, p *v1alpha1.PatchStrategicMerge) (*patchInput, error) {
	from, err := e.resolve(ctx, namespace, v1alpha1.ObjectReference{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name})
	if err != nil {
		return nil, err
	}
	in := newPatchInput(from.Input, from.snapshot.LayerDigest, from.version, p)
	in.load = func(ctx context.Context) ([]byte, error) {
		content, err := e.open(ctx, from)
		if err != nil {
			return nil, err
		}
		defer content.Close()
		raw, err := findFile(content, p.Source.Path, e.limits.Archives, e.baseFile())
		if err != nil {
			return nil, judgedFile(v1alpha1.ReconcileMutationObjectFailedReason, fmt.Errorf("base of the patch from %s: %w", ref, err))
		}
		return raw, nil
	}
	return in, nil
}

// baseFile says how large the base may be.
func (e *engine) baseFile() fileLimit {
	return fileLimit{bytes: e.limits.Archives.EditBytes, flag: publish.EditedFileSizeFlag}
}

func newPatchInput(in source.Input, digest, version string, p *v1alpha1.PatchStrategicMerge) *patchInput {
	return &patchInput{
		Input: in, version: version, key: []string{digest, p.Source.Path, p.Target.Path},
		identity: map[string]string{
			v1alpha1.SourceNameKey: in.Ref.Name, v1alpha1.SourceNamespaceKey: in.Ref.Namespace, v1alpha1.SourceArtifactChecksumKey: digest,
		},
	}
}
