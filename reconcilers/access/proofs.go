package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/ocm/turns"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// maxProofParts is how much a proof may say to be remembered: component versions and resources that it names. Where it says
// more, another verification is due when one is asked for, which reads only what isn't remembered as proven.
const maxProofParts = 1024

// errNobodyWaits ends a verification that everybody has given up on.
var errNobodyWaits = errors.New("nobody waits for the verification any longer")

// verdict is how a verification ended.
type verdict struct {
	proof *verify.Proof
	err   error
}

// lasts tells whether a verification would end the same way for ever, or until the proof expires, so that it needn't be done
// again. What a registry has or doesn't have, and time, can change any other verdict.
func (v verdict) lasts() bool {
	if v.err == nil {
		return len(v.proof.Versions)+len(v.proof.Unprotected) <= maxProofParts
	}
	var refused *verify.Error
	return errors.As(v.err, &refused) && refused.Lasting
}

// stands tells whether a remembered verdict is still one.
func (v verdict) stands(now time.Time) bool {
	return v.proof == nil || v.proof.Expires.IsZero() || now.Before(v.proof.Expires)
}

// proving proves a component version, and reports how far it is.
type proving func(ctx context.Context, report func(verify.Progress)) (*verify.Proof, error)

// guarded proves a component version. It runs on a goroutine that nothing recovers, and what it parses is foreign, so a panic
// must not end the process.
func (prove proving) guarded(ctx context.Context, report func(verify.Progress)) (proof *verify.Proof, err error) {
	defer panics.Recover(&err, "verify")
	proof, err = prove(ctx, report)
	if err == nil && proof == nil {
		err = errors.New("verification proved nothing")
	}
	return proof, err
}

// verification is one that is being done, for all who wait for it.
type verification struct {
	cancel  context.CancelCauseFunc
	waiters map[*waiter]struct{}
	// done is closed when the rest is set.
	done chan struct{}
	verdict
}

// waiter is somebody who waits for a verification.
type waiter struct {
	// progress holds the latest report that the waiter has not taken yet.
	progress chan verify.Progress
}

// slotKey names a namespace and a host that it reads from.
type slotKey struct{ namespace, host string }

// proofs are the verifications that are remembered and those that are being done.
type proofs struct {
	now      func() time.Time
	metrics  *metrics
	verdicts memory[verdict]
	// contents are the resources whose content was proven, each by a digest of all that it depends on.
	contents memory[struct{}]
	// slots bound how many contents are read at once, for each namespace and host on its own: who reads from a slow registry keeps
	// nobody else waiting. How many there are in all is bounded by how much verifies at once.
	slots *turns.Turns[slotKey]

	mu      sync.Mutex
	running map[string]*verification
}

// get returns the verdict that is remembered under a key, or else that of a verification, which it begins if there is none.
//
// A verification goes on as long as anybody waits for it and has no time limit of its own: each waiter has one, and what was
// proven when the last one gives up is remembered for the next verification.
func (p *proofs) get(ctx context.Context, key string, prove proving, progress func(verify.Progress)) (*verify.Proof, error) {
	known, v, w := p.join(ctx, key, prove)
	if v == nil {
		p.metrics.remembered()
		return known.proof, known.err
	}
	defer p.leave(key, v, w)
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case at := <-w.progress:
			if progress != nil {
				progress(at)
			}
		case <-v.done:
			return v.proof, v.err
		}
	}
}

// join returns the verdict that is remembered, or lets the caller wait for the one verification that finds it.
func (p *proofs) join(ctx context.Context, key string, prove proving) (verdict, *verification, *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.verdicts.get(key); ok && known.stands(p.now()) {
		return known, nil, nil
	}
	v, ok := p.running[key]
	if !ok {
		v = &verification{waiters: map[*waiter]struct{}{}, done: make(chan struct{})}
		// It outlives the caller who happens to be the first.
		ctx, v.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		p.running[key] = v
		go p.run(ctx, key, v, prove)
	}
	w := &waiter{progress: make(chan verify.Progress, 1)}
	v.waiters[w] = struct{}{}
	return verdict{}, v, w
}

// leave ends the waiting for a verification, and the verification if nobody else waits for it.
func (p *proofs) leave(key string, v *verification, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(v.waiters, w)
	if len(v.waiters) > 0 {
		return
	}
	v.cancel(errNobodyWaits)
	p.drop(key, v)
}

// run does a verification.
func (p *proofs) run(ctx context.Context, key string, v *verification, prove proving) {
	begun := time.Now()
	proof, err := prove.guarded(ctx, func(at verify.Progress) { p.report(v, at) })
	p.metrics.verified(err, time.Since(begun))
	p.mu.Lock()
	defer p.mu.Unlock()
	v.verdict = verdict{proof: proof, err: err}
	if v.lasts() {
		p.verdicts.add(key, v.verdict)
	}
	p.drop(key, v)
	close(v.done)
}

// report leaves the progress to each waiter; it replaces a report that wasn't taken yet.
func (p *proofs) report(v *verification, at verify.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range v.waiters {
		select {
		case <-w.progress:
		default:
		}
		w.progress <- at
	}
}

// drop lets nobody join a verification any more.
func (p *proofs) drop(key string, v *verification) {
	if p.running[key] == v {
		delete(p.running, key)
	}
}
