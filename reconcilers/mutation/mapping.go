package mutation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
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
		if _, failed := errors.AsType[*cuemap.ProgramError](err); failed {
			err = view.explain(err)
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
	return v.filled(ctx, node, root.References, formOf(c.object.Status.Signatures))
}

// view makes what a program sees of a component.
type view struct {
	*componentInput

	protection source.Protection
	// seen counts the components in it.
	seen int
	// hidden is why the program is not shown where some resources are.
	hidden error
	// unsigned is what else it is not shown, and more how much there is beside that.
	unsigned []string
	more     int
}

// filled returns a component with the components that it refers to filled in. The form is the one in which its descriptor was
// signed, if it was verified.
func (v *view) filled(ctx context.Context, node source.Node, pinned []v1alpha1.Reference, form string) (map[string]any, error) {
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
	if v.object.Status.Verified {
		v.strip(node, out, form)
	}
	references, _ := out["references"].([]any)
	for i, reference := range component.References {
		p := pinnedTo(pinned, reference.Name, reference.Version, reference.ExtraIdentity)
		if p == nil {
			return nil, fmt.Errorf("component %s %s: its reference %q is not in the status of the ComponentVersion", node.Component, node.Version, reference.Name)
		}
		below := source.Node{Component: p.ComponentName, Version: p.Version, ManifestDigest: p.ManifestDigest, ExtraIdentity: p.ExtraIdentity}
		nested, err := v.filled(ctx, below, p.References, formBelow(&reference))
		if err != nil {
			return nil, err
		}
		if entry, ok := references[i].(map[string]any); ok {
			entry["component"] = nested
		}
	}
	return out, nil
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
