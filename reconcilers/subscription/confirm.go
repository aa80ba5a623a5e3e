package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// confirm looks whether the destination has what was copied: the newest version, some others in turn, and always the one in use. What
// it lacks is copied again, or only reported, as spec.driftDetection says.
func (c *controller) confirm(ctx context.Context, r *run) error {
	if r.destination == nil || r.obj.Spec.DriftDetection.Mode == v1alpha1.DriftDisabled {
		return nil
	}
	var there []string
	for _, w := range r.wanted {
		if r.done(w.candidate) {
			there = append(there, w.version)
		}
	}
	looked := r.memory.some(there)
	r.checking = c.now()
	if r.memory.broken != "" {
		looked = map[string]bool{r.current(): true} // a registry fails already
	}
	for _, w := range r.wanted {
		if looked[w.version] && r.done(w.candidate) {
			if err := c.look(ctx, r, w); err != nil {
				return err
			}
		}
	}
	if w, ok := r.inUse(); ok {
		return c.look(ctx, r, w)
	}
	return nil
}

// inUse is the version in use, where it is none of the wanted ones that are there: a newer one, or another content of it, could not be
// replicated.
func (r *run) inUse() (wanted, bool) {
	entry, ok := r.entry(r.current())
	w := wanted{candidate: candidate{entry.Version, digest.Digest(entry.SourceDigest)}}
	if !ok || !r.done(w.candidate) || slices.ContainsFunc(r.wanted, func(other wanted) bool { return other.candidate == w.candidate }) {
		return wanted{}, false
	}
	return w, true
}

// look looks whether the destination has a version.
func (c *controller) look(ctx context.Context, r *run, w wanted) error {
	if r.memory.hasFailed(w.candidate) || r.memory.repaired[w.String()] {
		return nil
	}
	drift, err := c.check(ctx, r, w.candidate)
	if r.busy {
		return err
	}
	broken := r.memory.broken != ""
	changed := slices.ContainsFunc(r.wanted, func(other wanted) bool { return other.version == w.version && other.candidate != w.candidate })
	switch {
	case err != nil && broken:
		return nil // which is told
	case err != nil:
		return notTransferred(fmt.Errorf("look whether %s has version %s: %w", r.target(), w.version, err))
	case drift == nil:
		return nil
	case broken, changed, r.obj.Spec.DriftDetection.Mode == v1alpha1.DriftWarn:
		r.drifted = append(r.drifted, fmt.Sprintf("version %s: %s", w.version, drift))
		return nil
	}
	return c.copy(r, w, drift.String())
}

// record writes what the reconciliation came to into the status, and is the verdict about what failed.
func (c *controller) record(ctx context.Context, r *run) error {
	c.stop(r)
	if err := c.head(ctx, r); err != nil {
		return err
	}
	r.publish()
	err := r.failure(r.memory.end())
	if len(r.drifted) == 0 {
		return err
	}
	lost := fmt.Sprintf("%s no longer has what was copied: %s", r.target(), strings.Join(r.drifted, "; "))
	if err != nil {
		return fmt.Errorf("%w; %s", err, lost)
	}
	return lifecycle.Fail(v1alpha1.DestinationDriftedReason, fmt.Errorf("%s; set spec.driftDetection.mode to enabled to have it copied again", lost))
}

// least is the version that none takes the place of which is lower: that of the policy, and the one in use where it is wanted. That is
// there still, whatever the source has by its name now.
func (r *run) least() string {
	least, current := r.floor(), r.current()
	if _, stands := r.entry(current); stands && slices.ContainsFunc(r.wanted, func(w wanted) bool { return w.version == current }) {
		return choice.Highest(least, current)
	}
	return least
}

// head makes the newest one of the wanted versions that are there the version in use.
func (c *controller) head(ctx context.Context, r *run) error {
	least := r.least()
	i := slices.IndexFunc(r.wanted, func(w wanted) bool { return r.done(w.candidate) && !lower(w.version, least) })
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
			if proof, err = c.proof(ctx, r, w.candidate); r.busy {
				return err
			}
			if err != nil {
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
	all := r.wanted
	if w, ok := r.inUse(); ok {
		all = append(slices.Clip(all), w)
	}
	var first error
	var more []string
	for _, w := range all {
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

// clashes tells whether a version has the conflict still that it had, which needs no copy to be known as long as neither side changes.
func (c *controller) clashes(ctx context.Context, r *run, w wanted) bool {
	known, ok := r.memory.conflicts[w.String()]
	if !ok || known.wish != r.wish() {
		return false
	}
	from := r.source
	if known.found.Component == r.component && known.found.Version == w.version {
		from = nil // it was looked up to be wanted
	}
	if !transfers.Stands(ctx, known.found, from, r.destination) {
		return false
	}
	r.memory.fail(w.candidate, known.err)
	return true
}

// notTransferred is the verdict about a copy that failed. What is at the destination stays, and so does what the status says of it.
func notTransferred(err error) error {
	return transfers.Verdict(err, transfers.Advice{
		Source: "spec.source", Destination: "spec.destination", Overwrite: "set spec.overwritePolicy to Allow if what the source has is right",
	})
}

// ofSide tells whether an error is about what all versions need, the destination or a folder of the operator, rather than about the one
// version. What can't be read at the source may be in a place that this version alone refers to; that the source itself is away
// is met when the next version is looked up there.
func ofSide(err error) bool {
	if _, stalled := errors.AsType[*transfers.StallError](err); stalled {
		return true
	}
	if _, conflict := errors.AsType[*transfer.ConflictError](err); conflict || isGone(err) || errors.Is(err, verify.ErrRefused) {
		return false
	}
	if side := oci.SideOf(err); side == oci.Here || side == oci.Source {
		return side == oci.Here
	}
	if _, busy := errors.AsType[*ctf.BusyError](err); busy {
		return true
	}
	return errors.Is(err, ocm.ErrFull) || errors.Is(err, ocm.ErrReadOnly) || errors.Is(err, ocm.ErrUnreachable) || isUnauthorized(err)
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
