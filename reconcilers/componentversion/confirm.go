package componentversion

import (
	"context"
	"fmt"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// confirm proves what will be read. A copy is verified like what it was made of, where it is: whoever can write to the destination
// may have put something else there.
func (c *controller) confirm(ctx context.Context, r *run) error {
	switch {
	case r.destination == nil:
		r.confirmed = r.proof
	case r.policy == nil, r.isHeld(r.read()) && r.stands(time.Now()):
	default:
		proof, why, err := c.prove(ctx, r, r.destination, r.read())
		if err != nil {
			return err
		}
		if why != "" {
			return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason,
				fmt.Errorf("%s at %s: %s", r.failed(r.version), r.destination.URL(), why))
		}
		r.confirmed = proof
	}
	if r.confirmed != nil && r.isHeld(r.read()) {
		r.recordProof(r.read(), r.confirmed, time.Now())
	}
	return nil
}
