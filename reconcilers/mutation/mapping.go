package mutation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
	"github.com/ocm-operator/ocm-operator/transform/localize"
)

// maxMapped bounds how many components a program sees, each as often as it is referred to.
const maxMapped = 1000

// Mapper returns what evaluates the programs of mappings for this run, nil if nothing does.
func (r *Run) Mapper() localize.Mapper {
	if r.mappings == nil {
		return nil
	}
	var whole map[string]any
	view := &view{protection: r.protection}
	return func(ctx context.Context, program string) (any, error) {
		if whole == nil {
			var err error
			if whole, err = r.whole(ctx, view); err != nil {
				return nil, err
			}
		}
		value, err := r.mappings.Evaluate(ctx, program, whole)
		if _, failed := errors.AsType[*cuemap.ProgramError](err); failed && view.hidden != nil {
			err = fmt.Errorf("%w; it was not shown where these resources are: %w", err, view.hidden)
		}
		if failed := (*cuemap.ProgramError)(nil); err != nil && !errors.As(err, &failed) && !errors.Is(err, cuemap.ErrTooLarge) {
			return nil, lifecycle.Retry(v1alpha1.ReconcileMutationObjectFailedReason, err)
		}
		return value, err
	}
}

// whole returns the component version of the ConfigData, whatever the reference path leads to, with all that it refers to.
func (r *Run) whole(ctx context.Context, v *view) (map[string]any, error) {
	c := r.config.component
	if c == nil {
		return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"spec.configRef is %s, but a mapping needs the component of the ConfigData: refer to it in its ComponentVersion", r.config.Ref))
	}
	root := c.object.Status.ComponentDescriptor
	node := source.Node{Component: root.Name, Version: root.Version, ManifestDigest: root.ManifestDigest}
	v.componentInput = c
	return v.filled(ctx, node, root.References)
}

// view makes what a program sees of a component.
type view struct {
	*componentInput

	protection source.Protection
	// seen counts the components in it.
	seen int
	// hidden is why the program is not shown where some resources are.
	hidden error
}

// filled returns a component with the components that it refers to filled in.
func (v *view) filled(ctx context.Context, node source.Node, pinned []v1alpha1.Reference) (map[string]any, error) {
	if v.seen++; v.seen > maxMapped {
		return nil, fmt.Errorf("a mapping can have a component with up to %d references, counted as often as they are reached", maxMapped)
	}
	version, err := v.repository.Pinned(ctx, node)
	if err != nil {
		return nil, access.Verdict(v1alpha1.GetComponentDescriptorFailedReason, err)
	}
	component := version.Descriptor().Component
	raw, err := json.Marshal(map[string]any{
		"version": component.Version, "resources": listed(component.Resources), "sources": listed(component.Sources), "references": listed(component.References),
	})
	if err != nil {
		return nil, fmt.Errorf("descriptor of %s %s: %w", node.Component, node.Version, err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("descriptor of %s %s: %w", node.Component, node.Version, err)
	}
	v.protect(node, version, out)
	references, _ := out["references"].([]any)
	for i, reference := range component.References {
		p := pinnedTo(pinned, reference.Name, reference.Version, reference.ExtraIdentity)
		if p == nil {
			return nil, fmt.Errorf("component %s %s: its reference %q is not in the status of the ComponentVersion", node.Component, node.Version, reference.Name)
		}
		below := source.Node{Component: p.ComponentName, Version: p.Version, ManifestDigest: p.ManifestDigest, ExtraIdentity: p.ExtraIdentity}
		nested, err := v.filled(ctx, below, p.References)
		if err != nil {
			return nil, err
		}
		if entry, ok := references[i].(map[string]any); ok {
			entry["component"] = nested
		}
	}
	return out, nil
}

// protect makes the accesses that a program sees worthy of what is known of the content. Nothing signs an access. So in a
// verified component version the image references in them are pinned to what was verified, and one that can't be is not
// shown. Where content is denied that nothing can protect, its access isn't either.
func (v *view) protect(node source.Node, version *ocm.ComponentVersion, component map[string]any) {
	shown, _ := component["resources"].([]any)
	resources := version.Descriptor().Component.Resources
	for i := range shown {
		resource := &resources[i]
		entry, _ := shown[i].(map[string]any)
		if err := v.protection.Check(node, resource); err != nil {
			v.hidden = errors.Join(v.hidden, err)
			delete(entry, "access")
			continue
		}
		if !v.proven(resource) {
			continue
		}
		pinned, err := version.PinnedImageReference(resource)
		if pin(entry["access"], pinned) {
			v.hidden = errors.Join(v.hidden, err)
		}
	}
}

// pin puts a pinned image reference in the place of the one that an access or its globalAccess has, and tells whether it has
// one. An empty reference takes it away.
func pin(access any, pinned string) bool {
	fields, ok := access.(map[string]any)
	if !ok {
		return false
	}
	_, found := fields["imageReference"]
	switch {
	case found && pinned == "":
		delete(fields, "imageReference")
	case found:
		fields["imageReference"] = pinned
	}
	return pin(fields["globalAccess"], pinned) || found
}

// listed is an empty list where there is none: a program can go through that, and not through null.
func listed[T any](list []T) []T { return append([]T{}, list...) }

func pinnedTo(pinned []v1alpha1.Reference, name, version string, extra map[string]string) *v1alpha1.Reference {
	for i := range pinned {
		p := &pinned[i]
		if p.Name == name && p.Version == version && maps.Equal(p.ExtraIdentity, extra) {
			return p
		}
	}
	return nil
}
