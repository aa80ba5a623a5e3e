package transfer

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// compare compares the component versions with what the target has. If any of them
// is something else there, nothing is written at all.
func (r *run) compare(context.Context) error {
	for _, n := range r.versions {
		if err := r.compareOne(n); err != nil {
			return err
		}
		r.progress.step()
	}
	return nil
}

func (r *run) compareOne(n *node) error {
	there := n.there.version
	n.there.version, n.there.elements = nil, nil // they may be large
	if err := r.judge(n, there); err != nil || n.outcome == Unchanged {
		return err
	}
	// It is the last look at what will be written, and nothing is sent before.
	return unchanged(n.found.Descriptor(), n.written)
}

// judge decides what becomes of a component version, given what there is.
func (r *run) judge(n *node, there *ocm.ComponentVersion) error {
	switch {
	case n.there.manifest == "":
		n.outcome = Created
		return nil
	case there == nil:
		return r.damaged(n)
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
	return r.conflict(n, why)
}

// compareAgain compares with what the target has by now.
func (r *run) compareAgain(ctx context.Context, n *node) error {
	if err := r.lookAt(ctx, n); err != nil {
		return err
	}
	var err error
	if n.written, err = r.rewrite(n); err != nil {
		return err
	}
	n.target, n.damaged = "", false
	return r.compareOne(n)
}

func (r *run) conflict(n *node, why string) error {
	return &ConflictError{
		Component: n.component, Version: n.version, Repository: r.target.URL(), Found: n.there.manifest, Wanted: n.found.ManifestDigest(), Why: why,
	}
}

// damaged decides about a component version that can't be read at the target. It is
// repaired if it is the same, so that only parts of it can be missing.
func (r *run) damaged(n *node) error {
	pack, err := n.pack()
	switch {
	case err != nil:
		return err
	case pack.Digest == n.there.manifest:
		n.outcome, n.damaged = Merged, true
	case r.options.Overwrite:
		n.outcome, n.damaged = Replaced, true
	default:
		return r.conflict(n, fmt.Sprintf("it can't be read (%v)", n.there.err))
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
		if a.Digest != nil && !a.Digest.Excluded() {
			continue
		}
		// Nothing else pins content that no digest covers.
		x, y := contentOf(a), contentOf(b)
		if x.contradicts(y) {
			return fmt.Sprintf("its resource %s, whose content no digest covers, has content %s, that of the source %s", &a.Element, y.text, x.text), nil
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

// content is what an access says about the content itself. Two of them tell
// whether contents differ only if both have one form: an artifact and the archive
// that it is packed into have different digests.
type content struct {
	form string
	text string
}

const artifactForm = "artifact"

// contradicts reports whether two accesses say that contents differ.
func (c content) contradicts(other content) bool {
	return c.form == other.form && c.text != "" && other.text != "" && c.text != other.text
}

// contentOf returns what an access says about the content, if anything.
func contentOf(res *descriptor.Resource) content {
	if local, ok, err := access.DecodeLocal(res.Access); ok && err == nil {
		c := content{text: local.LocalReference}
		switch access.FormOf(local.MediaType) {
		case access.Artifact:
			c.form = artifactForm
		case access.Packed:
			c.form = "packed as " + local.MediaType
		case access.Nothing, access.Blobs, access.Stream:
		}
		return c
	}
	var spec struct {
		Reference string `json:"imageReference"`
		Relative  string `json:"reference"`
		Digest    string `json:"digest"`
	}
	if kind, err := access.Kind(res.Access); err != nil || res.Access.Decode(&spec) != nil || kind == access.KindHelm || kind == access.KindWget {
		return content{}
	}
	if spec.Digest != "" {
		return content{text: spec.Digest}
	}
	for _, text := range []string{spec.Reference, spec.Relative} {
		if ref, err := oci.ParseReference(text); err == nil && ref.Digest != "" {
			return content{form: artifactForm, text: ref.Digest.String()}
		}
	}
	return content{}
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
