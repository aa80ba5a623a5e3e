package transfer

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// seen is what the target had when it was looked at last.
type seen struct {
	// manifest is what the tag leads to, empty if there is none.
	manifest digest.Digest
	// version is what that is, err why it can't be read.
	version *ocm.ComponentVersion
	err     error
	// elements are those of the version, by their key. It is the same component version
	// if it has the canonical text of that at the source.
	elements map[string]*element
	same     bool
}

// look reads what the target has under the names of the component versions.
func (r *run) look(ctx context.Context) error {
	return each(ctx, r.options.Concurrency, len(r.versions), func(ctx context.Context, i int) (err error) {
		defer r.progress.step()
		n := r.versions[i]
		if n.storage, err = r.places.of(n.component, func() (oci.Storage, error) { return r.target.Storage(n.component) }); err != nil {
			return err
		}
		if err := r.lookAt(ctx, n); err != nil || n.there.version == nil {
			return err
		}
		// It is kept until all of them are compared.
		return sided(oci.Target, r.trees.descriptor(n.there.version))
	})
}

func (r *run) lookAt(ctx context.Context, n *node) error {
	n.there = seen{}
	tag, err := oci.TagOf(n.version)
	if err != nil {
		return err
	}
	m, err := n.storage.Manifest(ctx, tag)
	if errors.Is(err, ocm.ErrNotFound) {
		return nil
	}
	if err == nil {
		n.there.manifest = m.Digest
		n.there.version, err = r.target.Read(ctx, n.component, n.version, m)
	}
	if err == nil {
		n.there.list(n.found.Descriptor())
		return nil
	}
	if !verify.IsAnswer(err) {
		return err
	}
	if n.there.err = err; n.there.manifest == "" {
		n.there.manifest, err = n.storage.Resolve(ctx, tag)
		return err
	}
	return nil
}

// list lists what is there, and compares it with what the source has.
func (s *seen) list(source *descriptor.Descriptor) {
	d := s.version.Descriptor()
	s.elements = map[string]*element{}
	for _, e := range elementsOf(d) {
		s.elements[e.key()] = e
	}
	same, err := sameText(source, d)
	s.same = same && err == nil // what is wrong is told when the two are compared
}

// resolve returns what a tag leads to, empty if there is none.
func resolve(ctx context.Context, s oci.Storage, tag string) (digest.Digest, error) {
	d, err := s.Resolve(ctx, tag)
	if errors.Is(err, ocm.ErrNotFound) {
		return "", nil
	}
	return d, err
}
