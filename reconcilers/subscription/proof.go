package subscription

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const (
	// proveAtOnce is how long a verification may take within a reconciliation. What takes longer goes to the pool, so that those who read
	// from a slow registry keep nobody else waiting.
	proveAtOnce = time.Second
	// heartbeat is how often a verification in the pool says that it goes on. Whether the registry still sends is noticed where it is
	// read from.
	heartbeat = 20 * time.Second
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
		short, cancel := context.WithTimeout(ctx, c.proveAtOnce)
		proof, err := r.source.Verify(short, r.node(found), r.policy, nil)
		late := short.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !late {
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
	from, node, policy, outcome := r.source, r.node(a.candidate), r.policy, a.outcome
	return transfers.Job{
		Key:   strings.Join([]string{"verify", a.wish, a.String()}, " "),
		Hosts: []string{from.Host()},
		Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			beat := newBeat(report)
			defer beat.end()
			proof, err := from.Verify(ctx, node, policy, beat.verified)
			outcome.proof = proof
			return &transfer.Result{}, err
		},
	}
}

// proved takes the outcome of a verification.
func (c *controller) proved(r *run, a *attempt, err error) {
	if err == nil && a.outcome.proof == nil {
		err = fmt.Errorf("the verification of %s came to nothing", describe(r.component, a.version))
	}
	r.memory.prove(a.proves, verdict{a.outcome.proof, err})
}
