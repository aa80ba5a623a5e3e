package subscription

import (
	"context"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// verdict is what came of the verification of a candidate.
type verdict struct {
	proof *verify.Proof
	err   error
}

// proof verifies a candidate at the source. The error may say that this goes on.
func (c *controller) proof(ctx context.Context, r *run, found candidate) (*verify.Proof, error) {
	key := r.digest + " " + found.String()
	if known, ok := r.memory.proofs[key]; ok {
		return known.proof, known.err
	}
	if r.memory.attempt == nil {
		proof, late, err := transfers.VerifyAtOnce(ctx, r.source, r.node(found), r.policy)
		if !late {
			return proof, err
		}
	}
	a := &attempt{candidate: found, spec: r.digest, wish: r.wish(), started: c.now(), proves: key, outcome: &verdict{}}
	a.job = c.verification(r, a)
	if err := c.ask(r, a); err != nil {
		return nil, err
	}
	known := r.memory.proofs[key]
	return known.proof, known.err
}

// verification is the job that verifies a candidate.
func (c *controller) verification(r *run, a *attempt) transfers.Job {
	key, outcome := strings.Join([]string{"verify", a.wish, a.String()}, " "), a.outcome
	return transfers.Verification(key, r.source, r.node(a.candidate), r.policy, func(proof *verify.Proof) { outcome.proof = proof })
}

// proved takes the outcome of a verification.
func (c *controller) proved(r *run, a *attempt, err error) {
	if err == nil && a.outcome.proof == nil {
		err = fmt.Errorf("the verification of %s came to nothing", describe(r.component, a.version))
	}
	r.memory.prove(a.proves, verdict{a.outcome.proof, err})
}
