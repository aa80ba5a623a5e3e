package source

import (
	"fmt"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// DenyFlag is the flag of the operator that denies content which no signature can protect.
const DenyFlag = "--deny-unprotected-resources"

// Protection is what is asked of content that is read from component versions.
type Protection struct {
	// Deny refuses content that no signature can protect, be the component version signed or not.
	Deny bool
}

// Check returns a verdict against a resource of a component version that may not be used.
func (p Protection) Check(of Node, res *descriptor.Resource) error {
	if !p.Deny {
		return nil
	}
	why, what := unprotected(res)
	if why == "" {
		return nil
	}
	return lifecycle.Fail(v1alpha1.UnprotectedResourceReason, fmt.Errorf(
		"resource %s of %s:%s is denied by %s: %s; %s, or start the operator without the flag", &res.Element, of.Component, of.Version, DenyFlag, why, what))
}

// unprotected says why nothing proves the content of a resource, and what to do. Both are empty if its digest does.
func unprotected(res *descriptor.Resource) (why, what string) {
	const again = "publish the component version with a digest of its content"
	reason, found := verify.Unprotects(res)
	switch {
	case found && reason == verify.NoContent:
		return "it has no content, its access is none", "name another resource"
	case found:
		return "its publisher excluded its content from what is signed", again
	case res.Digest == nil:
		return "it has no digest, so that its content can't be compared with anything", again
	}
	if err := verify.CheckResource(res); err != nil {
		return "nothing proves its content: " + err.Error(), again
	}
	return "", ""
}

// Parts are what a fingerprint has of what is asked for. They are none where nothing is, so that what was made before
// anything could be asked for stays as it is.
func (p Protection) Parts(cv *v1alpha1.ComponentVersion) []any {
	var parts []any
	if cv.Status.Verified {
		parts = append(parts, "verified")
	}
	if p.Deny {
		parts = append(parts, "protected")
	}
	return parts
}
