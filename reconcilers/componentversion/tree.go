package componentversion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Bounds of a tree of references. The whole tree stands in the status of one object, whose size etcd limits.
const (
	maxDepth = 32
	maxNodes = 1000
)

// CycleError says that a component version refers to itself.
type CycleError struct {
	// Path leads from the root to the repetition.
	Path []string
}

// Error implements error.
func (e *CycleError) Error() string {
	return "component references form a cycle: " + strings.Join(e.Path, " -> ")
}

// nestedError says that something below the component version can't be read.
type nestedError struct{ err error }

func (e *nestedError) Error() string { return e.err.Error() }

func (e *nestedError) Unwrap() error { return e.err }

// node is a component version in the tree, under the identity of the reference that leads to it.
type node struct {
	// name is the name of the reference; the root has its component's name.
	name string
	source.Node
	version    *ocm.ComponentVersion
	references []*node
}

// objectName is the name of the node's ComponentDescriptor.
func (n *node) objectName() string {
	return naming.ComponentDescriptorName(n.Component, n.Version, n.ExtraIdentity)
}

// tree is a component version with everything that it refers to, directly or not.
type tree struct {
	root *node
	// all holds every occurrence, the root first.
	all []*node
}

// fetcher walks over a tree. What it walks over is read ahead of it, in any order; the walk goes depth first, so the tree and
// the error that ends it are the same every time.
type fetcher struct {
	reader *reader
	tree   *tree
}

// newFetcher returns a fetcher that knows what nested versions are pinned to: a tag that was resolved for a version is never
// resolved again for it. Nothing is known of a new version, unless it was verified, which pins everything below it.
func (c *controller) newFetcher(r *run, repository *access.Repository, pins []source.Node) *fetcher {
	pinned := map[string]source.Node{}
	for _, pin := range pins {
		pinned[describe(pin.Component, pin.Version)] = pin
	}
	return &fetcher{tree: &tree{}, reader: &reader{
		repository: repository, pinned: pinned, closed: len(r.obj.Spec.Verify) > 0, keep: r.obj.Spec.References.Expand,
		own: c.readsPerObject, all: c.reads, reads: map[string]*read{},
	}}
}

// fetch reads the tree below a pinned version. Nested versions are resolved once and pinned from then on. Reads that an
// error makes useless end with it.
func (f *fetcher) fetch(ctx context.Context, root source.Node) (*tree, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	top := &node{name: root.Component, Node: root}
	f.tree.root = top
	return f.tree, f.expand(ctx, top, nil)
}

// isGone tells whether the registry no longer has a nested version as it was pinned.
func isGone(err error) bool {
	_, nested := errors.AsType[*nestedError](err)
	return nested && errors.Is(err, ocm.ErrNotFound)
}

// fetchAnew reads a verified tree whose pins are gone, as when a nested version was published once more with another signature
// and the registry has collected what it was. What there is now must be what the root was signed with, so it is verified like a
// new version. Where no signature covers a content below the root, that isn't enough to take it for the same.
func (c *controller) fetchAnew(ctx context.Context, r *run, root source.Node, gone error) (*tree, error) {
	r.from().Forget(root, r.policy)
	proof, err := r.from().Verify(ctx, root, r.policy, progress(ctx, root.Version, progressEvery))
	if err != nil {
		return nil, access.Verdict(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf("%s: %w", r.failed(root.Version), err))
	}
	for _, u := range proof.Unprotected {
		if u.Why == verify.Excluded && (u.Component != root.Component || u.Version != root.Version) {
			return nil, gone
		}
	}
	r.confirmed = proof
	return c.newFetcher(r, r.from(), r.pins()).fetch(ctx, root)
}

// expand walks over a node and everything below it. The path holds what lies above.
func (f *fetcher) expand(ctx context.Context, n *node, path []string) error {
	path, err := f.enter(n, path)
	if err != nil {
		return err
	}
	begun := f.reader.begin(ctx, n.Node, false)
	if err := begun.wait(ctx); err != nil {
		err = fmt.Errorf("read component %s: %w", strings.Join(path, " -> "), err)
		if n != f.tree.root {
			err = &nestedError{err}
		}
		return err
	}
	n.ManifestDigest, n.version = begun.node.ManifestDigest, begun.version
	for _, ref := range begun.references {
		child := &node{name: ref.Name, Node: source.Node{Component: ref.ComponentName, Version: ref.Version, ExtraIdentity: ref.ExtraIdentity}}
		n.references = append(n.references, child)
		if err := f.expand(ctx, child, path); err != nil {
			return err
		}
	}
	return nil
}

// enter checks a node against what lies above it and against the bounds, and returns the path with it.
func (f *fetcher) enter(n *node, path []string) ([]string, error) {
	self := describe(n.Component, n.Version)
	for i, above := range path {
		if above == self {
			return nil, &CycleError{Path: append(slices.Clip(path[i:]), self)}
		}
	}
	path = append(slices.Clip(path), self)
	if len(path) > maxDepth {
		return nil, lifecycle.Fail(v1alpha1.ComponentVersionInvalidReason,
			fmt.Errorf("component references are nested deeper than %d: %s", maxDepth, strings.Join(path, " -> ")))
	}
	if f.tree.all = append(f.tree.all, n); len(f.tree.all) > maxNodes {
		return nil, lifecycle.Fail(v1alpha1.ComponentVersionInvalidReason,
			fmt.Errorf("component %s refers to more than %d component versions", f.tree.root.Component, maxNodes))
	}
	return path, nil
}

// reference returns the tree in the form of the status. Only descriptors that are written into the cluster are named.
func (t *tree) reference(namespace string, expand bool) v1alpha1.Reference {
	root := t.root.reference(namespace, expand)
	root.ComponentName = ""
	root.ComponentDescriptorRef = &meta.NamespacedObjectReference{Name: t.root.objectName(), Namespace: namespace}
	return root
}

func (n *node) reference(namespace string, expand bool) v1alpha1.Reference {
	out := v1alpha1.Reference{
		Name:           n.name,
		Version:        n.Version,
		ComponentName:  n.Component,
		ManifestDigest: n.ManifestDigest,
		ExtraIdentity:  n.ExtraIdentity,
	}
	if expand {
		out.ComponentDescriptorRef = &meta.NamespacedObjectReference{Name: n.objectName(), Namespace: namespace}
	}
	for _, child := range n.references {
		out.References = append(out.References, child.reference(namespace, expand))
	}
	return out
}
