package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// compare finds out what the target has of the component versions. If any of them
// is something else there, nothing is written at all.
func (r *run) compare(ctx context.Context) error {
	return each(ctx, r.options.Concurrency, len(r.versions), func(ctx context.Context, i int) error {
		defer r.progress.step()
		n := r.versions[i]
		if err := r.compareOne(ctx, n); err != nil || n.outcome == Unchanged {
			return err
		}
		// It is the last look at what will be written, and nothing is sent before.
		return unchanged(n.found.Descriptor(), n.written)
	})
}

func (r *run) compareOne(ctx context.Context, n *node) error {
	tag, err := oci.TagOf(n.version)
	if err != nil {
		return err
	}
	m, err := n.storage.Manifest(ctx, tag)
	if errors.Is(err, ocm.ErrNotFound) {
		n.outcome = Created
		return nil
	}
	if err != nil {
		return err
	}
	there, err := r.target.Read(ctx, n.component, n.version, m)
	if err != nil {
		return r.damaged(n, m, err)
	}
	why, err := different(n.found.Descriptor(), n.written, there.Descriptor())
	switch {
	case err != nil:
		return err
	case why == "":
		return n.merge(there)
	case r.options.Overwrite:
		n.outcome = Replaced
		return nil
	}
	return r.conflict(n, m, why)
}

func (r *run) conflict(n *node, there *oci.Manifest, why string) error {
	return &ConflictError{Component: n.component, Version: n.version, Repository: r.target.URL(), Found: there.Digest, Why: why}
}

// damaged decides about a component version that can't be read at the target. It is
// repaired if it is the same, so that only parts of it can be missing.
func (r *run) damaged(n *node, there *oci.Manifest, err error) error {
	if !verify.IsAnswer(err) {
		return err
	}
	pack, packErr := n.pack()
	switch {
	case packErr != nil:
		return packErr
	case pack.Digest == there.Digest:
		n.outcome = Merged
	case r.options.Overwrite:
		n.outcome = Replaced
	default:
		return r.conflict(n, there, fmt.Sprintf("it can't be read (%v)", err))
	}
	return nil
}

// merge keeps what the target has besides, which is nothing that a signature
// covers.
func (n *node) merge(there *ocm.ComponentVersion) error {
	merged, err := merge(n.written, there.Descriptor(), n.home())
	if err != nil {
		return err
	}
	n.written = merged
	equal, err := equalText(merged, there.Descriptor())
	if err != nil {
		return err
	}
	if n.outcome = Merged; equal && n.listedIn(there.Source().Component) {
		n.outcome, n.target = Unchanged, there.ManifestDigest()
	}
	return nil
}

// listedIn tells whether a component version at the target lists all contents that
// are stored with it.
func (n *node) listedIn(c *oci.Component) bool {
	for _, e := range n.elements {
		for _, l := range e.layers {
			if _, ok := c.Layer(l.Digest); !ok {
				return false
			}
		}
		if e.tree != nil && e.separate == nil {
			if _, ok := c.Artifact(e.tree.Root().Digest); !ok {
				return false
			}
		}
	}
	return true
}

// different says how the content of a component version at the target differs from
// that at the source, or nothing if it doesn't.
func different(source, written, there *descriptor.Descriptor) (string, error) {
	same, err := sameText(source, there)
	if err != nil {
		return "", err
	}
	known := map[string]*descriptor.Resource{}
	for i, id := range there.ResourceIdentities() {
		known[id.String()] = &there.Component.Resources[i]
	}
	for i, id := range written.ResourceIdentities() {
		a, b := &written.Component.Resources[i], known[id.String()]
		switch {
		case b == nil:
			return fmt.Sprintf("it has no resource %s", &a.Element), nil
		case !sameDigest(a.Digest, b.Digest):
			return fmt.Sprintf("its resource %s has digest %s, that of the source %s", &a.Element, digestText(b.Digest), digestText(a.Digest)), nil
		}
		// Nothing else pins content that no digest covers.
		x, y := contentOf(a), contentOf(b)
		if (a.Digest == nil || a.Digest.Excluded()) && x != "" && y != "" && x != y {
			return fmt.Sprintf("its resource %s, whose content no digest covers, has content %s, that of the source %s", &a.Element, y, x), nil
		}
	}
	if !same {
		return "its component descriptor says something else", nil
	}
	return "", nil
}

func sameDigest(a, b *descriptor.Digest) bool { return a == b || a != nil && b != nil && *a == *b }

func digestText(d *descriptor.Digest) string {
	if d == nil {
		return "none"
	}
	return d.HashAlgorithm + ":" + d.Value
}

// contentOf returns what an access says about the content itself, if anything.
func contentOf(res *descriptor.Resource) string {
	if local, ok, err := access.DecodeLocal(res.Access); ok && err == nil {
		return local.LocalReference
	}
	var spec struct {
		Reference string `json:"imageReference"`
		Relative  string `json:"reference"`
		Digest    string `json:"digest"`
	}
	if kind, err := access.Kind(res.Access); err != nil || res.Access.Decode(&spec) != nil || kind == access.KindHelm || kind == access.KindWget {
		return ""
	}
	if spec.Digest != "" {
		return spec.Digest
	}
	for _, text := range []string{spec.Reference, spec.Relative} {
		if ref, err := oci.ParseReference(text); err == nil && ref.Digest != "" {
			return ref.Digest.String()
		}
	}
	return ""
}

// sameText compares the canonical text of two descriptors, in the form that has
// most in it and that they both have.
func sameText(a, b *descriptor.Descriptor) (bool, error) {
	var last error
	for _, algorithm := range []string{normalize.V3, normalize.V4Alpha1} {
		x, err := normalize.Normalise(a, algorithm)
		if err != nil {
			last = err
			continue
		}
		y, err := normalize.Normalise(b, algorithm)
		return err == nil && bytes.Equal(x, y), nil
	}
	return false, last
}

func equalText(a, b *descriptor.Descriptor) (bool, error) {
	x, err := descriptor.Encode(a)
	if err != nil {
		return false, err
	}
	y, err := descriptor.Encode(b)
	return err == nil && bytes.Equal(x, y), nil
}
