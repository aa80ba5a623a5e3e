package componentversion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// controller holds what the steps of every run share.
type controller struct {
	client       client.Client
	repositories *access.Provider
	// announced holds the version that was reported last for each object.
	announced *lru.Cache
	// readsPerObject and reads bound how many component versions are read at once, for one object and for all of them.
	readsPerObject int
	reads          slots
	arrivals       *access.Arrivals
	transfers      *transfers.Pool
	// copied holds what the last transfer for each object has made, clashes the conflict that it has met, and outcomes what is verified
	// in the pool. Memory is what versions at destinations are made of.
	copied, clashes, outcomes *lru.Cache
	memory                    *transfer.Memory
}

// maxAnnounced bounds how many objects are remembered; a forgotten one reports its version once more.
const maxAnnounced = 10_000

func newController(c client.Client, o Options) *controller {
	return &controller{
		client: c, repositories: o.Repositories, announced: lru.New(maxAnnounced),
		readsPerObject: cmp.Or(o.ReadsPerObject, defaultReadsPerObject), reads: make(slots, cmp.Or(o.Reads, defaultReads)),
		arrivals: access.NewArrivals(), transfers: o.Transfers, memory: transfer.NewMemory(0),
		copied: lru.New(maxAnnounced), clashes: lru.New(maxAnnounced), outcomes: lru.New(maxAnnounced),
	}
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj    *v1alpha1.ComponentVersion
	events lifecycle.Events

	// repository is where versions are found, and destination where they are read from; it is nil if that is the same.
	repository, destination *access.Repository
	// policy is what versions are verified with, and keyless says why there is none; both are nil if there is nothing to verify.
	policy  *access.Policy
	keyless error
	// before is the status as it was; its proof counts only as long as it is by the policy of now.
	before v1alpha1.ComponentVersionStatus
	// first is the newest version that there is, and passedOver are those that were not used because they can't be verified.
	first      candidate
	passedOver []v1alpha1.PassedOverVersion
	// version and manifest are what was chosen, and proof is what was verified of it just now; it is nil if there was nothing
	// to verify, or the status has the proof already.
	version  string
	manifest digest.Digest
	proof    *verify.Proof
	// copies pins what it refers to at the destination.
	copies []source.Node
	// local is the digest of the manifest by which the version is read, and confirmed what was verified of that just now.
	local     digest.Digest
	confirmed *verify.Proof
	// proving is what is being verified in the pool, as it is read, since then.
	proving      candidate
	provingSince time.Time
	// tree pins the version and all that it refers to. It is nil when the status has it already.
	tree *tree
}

// connect opens the repository with the credentials of the namespace, and reads the keys.
func (c *controller) connect(ctx context.Context, r *run) error {
	c.readPolicy(ctx, r)
	if err := descriptor.CheckName(r.obj.Spec.Component); err != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.component: %w", err))
	}
	repository, err := c.repositories.Source(ctx, r.obj)
	if err != nil {
		return access.Verdict(v1alpha1.AuthenticatedContextCreationFailedReason, err)
	}
	r.repository = repository
	return c.connectDestination(ctx, r)
}

// connectDestination opens the destination, if there is one, with its own credentials.
func (c *controller) connectDestination(ctx context.Context, r *run) error {
	if r.obj.Spec.Destination == nil {
		return nil
	}
	destination, err := c.repositories.Open(ctx, access.ComponentVersionUser(r.obj), *r.obj.Spec.Destination, "spec.destination")
	if err != nil {
		return access.Verdict(v1alpha1.AuthenticatedContextCreationFailedReason, err)
	}
	if destination.URL() == r.repository.URL() {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"spec.destination.url is the repository that versions are found in, %s: remove spec.destination, or name another repository", destination.URL()))
	}
	r.destination = destination
	r.repository = r.repository.Beside(destination)
	return nil
}

// resolveVersion finds the version that is wanted, and proves it if its signatures are to be verified.
func (c *controller) resolveVersion(ctx context.Context, r *run) error {
	found, err := c.choose(ctx, r)
	if err != nil {
		if r.first.version != "" {
			c.announce(r, r.first)
		}
		return r.notChosen(err)
	}
	r.version, r.manifest = found.version, found.manifest
	if !r.settled() || r.known(r.first.version) != r.first.manifest {
		c.announce(r, r.first)
	}
	return nil
}

// notChosen is the verdict when no version was chosen. One about the versions that there are stays what it is.
func (r *run) notChosen(err error) error {
	const reason = v1alpha1.CheckVersionFailedReason
	if v, ok := errors.AsType[*lifecycle.Verdict](err); ok && v.Reason != reason {
		return err
	}
	err = fmt.Errorf("version check failed for %s %s: %w", r.obj.Spec.Component, r.obj.Spec.Version.Semver, err)
	if errors.Is(err, errNothingMatches) {
		return lifecycle.Fail(reason, err)
	}
	return access.Verdict(reason, err)
}

// announce reports the newest version as found, whether it is used or passed over, once for each generation of the object, so
// that an object which can't use the version doesn't report it again with every try.
func (c *controller) announce(r *run, found candidate) {
	key := client.ObjectKeyFromObject(r.obj).String()
	text := fmt.Sprintf("%s %d %s@%s", r.obj.UID, r.obj.Generation, found.version, found.manifest)
	if last, ok := c.announced.Get(key); ok && last == text {
		return
	}
	c.announced.Add(key, text)
	r.events.Normal(r.obj, meta.ProgressingReason, "Version check succeeded, found latest version: "+found.version)
}

// pins are the manifests that the versions below the chosen one are known to have: those that were proven, or those of the
// status when it belongs to the chosen version still.
func (r *run) pins() []source.Node {
	switch {
	case r.confirmed != nil:
		return access.Proven(r.confirmed)
	case r.copies != nil:
		return r.copies
	}
	if !r.isHeld(r.read()) {
		return nil
	}
	return nested(r.obj.Status.ComponentDescriptor)
}

// nested returns what a tree of the status pins below its root.
func nested(ref *v1alpha1.Reference) []source.Node {
	var pins []source.Node
	for i := range ref.References {
		below := &ref.References[i]
		pins = append(pins, source.Node{Component: below.ComponentName, Version: below.Version, ManifestDigest: below.ManifestDigest})
		pins = append(pins, nested(below)...)
	}
	return pins
}

// fetchDescriptors reads the descriptor of the version and of everything that it refers to.
func (c *controller) fetchDescriptors(ctx context.Context, r *run) error {
	if r.unchanged() {
		intact, err := c.intact(ctx, r.obj)
		if err != nil {
			return lifecycle.Retry(v1alpha1.GetComponentDescriptorFailedReason, err)
		}
		if intact {
			r.note(v1alpha1.AcceptedVersion{Version: r.version, ManifestDigest: r.manifest.String()})
			return nil
		}
	}
	root := r.node(r.read())
	t, err := c.newFetcher(r, r.from(), r.pins()).fetch(ctx, root)
	if r.policy != nil && isGone(err) {
		t, err = c.fetchAnew(ctx, r, root, err)
	}
	if err != nil {
		return unread(err)
	}
	r.tree = t
	return nil
}

// unread is the verdict when a version, or what it refers to, can't be read.
func unread(err error) error {
	if _, ok := errors.AsType[*CycleError](err); ok {
		return lifecycle.Fail(v1alpha1.ReferenceCycleReason, err)
	}
	reason := v1alpha1.ComponentVersionInvalidReason
	if _, ok := errors.AsType[*nestedError](err); ok {
		reason = v1alpha1.ParseReferencesFailedReason
	}
	return access.Verdict(reason, err)
}

// publish writes the descriptors into the cluster and the tree into the status.
func (c *controller) publish(ctx context.Context, r *run) error {
	if r.tree == nil {
		return nil
	}
	for _, node := range r.tree.all {
		if !r.obj.Spec.References.Expand && node != r.tree.root {
			continue
		}
		if err := c.writeDescriptor(ctx, r.obj, node); err != nil {
			return lifecycle.Retry(v1alpha1.CreateOrUpdateComponentDescriptorFailedReason, err)
		}
	}
	r.record(r.obj.Spec.References.Expand)
	return nil
}

// prune lets go of the descriptors that the version no longer has.
func (c *controller) prune(ctx context.Context, r *run) error {
	if r.tree == nil {
		return nil
	}
	if err := c.pruneDescriptors(ctx, r.obj); err != nil {
		return lifecycle.Retry(v1alpha1.CreateOrUpdateComponentDescriptorFailedReason, err)
	}
	return nil
}
