package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// confirm looks whether the destination has what was copied: the newest version, and some others in turn. What it lacks is copied
// again, or only reported, as spec.driftDetection says.
func (c *controller) confirm(ctx context.Context, r *run) error {
	mode := cmp.Or(r.obj.Spec.DriftDetection.Mode, v1alpha1.DriftEnabled)
	if r.destination == nil || mode == v1alpha1.DriftDisabled {
		return nil
	}
	var there []string
	for _, w := range r.wanted {
		if r.done(w.candidate) {
			there = append(there, w.version)
		}
	}
	looked := r.memory.some(there)
	for _, w := range r.wanted {
		if !looked[w.version] || !r.done(w.candidate) || r.memory.hasFailed(w.candidate) || r.memory.repaired[w.String()] {
			continue
		}
		entry, _ := r.entry(w.version)
		drift, err := transfer.Check(ctx, r.destination.Repository, r.component, w.version, digest.Digest(entry.Digest), c.options(r))
		switch {
		case err != nil:
			return notTransferred(fmt.Errorf("look whether %s has version %s: %w", r.target(), w.version, err))
		case drift == nil:
		case mode == v1alpha1.DriftWarn:
			r.drifted = append(r.drifted, fmt.Sprintf("version %s: %s", w.version, drift))
		default:
			if err := c.copy(r, w, drift.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// record writes what the reconciliation came to into the status, and is the verdict about what failed.
func (c *controller) record(ctx context.Context, r *run) error {
	c.stop(r)
	failed := r.memory.end()
	if err := c.head(ctx, r); err != nil {
		return err
	}
	if err := r.failure(failed); err != nil {
		return err
	}
	if len(r.drifted) > 0 {
		return lifecycle.Fail(v1alpha1.DestinationDriftedReason, fmt.Errorf(
			"%s no longer has what was copied: %s; set spec.driftDetection.mode to enabled to have it copied again", r.target(), strings.Join(r.drifted, "; ")))
	}
	return nil
}

// head makes the newest one of the wanted versions that are there the version in use.
func (c *controller) head(ctx context.Context, r *run) error {
	i := slices.IndexFunc(r.wanted, func(w wanted) bool { return r.done(w.candidate) })
	if i < 0 {
		return nil
	}
	w := r.wanted[i]
	entry, _ := r.entry(w.version)
	status := &r.obj.Status
	if status.ReplicatedVersion == w.version && status.ReplicatedDigest == entry.Digest && status.SourceRepositoryURL == r.obj.Spec.Source.URL &&
		(r.policy == nil || r.proven(w.candidate, c.now())) {
		return nil
	}
	var checked []signing.Checked
	if r.policy != nil {
		proof := w.proof
		if proof == nil {
			var err error
			if proof, err = r.source.Verify(ctx, r.node(w.candidate), r.policy, nil); err != nil {
				return access.Verdict(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf("%s: %w", r.failed(w.version), err))
			}
		}
		checked = proof.Signatures
	}
	r.use(entry, checked, c.now())
	return nil
}

// failure is the verdict about the versions that could not be replicated: that about the newest one, with the names of the others.
func (r *run) failure(failed map[string]error) error {
	var first error
	var more []string
	for _, w := range r.wanted {
		switch err := failed[w.String()]; {
		case err == nil:
		case first == nil:
			first = err
		default:
			more = append(more, w.version)
		}
	}
	if len(more) == 0 {
		return first
	}
	slices.Sort(more)
	return fmt.Errorf("%w; %d more versions could not be replicated: %s", first, len(more), strings.Join(more[:min(len(more), others)], ", "))
}

// notTransferred is the verdict about a copy that failed. What is at the destination stays, and so does what the status says of it.
func notTransferred(err error) error {
	const reason = v1alpha1.TransferFailedReason
	if conflict, ok := errors.AsType[*transfer.ConflictError](err); ok {
		return lifecycle.WithEvent(conflict.Error(), lifecycle.Fail(v1alpha1.TransferConflictReason, fmt.Errorf(
			"%w: set spec.overwritePolicy to Allow if what the source has is right", err)))
	}
	if missing, ok := errors.AsType[*transfer.MissingError](err); ok && missing != nil {
		return lifecycle.Fail(reason, err)
	}
	switch {
	case errors.Is(err, verify.ErrRefused):
		return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, err)
	case errors.Is(err, ocm.ErrFull):
		return lifecycle.Hinder(v1alpha1.DestinationFullReason, err)
	case errors.Is(err, ocm.ErrReadOnly):
		return lifecycle.Fail(reason, err)
	case isUnauthorized(err):
		return access.Verdict(v1alpha1.AuthenticationFailedReason, err)
	}
	return access.Verdict(reason, err)
}

// reasonOf returns the reason of a verdict.
func reasonOf(err error) string {
	if v, ok := errors.AsType[*lifecycle.Verdict](err); ok {
		return v.Reason
	}
	return v1alpha1.TransferFailedReason
}

// isGone tells whether there is no such manifest any more.
func isGone(err error) bool { return errors.Is(err, ocm.ErrNotFound) }
