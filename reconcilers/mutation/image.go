package mutation

import (
	"context"
	"fmt"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/transform/localize"
)

// Image resolves the image of a resource of the component that the ConfigData belongs to. In a verified component version
// it is pinned to what was verified: whatever its tag leads to later, nothing else runs.
func (r *Run) Image(_ context.Context, name string, extraIdentity map[string]string) (localize.Image, error) {
	c := r.config.component
	if c == nil {
		return localize.Image{}, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"spec.configRef is %s, but images are looked up in the component of the ConfigData: refer to it in its ComponentVersion", r.config.Ref))
	}
	resource, err := c.version.Descriptor().FindResource(access.Selector(v1alpha1.ResourceReference{Name: name, ExtraIdentity: extraIdentity}))
	if err != nil {
		return localize.Image{}, err
	}
	if err := r.protection.Check(c.node, resource); err != nil {
		return localize.Image{}, err
	}
	if !c.proven(resource) {
		reference, err := c.version.ImageReference(resource)
		if err != nil {
			return localize.Image{}, err
		}
		return localize.ParseImage(reference)
	}
	reference, err := c.version.PinnedImageReference(resource)
	if err != nil {
		return localize.Image{}, err
	}
	return localize.ParsePinned(reference)
}

// proven tells whether the content of a resource was compared with its digest when the component version was verified.
func (c *componentInput) proven(resource *descriptor.Resource) bool {
	_, unprotected := verify.Unprotects(resource)
	return c.object.Status.Verified && !unprotected
}
