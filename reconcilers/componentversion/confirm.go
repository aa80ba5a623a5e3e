package componentversion

import (
	"context"
	"fmt"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// confirm proves what will be read. A copy is verified like what it was made of, where it is: whoever can write to the destination
// may have put something else there.
func (c *controller) confirm(ctx context.Context, r *run) error {
	switch {
	case r.destination == nil:
		r.confirmed = r.proof
	case r.policy == nil, r.isHeld(r.read()) && r.stands(time.Now()):
	default:
		proof, why, err := c.proveThere(ctx, r)
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

// outcome is what came of a verification in the pool.
type outcome struct {
	key   string
	proof *verify.Proof
}

// proveThere verifies what will be read at the destination, and says why it is refused if it is. All contents are read back for that,
// which goes on in the pool when it takes long.
func (c *controller) proveThere(ctx context.Context, r *run) (proof *verify.Proof, why string, err error) {
	read := r.read()
	key, who := r.key(verifying, read), owner(r.obj)
	if asked, _, known := c.transfers.Look(who); !known || asked != key {
		proof, late, err := transfers.VerifyAtOnce(ctx, r.destination, r.node(read), r.policy)
		if !late {
			return r.judge(read, proof, err)
		}
		c.outcomes.Add(who, &outcome{key: key})
	}
	known, _ := c.outcomes.Get(who)
	made, ok := known.(*outcome)
	if !ok || made.key != key {
		made = &outcome{key: key} // it was forgotten
	}
	job := transfers.Verification(key, r.destination, r.node(read), r.policy, func(proof *verify.Proof) { made.proof = proof })
	state := c.transfers.Ask(who, job) //nolint:contextcheck // a verification in the pool does not end with the step
	if !state.Ended() {
		return nil, "", r.busy(verifying, read, state)
	}
	c.outcomes.Remove(who)
	if state.Err == nil && made.proof == nil {
		state.Err = fmt.Errorf("the verification of %s came to nothing", describe(r.obj.Spec.Component, read.version))
	}
	return r.judge(read, made.proof, state.Err)
}
