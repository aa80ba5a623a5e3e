package componentversion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// owner is whom transfers are done for.
func owner(obj *v1alpha1.ComponentVersion) transfers.Owner {
	return transfers.Owner{Kind: v1alpha1.ComponentVersionKind, NamespacedName: client.ObjectKeyFromObject(obj)}
}

// halt ends what is done for an object that is suspended, deleted or gone, and forgets what was.
func (c *controller) halt(obj *v1alpha1.ComponentVersion) {
	c.transfers.Drop(owner(obj))
	for _, known := range []*lru.Cache{c.copied, c.clashes, c.outcomes} {
		known.Remove(owner(obj))
	}
	obj.Status.Progress = nil
}

// copies is what a transfer has made of a version.
type copies struct {
	key string
	// root is the digest of its manifest at the destination, and nested what it refers to, pinned there.
	root   digest.Digest
	nested []source.Node
}

// clash is a conflict at the destination that a transfer has met.
type clash struct {
	key   string
	found *transfer.ConflictError
	err   error
}

// What is done in the pool for an object.
const (
	transferring = "transfer"
	verifying    = "verify"
)

// wish tells apart what depends, for one object, on more than the version.
func (r *run) wish() string {
	parts := []string{string(r.obj.UID), r.obj.Spec.Digest(), r.obj.Annotations[v1alpha1.AcceptDigestAnnotation], r.repository.Fingerprint(), r.destination.Fingerprint()}
	if r.policy != nil {
		parts = append(parts, r.policy.Fingerprint)
	}
	return digest.FromString(strings.Join(parts, "\n")).String()
}

// key names what is done in the pool with a version, by the digest that it has where that is done.
func (r *run) key(what string, with candidate) string {
	return strings.Join([]string{r.wish(), what, with.manifest.String(), with.version}, " ")
}

// await looks whether something goes on for the object in the pool. While it does nothing else is done: what is newer by now has to
// wait for it, so that a repository in which versions come faster than they can be transferred gets one after the other.
func (c *controller) await(_ context.Context, r *run) error {
	if r.destination == nil {
		return nil
	}
	key, state, known := c.transfers.Look(owner(r.obj))
	const parts = 4
	named := strings.SplitN(key, " ", parts)
	if !known || state.Ended() || len(named) != parts || named[0] != r.wish() {
		return nil
	}
	with := candidate{named[3], digest.Digest(named[2])}
	r.obj.Status.Progress = state.Status(with.version)
	return r.busy(named[1], with, state)
}

// busy says how far something is that goes on in the pool.
func (r *run) busy(what string, with candidate, state transfers.State) error {
	component, at := r.obj.Spec.Component, r.destination.URL()
	err := fmt.Errorf("transferring version %s of %s to %s: %s", with.version, component, at, state)
	if what == verifying {
		r.proving, r.provingSince = with, state.Asked
		err = fmt.Errorf("verifying version %s of %s at %s: %s", with.version, component, at, state)
	}
	if state.Again > 0 {
		return lifecycle.Wait(meta.ProgressingReason, state.Again, err)
	}
	return lifecycle.Busy(meta.ProgressingReason, err)
}

// transfer brings the chosen version to the destination, if there is one and it lacks the version or a part of it.
func (c *controller) transfer(ctx context.Context, r *run) error {
	if r.destination == nil {
		c.transfers.Drop(owner(r.obj))
		r.local = r.manifest
		return nil
	}
	key := r.key(transferring, r.chosen())
	if asked, _, known := c.transfers.Look(owner(r.obj)); !known || asked != key {
		there, err := c.there(ctx, r, key)
		if err != nil {
			return notTransferred(r, err)
		}
		if there {
			if asked != r.key(verifying, r.read()) {
				c.transfers.Drop(owner(r.obj))
			}
			return nil
		}
	}
	job, err := c.job(ctx, r, key)
	if err != nil {
		return err
	}
	state := c.transfers.Ask(owner(r.obj), job) //nolint:contextcheck // a transfer does not end with the step
	switch {
	case !state.Ended():
		return r.busy(transferring, r.chosen(), state)
	case state.Err != nil:
		if found, ok := errors.AsType[*transfer.ConflictError](state.Err); ok {
			c.clashes.Add(owner(r.obj), clash{key: key, found: found, err: state.Err})
		}
		return notTransferred(r, state.Err)
	}
	return c.transferred(r, key, state.Result)
}

// there tells whether the destination has the chosen version still, by what is known of an earlier transfer. It reads nothing but
// what tells that everything is there. What has the conflict still that it had is an error.
func (c *controller) there(ctx context.Context, r *run, key string) (bool, error) {
	known := copies{}
	if done, ok := c.copied.Get(owner(r.obj)); ok {
		known, _ = done.(copies)
	}
	if known.key != key {
		if !r.isInUse(r.chosen()) || r.held() == (candidate{}) {
			return false, c.clash(ctx, r, key)
		}
		known = copies{root: r.held().manifest, nested: nested(r.obj.Status.ComponentDescriptor)}
	}
	options := c.options(r)
	options.Targets = transfers.Pinned(known.nested)
	drift, err := transfer.Check(ctx, r.destination.Repository, r.obj.Spec.Component, r.version, known.root, options)
	if err != nil {
		return false, err
	}
	if drift != nil {
		log.FromContext(ctx).Info("The destination has lost something", "version", r.version, "destination", r.destination.URL(), "lost", drift.String())
		return false, c.clash(ctx, r, key)
	}
	r.local, r.copies = known.root, known.nested
	return true, nil
}

// clash returns the error of the transfer before if another one would meet the same conflict.
func (c *controller) clash(ctx context.Context, r *run, key string) error {
	met, ok := c.clashes.Get(owner(r.obj))
	known, isClash := met.(clash)
	if !ok || !isClash || known.key != key {
		return nil
	}
	from := r.repository
	if known.found.Component == r.obj.Spec.Component && known.found.Version == r.version {
		from = nil // it was looked up to be chosen
	}
	if !transfers.Stands(ctx, known.found, from, r.destination) {
		return nil
	}
	return known.err
}

// job is the transfer of the chosen version. What is transferred is pinned at its source: what was verified, or what is there now.
func (c *controller) job(ctx context.Context, r *run, key string) (transfers.Job, error) {
	pins, err := c.pinned(ctx, r)
	if err != nil {
		return transfers.Job{}, err
	}
	options := c.options(r)
	options.Pinned = transfers.Pinned(pins)
	return transfers.Copy(key, r.repository, r.destination, r.obj.Spec.Component, r.version, options), nil
}

// options are how everything is transferred: recursively, with all resources by value.
func (c *controller) options(r *run) transfer.Options {
	o := transfer.Options{Memory: c.memory, Overwrite: r.obj.Annotations[v1alpha1.AcceptDigestAnnotation] == r.manifest.String()}
	if r.policy != nil {
		o.Confirm = transfer.ConfirmDescriptors // the verification reads all contents
	}
	return o
}

// pinned returns the chosen version, and all that it refers to, by the digests that they have at the source.
func (c *controller) pinned(ctx context.Context, r *run) ([]source.Node, error) {
	if r.policy != nil {
		proof := r.proof
		if proof == nil { // the status has it, and not what it is about at the source
			var why string
			var err error
			if proof, why, err = c.prove(ctx, r, r.repository, r.chosen()); err != nil {
				return nil, err
			}
			if why != "" {
				return nil, lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf("%s: %s", r.failed(r.version), why))
			}
		}
		return access.Proven(proof), nil
	}
	t, err := c.newFetcher(r, r.repository, nil).fetch(ctx, r.node(r.chosen()))
	if err != nil {
		return nil, unread(err)
	}
	var nodes []source.Node
	for _, n := range t.all {
		nodes = append(nodes, n.Node)
	}
	return nodes, nil
}

// transferred takes what a transfer has made.
func (c *controller) transferred(r *run, key string, result *transfer.Result) error {
	if result == nil || len(result.Versions) == 0 {
		return lifecycle.Retry(v1alpha1.TransferFailedReason, fmt.Errorf("the transfer of version %s to %s came to nothing", r.version, r.destination.URL()))
	}
	root := result.Versions[len(result.Versions)-1]
	if root.Source != r.manifest {
		return lifecycle.Retry(v1alpha1.TransferFailedReason, fmt.Errorf("the transfer of version %s to %s was about %s, not %s", r.version, r.destination.URL(), root.Source, r.manifest))
	}
	done := copies{key: key, root: root.Target}
	for _, v := range result.Versions[:len(result.Versions)-1] {
		done.nested = append(done.nested, source.Node{Component: v.Component, Version: v.Version, ManifestDigest: v.Target.String()})
	}
	c.copied.Add(owner(r.obj), done)
	r.local, r.copies = done.root, done.nested
	r.reportTransfer(result)
	return nil
}

// reportTransfer emits what a transfer has changed at the destination.
func (r *run) reportTransfer(result *transfer.Result) {
	what := fmt.Sprintf("Transferred version %s to %s", r.version, r.destination.URL())
	switch {
	case r.isHeld(r.read()):
		what = fmt.Sprintf("Repaired version %s at %s", r.version, r.destination.URL())
	case result.Copied == 0 && result.Mounted == 0 && !slices.ContainsFunc(result.Versions, changed):
		return // it was there, as after a restart
	}
	r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("%s: %d of %d blobs were sent, with %d bytes", what, result.Copied, result.Blobs, result.CopiedBytes))
}

func changed(v transfer.Version) bool { return v.Outcome != transfer.Unchanged }

// notTransferred is the verdict about a transfer that failed. Nothing of it is used, so the version in use stays in use, whatever becomes
// of the object: as for a version that can't be found, it stays ready only by what passes by itself.
func notTransferred(r *run, err error) error {
	err = transfers.Verdict(err, transfers.Advice{
		Source: "spec.repository", Destination: "spec.destination",
		Overwrite: fmt.Sprintf("if what %s has is right, let it be overwritten: kubectl annotate --overwrite -n %s componentversion/%s %s=%s",
			r.repository.URL(), r.obj.Namespace, r.obj.Name, v1alpha1.AcceptDigestAnnotation, r.manifest),
	})
	v, ok := errors.AsType[*lifecycle.Verdict](err)
	if ok && v.Reason == v1alpha1.ComponentVerificationFailedReason {
		err = fmt.Errorf("%s: %w", r.failed(r.version), err)
	}
	if used := r.obj.Status.ReconciledVersion; ok && v.Final() && used != "" && used != r.version && r.obj.Status.ReplicatedRepositoryURL == r.destination.URL() {
		err = fmt.Errorf("%w; version %s stays in use, as it was transferred", err, used)
	}
	return err
}
