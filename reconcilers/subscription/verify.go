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
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// others is how many of the versions that were replicated before are looked at beside the newest one, in turn.
const others = 16

// replicate goes over the versions that are wanted, the newest one first, and has those copied that are not there: each is found at the
// source and proven before, and the next one comes when that has ended. One that can't be verified is passed over, and one that can't
// be copied keeps no other from it.
func (c *controller) replicate(ctx context.Context, r *run) error {
	permitted, err := r.permitted()
	if err != nil {
		return err
	}
	floor, again := r.floor(), r.again(permitted)
	for _, version := range r.shortlist(permitted) {
		if len(r.wanted) == r.obj.Spec.GetLimit() {
			break
		}
		if len(r.passedOver)+r.skipped >= choice.MaxTried && version != r.current() {
			continue
		}
		found, ok, err := c.find(ctx, r, version, again)
		switch {
		case err != nil:
			return unread(v1alpha1.PullingLatestVersionFailedReason, fmt.Errorf("read version %s of %s: %w", version, r.component, err))
		case !ok:
			r.skipped++
			continue
		}
		c.announce(r, found)
		w, ok, err := c.prove(ctx, r, found)
		switch {
		case err != nil:
			return err
		case !ok:
			continue
		case len(r.wanted) == 0 && lower(version, floor):
			return r.below(version, floor)
		}
		r.wanted = append(r.wanted, w)
		if err := c.bring(ctx, r, w); err != nil {
			return err
		}
		if r.memory.broken == w.String() {
			break // a registry, which the others need as well
		}
	}
	return c.gone(r, floor)
}

// gone says what came of going over the versions.
func (c *controller) gone(r *run, floor string) error {
	switch {
	case len(r.wanted) > 0:
		r.reportPassedOver()
		return nil
	case len(r.passedOver) > 0:
		return r.refuse(floor)
	}
	return lifecycle.Fail(v1alpha1.PullingLatestVersionFailedReason, fmt.Errorf("none of the %d newest tags of %s that satisfy %s is a version of the component",
		r.skipped, r.component, constraints(&r.obj.Spec)))
}

// bring brings a version to where it is wanted, if it is not there and has not failed to come there in this round.
func (c *controller) bring(ctx context.Context, r *run, w wanted) error {
	switch {
	case r.done(w.candidate) || r.memory.hasFailed(w.candidate) || r.memory.brought[w.String()]:
		return nil
	case r.destination == nil:
		return c.accept(ctx, r, w)
	case c.clashes(ctx, r, w):
		return nil
	}
	return c.copy(r, w, "")
}

// below is the verdict when nothing but versions that are lower than the policy allows is left.
func (r *run) below(version, floor string) error {
	if len(r.passedOver) > 0 {
		return r.refuse(floor)
	}
	return lifecycle.Fail(v1alpha1.DowngradeDeniedReason, fmt.Errorf(
		"the newest version of %s that can be used is %s, which is lower than %s: set spec.downgradePolicy to Allow to go back", r.component, version, floor))
}

// permitted leaves out the versions that are lower than spec.downgradePolicy allows. Where several are wanted, it is the newest
// of them that no lower one may replace; the others replace nothing.
func (r *run) permitted() ([]string, error) {
	rule := choice.Rule{Policy: r.obj.Spec.DowngradePolicy, Current: r.current(), Highest: r.highest()}
	permitted := rule.Permitted(r.matching)
	if len(permitted) == 0 {
		told := fmt.Sprintf("the newest version of %s that satisfies %s is %s, which is lower than %s, the highest one that was ever replicated",
			r.component, constraints(&r.obj.Spec), r.matching[0], r.floor())
		return nil, lifecycle.WithEvent(told, lifecycle.Fail(v1alpha1.DowngradeDeniedReason, fmt.Errorf(
			"%s: change spec.semver, or set spec.downgradePolicy to Deny or Allow to go back", told)))
	}
	if r.obj.Spec.GetLimit() > 1 {
		return r.matching, nil
	}
	return permitted, nil
}

// again returns which of the versions that were replicated before are looked up at the source once more, in case one was published
// anew: the newest one, and some others in turn.
func (r *run) again(all []string) map[string]bool {
	var known []string
	for _, version := range all[:min(len(all), r.obj.Spec.GetLimit()+choice.MaxTried)] {
		if _, ok := r.entry(version); ok {
			known = append(known, version)
		}
	}
	return r.memory.some(known)
}

// some returns the first of the versions and, in turn, some of the others.
func (m *memory) some(all []string) map[string]bool {
	chosen := map[string]bool{}
	if len(all) == 0 {
		return chosen
	}
	chosen[all[0]] = true
	rest := all[1:]
	for i := range min(others, len(rest)) {
		chosen[rest[(m.turn+i)%len(rest)]] = true
	}
	return chosen
}

// find returns the digest that a version has at the source. It returns false for a tag that leads to no component version. Nothing
// is asked about a version that was replicated before, unless it is looked up again, and nothing twice in one round.
func (c *controller) find(ctx context.Context, r *run, version string, again map[string]bool) (candidate, bool, error) {
	known := r.known(version)
	if _, replicated := r.entry(version); replicated && (!again[version] || !slices.Contains(r.listed, version)) {
		return candidate{version, known}, true, nil
	}
	if found, ok := r.memory.found[version]; ok {
		return found, found.manifest != "", nil
	}
	found, ok, err := c.lookUp(ctx, r, candidate{version, known})
	if err != nil {
		return candidate{}, false, err
	}
	if !ok {
		found.manifest = ""
	}
	r.memory.find(found)
	return found, ok, nil
}

// lookUp asks the source for the digest of a version. One that is known most likely is what it was, so nothing but the digest is asked
// for; any other one will be read, which tells the digest, too.
func (c *controller) lookUp(ctx context.Context, r *run, known candidate) (candidate, bool, error) {
	found := candidate{version: known.version}
	var sure bool
	var err error
	if known.manifest == "" {
		found.manifest, sure, err = r.source.ReadWithin(ctx, r.component, known.version, r.freshness)
	} else {
		found.manifest, err = r.source.ResolveWithin(ctx, r.component, known.version, r.freshness)
		sure = found.manifest == known.manifest
	}
	if isGone(err) {
		return found, false, nil // it was withdrawn since it was listed
	}
	if err != nil || sure {
		return found, true, err
	}
	_, err = r.source.Pinned(ctx, r.node(found))
	return found, !errors.Is(err, ocm.ErrNotComponent), nil // another error is that of whoever reads it next
}

// prove makes a candidate one of the versions that are wanted, or passes it over if it can't be verified. What was proven with the same
// keys before is not checked again.
func (c *controller) prove(ctx context.Context, r *run, found candidate) (wanted, bool, error) {
	newest := len(r.wanted) == 0
	if r.policy == nil || r.done(found) && (!newest || r.proven(found, c.now())) || !r.done(found) && r.memory.hasFailed(found) {
		return wanted{candidate: found}, true, nil
	}
	proof, err := c.proof(ctx, r, found)
	if err == nil {
		return wanted{found, proof}, true, nil
	}
	if r.busy {
		return wanted{}, false, err
	}
	told := fmt.Errorf("%s: %w", r.failed(found.version), err)
	if isUnauthorized(err) {
		// Nobody knows what it is, so what is in use is as good as it was.
		return r.unproven(ctx, found, lifecycle.Retry(v1alpha1.AuthenticationFailedReason, told))
	}
	told = access.Verdict(v1alpha1.ComponentVerificationFailedReason, told)
	if verdict, ok := errors.AsType[*lifecycle.Verdict](told); !ok || !verdict.Final() {
		return r.unproven(ctx, found, told)
	}
	r.passedOver = append(r.passedOver, v1alpha1.PassedOverVersion{
		Version: found.version, ManifestDigest: found.manifest.String(), Message: clip(choice.Why(err)),
	})
	return wanted{}, false, nil
}

// unproven says what comes of a version of which nobody knows whether it is good, such as one with content at a registry that can't be
// reached. Where several versions are wanted it keeps no other from being replicated, unless the same goes for many of them.
func (r *run) unproven(ctx context.Context, found candidate, verdict error) (wanted, bool, error) {
	if ctx.Err() != nil {
		return wanted{}, false, verdict
	}
	r.fails(found.version, reasonOf(verdict), verdict)
	if r.obj.Spec.GetLimit() == 1 || r.done(found) || len(r.memory.failed) >= choice.MaxTried {
		return wanted{}, false, verdict
	}
	r.memory.fail(found, verdict)
	return wanted{candidate: found}, true, nil
}

// failed begins the message of every failed verification.
func (r *run) failed(tried ...string) string {
	begin := "failed to verify " + r.component
	if len(tried) == 0 {
		return begin
	}
	return begin + " " + choice.Enumerate(tried)
}

// refuse is the verdict when no version can be verified that may be used. Versions that are refused for the same reason, as with a
// wrong key, are told of together.
func (r *run) refuse(floor string) error {
	r.obj.Status.PassedOver = nil // nothing is used in their place
	var parts []string
	refusals, more := choice.Refusals(r.passedOver)
	for _, refusal := range refusals {
		parts = append(parts, refusal.String())
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more reasons for older versions", more))
	}
	if floor != "" {
		parts = append(parts, fmt.Sprintf("versions lower than %s are not used in its place, as spec.downgradePolicy says", floor))
	}
	told := errors.New(r.failed() + " " + strings.Join(parts, "; "))
	r.fails(r.latest.version, v1alpha1.ComponentVerificationFailedReason, told)
	return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, told)
}

// reportPassedOver writes which versions were passed over into the status, and emits an event for each that is news.
func (r *run) reportPassedOver() {
	newest := r.wanted[0].version
	passed := slices.DeleteFunc(r.passedOver, func(v v1alpha1.PassedOverVersion) bool {
		return r.obj.Spec.GetLimit() == 1 && lower(v.Version, newest)
	})
	passed = passed[:min(len(passed), choice.MaxTried)] // the version in use is tried besides
	for _, version := range passed {
		if !slices.Contains(r.obj.Status.PassedOver, version) {
			r.events.Warning(r.obj, v1alpha1.ComponentVerificationFailedReason, fmt.Sprintf("passed over %s: %s; using %s", version.Version, version.Message, newest))
			r.fails(version.Version, v1alpha1.ComponentVerificationFailedReason, errors.New(version.Message))
		}
	}
	r.obj.Status.PassedOver = passed
}

// known returns the digest that a version has in the status, if it was replicated or passed over.
func (r *run) known(version string) digest.Digest {
	if entry, ok := r.entry(version); ok {
		return digest.Digest(entry.SourceDigest)
	}
	for _, passed := range r.obj.Status.PassedOver {
		if passed.Version == version {
			return digest.Digest(passed.ManifestDigest)
		}
	}
	return ""
}
