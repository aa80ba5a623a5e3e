package access

import (
	"context"
	"errors"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Policy is what the signatures of a component version are checked with.
type Policy struct {
	// Requests are the signatures that must hold.
	Requests []signing.Request
	// Fingerprint is a digest of the requests with all their keys.
	Fingerprint string
}

// Policy reads the keys and certificates that spec.verify of a component version names. It returns an *UnusableError when one is
// missing or can't be used.
func (p *Provider) Policy(ctx context.Context, cv *v1alpha1.ComponentVersion) (*Policy, error) {
	return nil, errors.New("not implemented")
}

// Verify proves a pinned component version, or returns the proof that is remembered. Equal requests share one verification.
func (r *Repository) Verify(ctx context.Context, node source.Node, policy *Policy, progress func(verify.Progress)) (*verify.Proof, error) {
	return nil, errors.New("not implemented")
}
