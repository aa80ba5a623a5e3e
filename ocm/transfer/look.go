package transfer

import (
	"context"
	"errors"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
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
	// accesses are those of its elements, by their key.
	accesses map[string]descriptor.Access
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
		n.there.accesses = accessesOf(n.there.version.Descriptor())
	}
	if err == nil || !verify.IsAnswer(err) {
		return err
	}
	if n.there.err = err; n.there.manifest == "" {
		n.there.manifest, err = n.storage.Resolve(ctx, tag)
		return err
	}
	return nil
}

// accessesOf returns where a component version says that its contents are.
func accessesOf(d *descriptor.Descriptor) map[string]descriptor.Access {
	all := map[string]descriptor.Access{}
	for _, e := range elementsOf(d) {
		all[e.key()] = e.access
	}
	return all
}

// resolve returns what a tag leads to, empty if there is none.
func resolve(ctx context.Context, s oci.Storage, tag string) (digest.Digest, error) {
	d, err := s.Resolve(ctx, tag)
	if errors.Is(err, ocm.ErrNotFound) {
		return "", nil
	}
	return d, err
}

// placeThere returns the place of its own that an artifact has at the target,
// below the path of the target. Another source may have had it under another name,
// and the target should not change each time that one of them is copied.
func (e *element) placeThere() (oci.Reference, bool) {
	var none oci.Reference
	a, ok := e.node.there.accesses[e.key()]
	if !ok {
		return none, false
	}
	var spec struct {
		Absolute string `json:"imageReference"`
		Relative string `json:"reference"`
	}
	home := e.node.home()
	kind, err := access.Kind(a)
	if err != nil || a.Decode(&spec) != nil {
		return none, false
	}
	var ref oci.Reference
	switch {
	case kind == access.KindOCIArtifact && home.Host != "":
		ref, err = oci.ParseReference(spec.Absolute)
	case kind == access.KindRelativeOCIReference && home.Host == "":
		ref, err = oci.ParseRelative(home, spec.Relative)
	default:
		return none, false
	}
	if err != nil || ref.Host != home.Host || ref.PlainHTTP != home.PlainHTTP || ref.Tag == "" {
		return none, false
	}
	below := ref.Path
	if home.Path != "" {
		if below, ok = strings.CutPrefix(ref.Path, home.Path+"/"); !ok {
			return none, false
		}
	}
	ref.Path = below
	return ref, ref.Digest == e.tree.Root().Digest && !reserved(below)
}
