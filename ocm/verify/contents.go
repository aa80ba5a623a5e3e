package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// content is what one or more resources have.
type content struct {
	// node and resource are the first that have it.
	node     *node
	resource *descriptor.Resource
	// shared is how many resources have it.
	shared int
}

// place tells contents apart: where they are, and what they must be.
type place struct {
	node   *node // nil if it doesn't matter
	access string
	digest descriptor.Digest
}

func placeOf(n *node, res *descriptor.Resource) place {
	p := place{access: string(res.Access.Raw), digest: *res.Digest}
	if access.IsLocal(res.Access) {
		p.node = n
	}
	return p
}

// contents returns the contents of all resources in the order of the tree, each
// once, and the resources that no signature protects.
func (t *tree) contents() (all []*content, unprotected []Unprotected) {
	known := map[place]*content{}
	for _, n := range t.nodes {
		c := &n.read.Descriptor().Component
		for i := range c.Resources {
			res := &c.Resources[i]
			if why, is := Unprotects(res); is {
				unprotected = append(unprotected, Unprotected{Component: c.Name, Version: c.Version, Resource: res.Element, Why: why})
				continue
			}
			p := placeOf(n, res)
			if known[p] == nil {
				known[p] = &content{node: n, resource: res}
				all = append(all, known[p])
			}
			known[p].shared++
		}
	}
	return all, unprotected
}

// checkContents checks the contents of the tree, and returns the resources that
// no signature protects.
func (t *tree) checkContents(ctx context.Context) ([]Unprotected, error) {
	all, unprotected := t.contents()
	progress := Progress{Versions: len(t.nodes), Checked: len(unprotected)}
	progress.Resources = len(unprotected)
	for _, c := range all {
		progress.Resources += c.shared
	}
	t.options.Progress(progress)
	var mu sync.Mutex
	err := t.each(ctx, len(all), func(ctx context.Context, i int) error {
		if err := all[i].check(ctx); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		progress.Checked += all[i].shared
		t.options.Progress(progress)
		return nil
	})
	return unprotected, err
}

func (c *content) check(ctx context.Context) error {
	err := c.node.read.Check(ctx, c.resource)
	if err == nil {
		return nil
	}
	// Path and element say it already.
	if about, ok := err.(*access.ResourceError); ok { //nolint:errorlint // only what is outermost is left out
		err = about.Err
	}
	return verdict(c.node.path(), fmt.Sprintf("resource %s", &c.resource.Element), differs(c.resource, err))
}

// differs says shorter how content differs from what was signed.
func differs(res *descriptor.Resource, err error) error {
	wrong, ok := errors.AsType[*oci.DigestMismatchError](err)
	if !ok {
		return err
	}
	if signed, bad := res.Digest.OCI(); bad != nil || wrong.Want != signed.String() {
		return err
	}
	return &mismatch{what: "content", got: wrong.Got, signed: wrong.Want, cause: err}
}
