package componentversion

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Defaults of how many component versions are read at once.
const (
	defaultReadsPerObject = 8
	defaultReads          = 32
)

// slots bound how much goes on at once.
type slots chan struct{}

// enter takes a slot, unless the context ends first.
func (s slots) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // with a slot free, select would take either
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s slots) leave() { <-s }

// read is a component version that is being read, or was.
type read struct {
	// done is closed when the rest is set.
	done       chan struct{}
	node       source.Node
	references []descriptor.Reference
	// version is set for what is kept.
	version *ocm.ComponentVersion
	keep    bool
	err     error
}

// wait returns when the version was read, or the context has ended.
func (r *read) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reader reads the component versions of one tree ahead of the walk over it: each once, however many references lead to it,
// and several at once.
type reader struct {
	repository *access.Repository
	// pinned holds what nested versions are pinned to already.
	pinned map[string]source.Node
	// closed is set when nothing else may be read, because it wasn't verified.
	closed bool
	// keep is set when the descriptors of nested versions are needed, and not only what they refer to.
	keep bool
	// own bounds the reads for this tree, and all those for every tree.
	own int
	all slots

	mu    sync.Mutex
	reads map[string]*read
	// pending are the reads that nobody works on yet, in their order, and workers how many of them are worked on.
	pending []*read
	workers int
}

// begin returns the read of a component version, and begins it if nobody has. What the walk asks for is read next, and
// past the bound of a tree: the walk reports a tree that is too large, at the same place whatever was read ahead.
func (r *reader) begin(ctx context.Context, node source.Node, ahead bool) *read {
	key := describe(node.Component, node.Version)
	r.mu.Lock()
	defer r.mu.Unlock()
	begun, known := r.reads[key]
	switch {
	case known && ahead, !known && ahead && len(r.reads) >= maxNodes:
		return begun
	case known:
		if i := slices.Index(r.pending, begun); i > 0 {
			r.pending = slices.Insert(slices.Delete(r.pending, i, i+1), 0, begun)
		}
		return begun
	}
	if pinned, ok := r.pinned[key]; ok && node.ManifestDigest == "" {
		node = pinned
	}
	begun = &read{done: make(chan struct{}), node: node, keep: r.keep || len(r.reads) == 0}
	r.reads[key] = begun
	r.pending = append(r.pending, begun)
	if r.workers < r.own {
		r.workers++
		go r.work(ctx)
	}
	return begun
}

// work reads what is pending until nothing is left.
func (r *reader) work(ctx context.Context) {
	for begun := r.next(); begun != nil; begun = r.next() {
		version, err := r.fetch(ctx, begun)
		if begun.err = err; err == nil {
			begun.references = version.Descriptor().Component.References
			if begun.keep {
				begun.version = version
			}
		}
		close(begun.done)
		for _, ref := range begun.references {
			r.begin(ctx, source.Node{Component: ref.ComponentName, Version: ref.Version}, true)
		}
	}
}

// next takes a read from those that are pending; nil ends the work.
func (r *reader) next() *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) == 0 {
		r.workers--
		return nil
	}
	first := r.pending[0]
	r.pending = r.pending[1:]
	return first
}

// fetch reads the descriptor of a version, and pins the version if it isn't yet. It runs on a goroutine that nothing
// recovers, and what a registry answers is foreign, so a panic must not end the process.
func (r *reader) fetch(ctx context.Context, begun *read) (version *ocm.ComponentVersion, err error) {
	defer panics.Recover(&err, "read component %s", describe(begun.node.Component, begun.node.Version))
	if err := r.all.enter(ctx); err != nil {
		return nil, err
	}
	defer r.all.leave()
	if begun.node.ManifestDigest != "" {
		return r.repository.Pinned(ctx, begun.node)
	}
	if r.closed {
		return nil, lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, fmt.Errorf(
			"component %s is not among what was verified", describe(begun.node.Component, begun.node.Version)))
	}
	version, manifest, err := r.repository.Current(ctx, begun.node.Component, begun.node.Version)
	begun.node.ManifestDigest = manifest.String()
	return version, err
}
