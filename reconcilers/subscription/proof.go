package subscription

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// together is for how long checks go on within one reconciliation, each of which takes a moment: with many versions that adds up.
const together = 3 * time.Second

// outcome is what came of the verification of a candidate, or of the check whether the destination has it.
type outcome struct {
	// made is set when it came to something.
	made  bool
	proof *verify.Proof
	drift *transfer.Drift
	err   error
}

// proof verifies a candidate at the source. The error may say that this goes on.
func (c *controller) proof(ctx context.Context, r *run, found candidate) (*verify.Proof, error) {
	key := strings.Join([]string{"verify", r.wish(), found.String()}, " ")
	if known, ok := r.memory.outcomes[key]; ok {
		return known.proof, known.err
	}
	if r.memory.attempt == nil {
		proof, late, err := transfers.VerifyAtOnce(ctx, r.source, r.node(found), r.policy)
		if !late {
			return proof, err
		}
	}
	made := &outcome{}
	job := transfers.Verification(key, r.source, r.node(found), r.policy, func(proof *verify.Proof) { made.made, made.proof = true, proof })
	known := c.await(r, &attempt{candidate: found, job: job, outcome: made, doing: fmt.Sprintf("verifying version %s at %s", found.version, r.obj.Spec.Source.URL)})
	return known.proof, known.err
}

// check finds out what the destination has lost of a version that is there. The error may say that this goes on. It is asked once in a
// round: when one check has taken long, the pool makes the others.
func (c *controller) check(ctx context.Context, r *run, there candidate) (*transfer.Drift, error) {
	entry, _ := r.entry(there.version)
	key := strings.Join([]string{"check", r.wish(), there.String(), entry.Digest}, " ")
	if known, ok := r.memory.outcomes[key]; ok {
		return known.drift, known.err
	}
	question := transfers.Check{
		At: r.destination, Component: r.component, Version: there.version, Manifest: digest.Digest(entry.Digest), Options: c.options(r),
	}
	if r.memory.attempt == nil && !r.memory.slow {
		drift, late, err := question.AtOnce(ctx)
		r.memory.slow = late || c.now().Sub(r.checking) >= together
		if !late {
			r.memory.conclude(key, outcome{drift: drift, err: err})
			return drift, err
		}
	}
	made := &outcome{}
	job := question.Job(key, func(drift *transfer.Drift) { made.made, made.drift = true, drift })
	known := c.await(r, &attempt{candidate: there, job: job, outcome: made, doing: fmt.Sprintf("checking version %s at %s", there.version, r.target())})
	return known.drift, known.err
}

// await has the pool make a verification or a check. The error of the outcome may say that this goes on.
func (c *controller) await(r *run, a *attempt) outcome {
	a.spec, a.wish, a.started = r.digest, r.wish(), c.now()
	if err := c.ask(r, a); err != nil {
		return outcome{err: err}
	}
	return r.memory.outcomes[a.job.Key]
}

// concluded takes the outcome of a verification or a check.
func (c *controller) concluded(r *run, a *attempt, err error) {
	came := *a.outcome
	if came.err = err; err == nil && !came.made {
		came.err = fmt.Errorf("%s came to nothing", a.doing)
	}
	r.memory.conclude(a.job.Key, came)
}
