package componentversion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const (
	// noKey is the event that says that there is nothing to verify with. People look for this line.
	noKey = "failed to get public key for verification: " + access.KeyNotFound
	// progressEvery is how often a verification that takes long says how far it is.
	progressEvery = 30 * time.Second
	// maxWhy bounds the text of why a version was not used.
	maxWhy = 1024
)

// readPolicy reads what versions are verified with, before the repository is asked for anything: what it answers, or fails to,
// must not let a proof stand that was made with other keys. An error is kept until there is a version that it is about.
func (c *controller) readPolicy(ctx context.Context, r *run) {
	status := &r.obj.Status
	r.before = *status
	if len(r.obj.Spec.Verify) == 0 {
		unprove(status)
		return
	}
	policy, err := c.repositories.Policy(ctx, r.obj)
	if err != nil {
		r.keyless = r.withoutKey(err)
		if v, ok := errors.AsType[*lifecycle.Verdict](r.keyless); ok && v.Final() {
			unprove(status)
		}
		return
	}
	if r.policy = policy; !r.stands(time.Now()) {
		unprove(status)
	}
}

// verify checks that a version holds what spec.verify asks for, and says why if it doesn't. An error says that this could not be
// found out. What the status says was proven with the same keys is not checked again, and has no proof of its own.
func (c *controller) verify(ctx context.Context, r *run, found candidate) (proof *verify.Proof, why string, err error) {
	if len(r.obj.Spec.Verify) == 0 {
		return nil, "", nil
	}
	if r.keyless != nil {
		return nil, "", r.keyless
	}
	if r.proven(found, time.Now()) {
		return nil, "", nil
	}
	return c.prove(ctx, r, r.repository, found)
}

// prove verifies a version in a repository, and says why it is refused if it is.
func (c *controller) prove(ctx context.Context, r *run, repository *access.Repository, found candidate) (proof *verify.Proof, why string, err error) {
	proof, err = repository.Verify(ctx, r.node(found), r.policy, progress(ctx, found.version, progressEvery))
	return r.judge(found, proof, err)
}

// judge says what came of a verification.
func (r *run) judge(found candidate, proven *verify.Proof, err error) (proof *verify.Proof, why string, _ error) {
	if err == nil {
		return proven, "", nil
	}
	told := fmt.Errorf("%s: %w", r.failed(found.version), err)
	if errors.Is(err, ocm.ErrUnauthorized) && r.current() != "" {
		// Nobody knows what it is, so what is in use is as good as it was.
		return nil, "", lifecycle.Retry(v1alpha1.ComponentVerificationFailedReason, told)
	}
	told = access.Verdict(v1alpha1.ComponentVerificationFailedReason, told)
	if verdict, ok := errors.AsType[*lifecycle.Verdict](told); !ok || !verdict.Final() || errors.Is(err, ocm.ErrUnauthorized) {
		return nil, "", told
	}
	return nil, choice.Clip(choice.Why(err), maxWhy), nil
}

// proven tells whether the status holds the proof of a candidate: it is the version in use, which was proven where it was found,
// and where it is read.
func (r *run) proven(found candidate, now time.Time) bool {
	return r.isInUse(found) && r.held() != (candidate{}) && r.stands(now)
}

// stands tells whether the proof in the status, of the version in use as it is read, is by the keys of now.
func (r *run) stands(now time.Time) bool {
	status := r.obj.Status
	if !status.Verified || r.current() == "" || status.Proof != r.policy.Proof(digest.Digest(status.ManifestDigest)) {
		return false
	}
	return !choice.Expired(status.Signatures, now)
}

// failed begins the message of every failed verification. The versions that it is about are named where the constraint is not
// the only one of them.
func (r *run) failed(tried ...string) string {
	constraint := r.obj.Spec.Version.Semver
	begin := fmt.Sprintf("failed to verify %s with constraint %s", r.obj.Spec.Component, constraint)
	exact, ok := versions.Exact(constraint)
	if len(tried) == 0 || ok && slices.Equal(tried, []string{exact}) {
		return begin
	}
	return begin + ": " + choice.Enumerate(tried)
}

// withoutKey is the verdict when there is nothing to verify with. It is the same for keys that are missing and for those that
// can't be used, which may change in a Secret, and is tried again like every verification that failed.
func (r *run) withoutKey(err error) error {
	const reason = v1alpha1.ComponentVerificationFailedReason
	told := fmt.Errorf("%s: %w", r.failed(), err)
	if _, ok := errors.AsType[*access.UnusableError](err); ok {
		return lifecycle.Fail(reason, told)
	}
	if _, ok := errors.AsType[*access.KeyMissingError](err); ok {
		return lifecycle.WithEvent(noKey, lifecycle.Fail(reason, told))
	}
	return access.Verdict(reason, told)
}

// refuse is the verdict when no version can be verified that may be used.
func (r *run) refuse(refused []v1alpha1.PassedOverVersion, unseen int, denied bool) error {
	r.obj.Status.PassedOver = nil // nothing is used in their place
	refusals, more := choice.Refusals(refused)
	parts := []string{r.failed(refusals[0].Versions...) + ": " + refusals[0].Why}
	for _, other := range refusals[1:] {
		parts = append(parts, other.String())
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more reasons for older versions", more))
	}
	if unseen > 0 {
		parts = append(parts, fmt.Sprintf("%d older versions were not looked at", unseen))
	}
	if denied {
		parts = append(parts, "lower versions are not used, as spec.version.downgradePolicy says")
	}
	return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, errors.New(strings.Join(parts, "; ")))
}

// reportPassedOver writes which versions were passed over into the status, and emits an event for each that is news.
func (r *run) reportPassedOver() {
	status := &r.obj.Status
	before := map[v1alpha1.PassedOverVersion]bool{}
	for _, version := range status.PassedOver {
		before[version] = true
	}
	status.PassedOver = r.passedOver
	for _, version := range r.passedOver {
		if !before[version] {
			r.events.Warning(r.obj, v1alpha1.ComponentVerificationFailedReason,
				fmt.Sprintf("passed over %s: %s; using %s", version.Version, version.Message, r.version))
		}
	}
}

// progress returns what logs from time to time how far a verification is, so that one that takes long can be told from one
// that hangs.
func progress(ctx context.Context, version string, every time.Duration) func(verify.Progress) {
	last := time.Now()
	return func(p verify.Progress) {
		if time.Since(last) < every {
			return
		}
		last = time.Now()
		ctrl.LoggerFrom(ctx).Info(fmt.Sprintf("Verifying version %s: checked %d of %d resources in %d component versions so far",
			version, p.Checked, p.Resources, p.Versions))
	}
}

// settled tells whether the status is about the chosen version already, for the current spec, with the proof that was found
// before. Where it is read may lack it by now.
func (r *run) settled() bool { return r.proof == nil && r.ready() && r.isInUse(r.chosen()) }

// unchanged tells whether the status already describes the chosen version as it is read, with all that it refers to.
func (r *run) unchanged() bool {
	return r.confirmed == nil && r.settled() && r.isHeld(r.read()) && !r.moved()
}

// moved tells whether something that the chosen version refers to has another manifest at the destination now, as when others have
// merged what they know of it.
func (r *run) moved() bool {
	pin := transfers.Pinned(r.copies)
	return slices.ContainsFunc(nested(r.obj.Status.ComponentDescriptor), func(n source.Node) bool {
		there, ok := pin(n.Component, n.Version)
		return ok && there.String() != n.ManifestDigest
	})
}

// ready tells whether the object is ready by its current spec.
func (r *run) ready() bool {
	return conditions.IsTrue(r.obj, meta.ReadyCondition) && r.obj.Status.ObservedGeneration == r.obj.Generation
}
