package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const (
	// maxAnnounced bounds how many objects are remembered; a forgotten one reports its version once more.
	maxAnnounced = 10_000
	// inventories bounds of how many component versions is remembered what they are made of.
	inventories = 4096
	// defaultMapping is how components are found where the spec says nothing of it.
	defaultMapping = "urlPath"
	// maxText bounds the texts of the status.
	maxText = 1024
)

// pool makes the copies.
type pool interface {
	Ask(owner transfers.Owner, job transfers.Job) transfers.State
	Look(owner transfers.Owner) (key string, s transfers.State, known bool)
	Drop(owner transfers.Owner)
}

// controller holds what the steps of every run share.
type controller struct {
	repositories *access.Provider
	pool         pool
	arrivals     *access.Arrivals
	memories     memories
	inventories  *transfer.Memory
	// announced holds the version that was reported last for each object.
	announced *lru.Cache
	now       func() time.Time
}

func newController(repositories *access.Provider, p pool) *controller {
	return &controller{
		repositories: repositories, pool: p, arrivals: access.NewArrivals(), memories: newMemories(),
		inventories: transfer.NewMemory(inventories), announced: lru.New(maxAnnounced), now: time.Now,
	}
}

// candidate is a version with the digest of its manifest at the source.
type candidate struct {
	version  string
	manifest digest.Digest
}

// String names the candidate among those of an object.
func (c candidate) String() string { return fmt.Sprintf("%s@%s", c.version, c.manifest) }

// wanted is a version that is to be at the destination. The proof is what was verified of it just now; it is nil if there is nothing
// to verify, or it is known from before.
type wanted struct {
	candidate

	proof *verify.Proof
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj    *v1alpha1.ComponentSubscription
	events lifecycle.Events
	memory *memory

	// component is the name of the component, without a scheme.
	component string
	// source and destination are the repositories; there may be no destination.
	source, destination *access.Repository
	// policy is what versions are verified with; it is nil if there is nothing to verify.
	policy *access.Policy
	// digest is the digest of what versions are replicated for.
	digest    string
	freshness access.Freshness

	// listed are the versions that the source has, and matching those that the spec wants, the newest first.
	listed, matching []string
	// latest is the newest version that the spec wants, and wanted are those that are to be at the destination, the newest first.
	latest     candidate
	wanted     []wanted
	passedOver []v1alpha1.PassedOverVersion
	// skipped is how many tags are no versions.
	skipped int
	// index has the places of the versions in the status.
	index map[string]int
	// busy is set when a replication goes on.
	busy bool
	// checking is since when the destination is asked what it has.
	checking time.Time
	// drifted says what the destination has lost of which version, where that is only to be reported.
	drifted []string
}

// begin makes the run struct of a reconciliation.
func (c *controller) begin(obj *v1alpha1.ComponentSubscription, events lifecycle.Events) *run {
	r := &run{obj: obj, events: events, memory: c.memories.of(obj), component: nameOf(obj.Spec.Component)}
	r.memory.resume(obj)
	return r
}

// nameOf returns the name of a component as it is written in component descriptors: people copy it with a scheme from their browser.
func nameOf(component string) string {
	for _, scheme := range []string{"https://", "http://"} {
		if name, ok := strings.CutPrefix(component, scheme); ok {
			return strings.TrimSuffix(name, "/")
		}
	}
	return component
}

// owner is whom copies are made for.
func (r *run) owner() transfers.Owner { return ownerOf(r.obj) }

func ownerOf(obj client.Object) transfers.Owner {
	return transfers.Owner{Kind: v1alpha1.ComponentSubscriptionKind, NamespacedName: client.ObjectKeyFromObject(obj)}
}

// connect opens both repositories, each with its own credentials, and reads the keys.
func (c *controller) connect(ctx context.Context, r *run) error {
	spec := &r.obj.Spec
	r.freshness = c.arrivals.Freshness(r.obj, spec.Interval.Duration, r.ready() && !conditions.Has(r.obj, meta.ReconcilingCondition))
	if err := descriptor.CheckName(r.component); err != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.component: %w", err))
	}
	if err := c.readPolicy(ctx, r); err != nil {
		return err
	}
	r.leaveBehind()
	user := access.SubscriptionUser(r.obj)
	var err error
	if r.source, err = c.repositories.Open(ctx, user, spec.Source, "spec.source"); err != nil {
		return access.Verdict(v1alpha1.AuthenticationFailedReason, err)
	}
	if spec.Destination == nil {
		return nil
	}
	if r.destination, err = c.repositories.Open(ctx, user, *spec.Destination, "spec.destination"); err != nil {
		return access.Verdict(v1alpha1.AuthenticationFailedReason, err)
	}
	if r.destination.URL() == r.source.URL() {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"spec.destination.url is spec.source.url: name another repository, or remove spec.destination to follow and verify versions only"))
	}
	r.source = r.source.Beside(r.destination)
	return nil
}

// leaveBehind drops which version is the newest one when that is about another component, or another source.
func (r *run) leaveBehind() {
	status := &r.obj.Status
	if status.Component != "" && status.Component != r.component || status.SourceRepositoryURL != "" && status.SourceRepositoryURL != r.obj.Spec.Source.URL {
		status.LatestVersion = ""
	}
}

// readPolicy reads what versions are verified with, before the repository is asked for anything: what it answers, or fails to, must
// not let a status stand that was made with other keys.
func (c *controller) readPolicy(ctx context.Context, r *run) error {
	status := &r.obj.Status
	fingerprint := ""
	if len(r.obj.Spec.Verify) > 0 {
		policy, err := c.repositories.PolicyOf(ctx, access.SubscriptionUser(r.obj))
		if err != nil {
			return r.keyless(err)
		}
		r.policy, fingerprint = policy, policy.Fingerprint
	}
	if r.digest = r.digestFor(fingerprint); r.digest != status.SpecDigest || r.policy == nil {
		status.Verified, status.Signatures = false, nil
	}
	return nil
}

// keyless is the verdict when there is nothing to verify with. It is the same for keys that are missing and for those that can't be
// used, which may change in a Secret.
func (r *run) keyless(err error) error {
	const reason = v1alpha1.ComponentVerificationFailedReason
	told := fmt.Errorf("%s: %w", r.failed(), err)
	verdict := access.Verdict(reason, told)
	if _, ok := errors.AsType[*access.UnusableError](err); ok {
		verdict = lifecycle.Fail(reason, told)
	}
	if v, ok := errors.AsType[*lifecycle.Verdict](verdict); ok && v.Final() {
		r.obj.Status.Verified, r.obj.Status.Signatures = false, nil
	}
	return verdict
}

// digestFor returns the digest of everything that decides what is at the destination when a version was replicated, and what was
// proven of it. Which versions are wanted, and when, is no part of it.
func (r *run) digestFor(keys string) string {
	spec, destination := r.obj.Spec, ""
	if spec.Destination != nil {
		destination = spec.Destination.URL
	}
	mapping := cmp.Or(spec.Source.ComponentNameMapping, defaultMapping)
	made, err := source.Fingerprint(r.component, spec.Source.URL, mapping, destination, spec.OverwritePolicy, spec.Transfer, spec.Verify, keys)
	if err != nil {
		return "" // types of ours always have a JSON form
	}
	return made
}

// wish names all that decides about a replication but the version: it ends when anything of that changes.
func (r *run) wish() string {
	parts := []string{string(r.obj.UID), r.digest, r.source.Fingerprint()}
	if r.destination != nil {
		parts = append(parts, r.destination.Fingerprint())
	}
	return strings.Join(parts, " ")
}

// ready tells whether the object is ready by its current spec.
func (r *run) ready() bool {
	return conditions.IsTrue(r.obj, meta.ReadyCondition) && r.obj.Status.ObservedGeneration == r.obj.Generation
}

// target is where versions are to be read afterwards.
func (r *run) target() string {
	if destination := r.obj.Spec.Destination; destination != nil {
		return destination.URL
	}
	return r.obj.Spec.Source.URL
}

// node names a candidate for those who read it.
func (r *run) node(found candidate) source.Node {
	return source.Node{Component: r.component, Version: found.version, ManifestDigest: found.manifest.String()}
}

// honest makes a step that fails for now a verdict when the version that was replicated is not proven by the keys of now: by a
// passing fault the object would stay ready.
func (c *controller) honest(step func(context.Context, *run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		err := step(ctx, r)
		if v, ok := errors.AsType[*lifecycle.Verdict](err); ok && v.Final() {
			c.stop(r)
		}
		if err != nil && !r.busy {
			r.publish()
			r.memory.end() // what has failed is told, or was not reached
		}
		if len(r.obj.Spec.Verify) == 0 || r.obj.Status.Verified || !r.ready() {
			r.memory.unproven = time.Time{}
			return err
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		return c.unproven(r, err)
	}
}

// unproven is the verdict about an object that is ready by keys that have changed. While something goes on it stays ready for as long as
// a reconciliation may take: who answers slowly must not keep a key in use that was taken away.
func (c *controller) unproven(r *run, err error) error {
	begin := r.failed(r.obj.Status.ReplicatedVersion) + ": the keys have changed since it was verified"
	v, ok := errors.AsType[*lifecycle.Verdict](err)
	switch {
	case !ok || v.Passing():
		// The cause is a text: as an error, it would be judged once more.
		return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf("%s, and it can't be verified now: %v", begin, err)) //nolint:errorlint // see above
	case v.Final():
		return err
	case r.memory.unproven.IsZero():
		r.memory.unproven = c.now()
	}
	if left := r.obj.Spec.GetTimeout() - c.now().Sub(r.memory.unproven); left > 0 {
		return lifecycle.Within(left, err)
	}
	return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf("%s, and it is not verified by them yet", begin))
}

// stop ends a replication that nobody wants any more.
func (c *controller) stop(r *run) {
	if r.memory.attempt != nil {
		c.pool.Drop(r.owner())
		r.memory.attempt, r.obj.Status.Progress = nil, nil
	}
}

// isUnauthorized tells whether a registry did not accept the credentials.
func isUnauthorized(err error) bool { return errors.Is(err, ocm.ErrUnauthorized) }
