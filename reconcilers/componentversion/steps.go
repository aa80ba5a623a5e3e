package componentversion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	"github.com/ocm-operator/ocm-operator/ocm/versions"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
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
	arrivals       arrivals
	answerAge      time.Duration
}

// maxAnnounced bounds how many objects are remembered; a forgotten one reports its version once more.
const maxAnnounced = 10_000

func newController(c client.Client, o Options) *controller {
	return &controller{
		client: c, repositories: o.Repositories, announced: lru.New(maxAnnounced),
		readsPerObject: cmp.Or(o.ReadsPerObject, defaultReadsPerObject), reads: make(slots, cmp.Or(o.Reads, defaultReads)),
		arrivals: newArrivals(), answerAge: o.AnswerAge,
	}
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj    *v1alpha1.ComponentVersion
	events lifecycle.Events

	repository *access.Repository
	// version and manifest are what the constraint chose.
	version  string
	manifest digest.Digest
	// tree pins the version and all that it refers to. It is nil when the status has it already.
	tree *tree
}

// connect opens the repository with the credentials of the namespace.
func (c *controller) connect(ctx context.Context, r *run) error {
	if r.obj.Spec.Destination != nil {
		return lifecycle.Stall(v1alpha1.TransferFailedReason, errors.New(
			"spec.destination is not supported by this version of the operator: remove it to use the version from spec.repository"))
	}
	if err := descriptor.CheckName(r.obj.Spec.Component); err != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.component: %w", err))
	}
	repository, err := c.repositories.Source(ctx, r.obj)
	if err != nil {
		return access.Verdict(v1alpha1.AuthenticatedContextCreationFailedReason, err)
	}
	r.repository = repository
	return nil
}

// resolveVersion finds the version that is wanted and the digest that its tag has now.
func (c *controller) resolveVersion(ctx context.Context, r *run) error {
	component, constraint := r.obj.Spec.Component, r.obj.Spec.Version.Semver
	version, manifest, err := c.choose(ctx, r, component, constraint)
	if err != nil {
		err = fmt.Errorf("version check failed for %s %s: %w", component, constraint, err)
		if errors.Is(err, errNothingMatches) {
			return lifecycle.Fail(v1alpha1.CheckVersionFailedReason, err)
		}
		return access.Verdict(v1alpha1.CheckVersionFailedReason, err)
	}
	r.version, r.manifest = version, manifest
	if !r.unchanged() && c.announce(r) {
		r.events.Normal(r.obj, meta.ProgressingReason, "Version check succeeded, found latest version: "+version)
	}
	return nil
}

// announce tells whether a version was not reported as found for this generation of the object before, so that an object
// which can't use the version doesn't report it again with every try.
func (c *controller) announce(r *run) bool {
	key := client.ObjectKeyFromObject(r.obj).String()
	found := fmt.Sprintf("%s %d %s@%s", r.obj.UID, r.obj.Generation, r.version, r.manifest)
	if last, ok := c.announced.Get(key); ok && last == found {
		return false
	}
	c.announced.Add(key, found)
	return true
}

// errNothingMatches is matched by the errors that say that there is no such version.
var errNothingMatches = errors.New("no matching versions found")

// choose picks the version. An exact version costs no listing.
func (c *controller) choose(ctx context.Context, r *run, component, constraint string) (string, digest.Digest, error) {
	since := c.arrivals.since(r.obj, c.answerAge)
	if exact, ok := versions.Exact(constraint); ok {
		manifest, _, err := r.resolve(ctx, exact, since)
		if !errors.Is(err, ocm.ErrNotFound) {
			return exact, manifest, err
		}
		if exact == r.current() {
			return r.keepCurrent()
		}
		// The tag may spell the version otherwise, with or without "v": the listing that is part of the answer finds it.
		if missing, ok := errors.AsType[*ocm.NotFoundError](err); ok && len(missing.Available) > 0 {
			return c.pick(ctx, r, missing.Available, since)
		}
	}
	all, err := r.repository.VersionsSince(ctx, component, since)
	if err != nil {
		return "", "", err
	}
	return c.pick(ctx, r, all, since)
}

// pick takes the newest of the versions that satisfies the constraint.
func (c *controller) pick(ctx context.Context, r *run, all []string, since time.Time) (string, digest.Digest, error) {
	constraint := r.obj.Spec.Version.Semver
	matching, err := versions.Select(candidates(all, r.current()), constraint)
	if err != nil {
		return "", "", lifecycle.Stall(v1alpha1.CheckVersionFailedReason, err)
	}
	if len(matching) == 0 {
		return "", "", fmt.Errorf("%w for constraint %q; %s has %s", errNothingMatches, constraint, r.repository.URL(), some(all))
	}
	return c.firstComponent(ctx, r, matching, all, since)
}

// maxTried bounds how many tags are looked at that turn out to be something else.
const maxTried = 10

// firstComponent returns the newest of the matching versions that is a component version. Tags may look like versions and
// be images, or floating names of other versions.
func (c *controller) firstComponent(ctx context.Context, r *run, matching, all []string, since time.Time) (string, digest.Digest, error) {
	matching = matching[:min(len(matching), maxTried)]
	for _, version := range matching {
		if version == r.current() && !slices.Contains(all, version) {
			return r.keepCurrent()
		}
		manifest, sure, err := r.resolve(ctx, version, since)
		if err != nil || sure || version == r.current() && manifest.String() == r.obj.Status.ManifestDigest {
			return version, manifest, err
		}
		_, err = r.repository.Pinned(ctx, source.Node{Component: r.obj.Spec.Component, Version: version, ManifestDigest: manifest.String()})
		if !errors.Is(err, ocm.ErrNotComponent) {
			return version, manifest, nil // another error is the next step's
		}
	}
	return "", "", fmt.Errorf("%w: the tags %s are no versions of the component", errNothingMatches, strings.Join(matching, ", "))
}

// resolve finds the digest that the tag of a version has now, and tells whether it is sure to be that of a component version.
// The current version most likely is what it was, so nothing but the digest is asked for; any other one will be read, which
// tells the digest, too.
func (r *run) resolve(ctx context.Context, version string, since time.Time) (digest.Digest, bool, error) {
	component := r.obj.Spec.Component
	if version != r.current() {
		return r.repository.ReadSince(ctx, component, version, since)
	}
	manifest, err := r.repository.ResolveSince(ctx, component, version, since)
	return manifest, false, err
}

// candidates are the versions to choose from. The current one is among them even when it disappeared from the listing:
// that is no reason to go back while it matches and nothing newer does.
func candidates(all []string, current string) []string {
	if current == "" || slices.Contains(all, current) {
		return all
	}
	return append(slices.Clone(all), current)
}

// keepCurrent stays with a version whose tag is gone: what it is pinned to may be there still.
func (r *run) keepCurrent() (string, digest.Digest, error) {
	return r.current(), digest.Digest(r.obj.Status.ManifestDigest), nil
}

// some lists the newest few versions for a message.
func some(all []string) string {
	const few = 5
	if len(all) == 0 {
		return "no versions"
	}
	sorted := versions.Sort(slices.Clone(all))
	if len(sorted) <= few {
		return strings.Join(sorted, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(sorted[:few], ", "), len(sorted)-few)
}

// current is the version in use. It counts only for the component and the repository that it came from.
func (r *run) current() string {
	status := r.obj.Status
	if status.ComponentDescriptor == nil || status.ComponentDescriptor.Name != r.obj.Spec.Component ||
		status.ReplicatedRepositoryURL != r.obj.Spec.Repository.URL {
		return ""
	}
	return status.ReconciledVersion
}

// pinned is the tree of the status when it belongs to the chosen version still.
func (r *run) pinned() *v1alpha1.Reference {
	if r.current() != r.version || r.obj.Status.ManifestDigest != r.manifest.String() {
		return nil
	}
	return r.obj.Status.ComponentDescriptor
}

// unchanged tells whether the status already describes the chosen version, resolved for the current spec.
func (r *run) unchanged() bool {
	status := r.obj.Status
	return conditions.IsTrue(r.obj, meta.ReadyCondition) && status.ObservedGeneration == r.obj.Generation &&
		status.ReconciledVersion == r.version && status.ManifestDigest == r.manifest.String() &&
		status.ComponentDescriptor != nil
}

// verify refuses a version whose signatures are to be checked: better nothing than something unchecked.
func (c *controller) verify(_ context.Context, r *run) error {
	if len(r.obj.Spec.Verify) == 0 {
		return nil
	}
	return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf(
		"failed to verify %s with constraint %s: this version of the operator can't check signatures, and uses no version whose check was asked for: "+
			"remove spec.verify to use it unchecked", r.obj.Spec.Component, r.obj.Spec.Version.Semver))
}

// fetchDescriptors reads the descriptor of the version and of everything that it refers to.
func (c *controller) fetchDescriptors(ctx context.Context, r *run) error {
	if r.unchanged() {
		intact, err := c.intact(ctx, r.obj)
		if err != nil {
			return lifecycle.Retry(v1alpha1.GetComponentDescriptorFailedReason, err)
		}
		if intact {
			return nil
		}
	}
	root := source.Node{Component: r.obj.Spec.Component, Version: r.version, ManifestDigest: r.manifest.String()}
	t, err := c.newFetcher(r.repository, r.pinned(), r.obj.Spec.References.Expand).fetch(ctx, root)
	if err != nil {
		if _, ok := errors.AsType[*CycleError](err); ok {
			return lifecycle.Fail(v1alpha1.ReferenceCycleReason, err)
		}
		reason := v1alpha1.ComponentVersionInvalidReason
		if _, ok := errors.AsType[*nestedError](err); ok {
			reason = v1alpha1.ParseReferencesFailedReason
		}
		return access.Verdict(reason, err)
	}
	r.tree = t
	return nil
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
	status := &r.obj.Status
	reference := r.tree.reference(r.obj.Namespace, r.obj.Spec.References.Expand)
	status.ComponentDescriptor = &reference
	status.ReconciledVersion = r.version
	status.ManifestDigest = r.manifest.String()
	status.ReplicatedRepositoryURL = r.obj.Spec.Repository.URL
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
