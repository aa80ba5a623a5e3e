package componentversion

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// honest makes a step that fails for now a verdict when the version in use is not proven by the keys of now: by a passing fault
// the object would stay ready. It stays ready if that version can be proven in this run, or within its time in the pool.
func (c *controller) honest(step func(context.Context, *run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		err := step(ctx, r)
		if err == nil || len(r.obj.Spec.Verify) == 0 || r.obj.Status.Verified || !r.ready() || !passing(err) {
			return err
		}
		if r.isHeld(r.proving) {
			return r.unlessLate(err)
		}
		why := c.proveAgain(ctx, r)
		if why == nil {
			return err
		}
		if _, ok := errors.AsType[*lifecycle.Verdict](why); ok && !passing(why) {
			return why
		}
		// The causes are texts: as errors, they would be judged once more.
		return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason,
			fmt.Errorf("%s: %v; no other version could be used: %v", r.failed(r.current()), why, err)) //nolint:errorlint // see above
	}
}

// unlessLate lets an object stay what it is while the version in use is being proven, for as long as a reconciliation may take: who
// answers slowly must not keep a key in use that was taken away.
func (r *run) unlessLate(err error) error {
	if left := r.obj.Spec.GetTimeout() - time.Since(r.provingSince); left > 0 {
		return lifecycle.Within(left, err)
	}
	return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf(
		"%s: the keys have changed since it was verified, and its verification at %s is not done yet", r.failed(r.current()), r.home()))
}

// passing tells whether an error is no judgement. A write that met a newer version of what it writes says nothing at all.
func passing(err error) bool {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false
	}
	v, ok := errors.AsType[*lifecycle.Verdict](err)
	return !ok || !v.Final()
}

// proveAgain proves the version in use, and says why it can't.
func (c *controller) proveAgain(ctx context.Context, r *run) error {
	if r.keyless != nil {
		return r.keyless
	}
	held, repository := r.held(), r.from()
	if repository == nil || held == (candidate{}) {
		return errors.New("the repository could not be opened")
	}
	proof, why, err := c.prove(ctx, r, repository, held)
	switch {
	case err != nil:
		return err
	case why != "":
		return errors.New(why)
	}
	r.recordProof(held, proof, time.Now())
	return nil
}
