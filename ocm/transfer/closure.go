package transfer

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// node is a component version that is copied.
type node struct {
	component, version string
	// found is what the source has.
	found *ocm.ComponentVersion
	// references are the component versions it refers to.
	references []*node

	// storage is where it will be, there what is there.
	storage oci.Storage
	there   seen
	// elements are its resources and sources.
	elements []*element
	// written is its descriptor at the target.
	written *descriptor.Descriptor

	outcome Outcome
	target  digest.Digest
	// damaged is set if parts of what is there can't be read.
	damaged bool
}

func (n *node) name() string { return n.component + ":" + n.version }

// closure is a component version with all it refers to.
type closure struct {
	get     func(ctx context.Context, component, version string) (*ocm.ComponentVersion, error)
	options Options
	known   map[string]*node
	found   func(total int)
}

// read reads the closure level by level, and returns it with references before
// those that refer to them.
func (c *closure) read(ctx context.Context, component, version string) ([]*node, error) {
	root := &node{component: component, version: version}
	c.known = map[string]*node{root.name(): root}
	for depth, level := 0, []*node{root}; len(level) > 0; depth++ {
		if depth > c.options.MaxDepth {
			return nil, fmt.Errorf("references of %s lead to more than %d levels, the deepest to %s; have the publisher make them flatter", root.name(), c.options.MaxDepth, level[0].name())
		}
		c.found(len(c.known))
		err := each(ctx, c.options.Concurrency, len(level), func(ctx context.Context, i int) (err error) {
			level[i].found, err = c.get(ctx, level[i].component, level[i].version)
			return err
		})
		if err != nil {
			return nil, err
		}
		if level, err = c.descend(level); err != nil {
			return nil, err
		}
	}
	var order []*node
	return order, root.visit(map[*node]bool{}, &order)
}

// descend returns the component versions that a level refers to and that were not
// found before.
func (c *closure) descend(level []*node) ([]*node, error) {
	if c.options.Flat {
		return nil, nil
	}
	var next []*node
	for _, n := range level {
		for i := range n.found.Descriptor().Component.References {
			ref := &n.found.Descriptor().Component.References[i]
			to := &node{component: ref.ComponentName, version: ref.Version}
			known := c.known[to.name()]
			if known == nil {
				if len(c.known) >= c.options.MaxVersions {
					return nil, fmt.Errorf("%s: references lead to more than %d component versions; have the publisher make the tree smaller", n.name(), c.options.MaxVersions)
				}
				c.known[to.name()], known = to, to
				next = append(next, to)
			}
			n.references = append(n.references, known)
		}
	}
	return next, nil
}

// visit appends what a node refers to, and then the node. A node is false in seen
// while what it leads to is visited.
func (n *node) visit(seen map[*node]bool, order *[]*node) error {
	seen[n] = false
	for _, to := range n.references {
		done, begun := seen[to]
		if begun && !done {
			return fmt.Errorf("%s refers to %s, which leads back to it; nobody could write the one before the other", n.name(), to.name())
		}
		if done {
			continue
		}
		if err := to.visit(seen, order); err != nil {
			return err
		}
	}
	seen[n] = true
	*order = append(*order, n)
	return nil
}

// read reads the descriptors at the source.
func (r *run) read(ctx context.Context, component, version string) error {
	c := closure{get: r.get, options: r.options, found: func(total int) {
		r.progress.set(func(p *Progress) { p.Phase, p.Versions = Reading, total })
	}}
	var err error
	r.versions, err = c.read(ctx, component, version)
	return err
}

// get reads a component version at the source.
func (r *run) get(ctx context.Context, component, version string) (*ocm.ComponentVersion, error) {
	v, err := r.pinned(ctx, component, version)
	if err != nil {
		return nil, err
	}
	return v, r.trees.descriptor(v)
}

// pinned reads a component version by what is proven if that is known.
func (r *run) pinned(ctx context.Context, component, version string) (*ocm.ComponentVersion, error) {
	if r.options.Pinned == nil {
		return r.source.Get(ctx, component, version)
	}
	pinned, ok := r.options.Pinned(component, version)
	if !ok {
		return nil, fmt.Errorf("%s:%s is not among what was proven; have the component verified again", component, version)
	}
	return r.source.GetPinned(ctx, component, version, pinned)
}
