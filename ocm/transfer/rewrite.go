package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// enter has the blobs of an element copied. It is called for one element after the
// other, in the same order each time.
func (r *run) enter(ctx context.Context, e *element) error {
	to := e.node.storage
	if e.separate != nil {
		if err := r.tag(ctx, e); err != nil {
			return err
		}
		to = e.separate.storage
	}
	near, err := r.near(e)
	if err != nil {
		return err
	}
	blobs := e.layers
	if e.tree != nil {
		blobs = slices.Concat(e.layers, e.tree.Blobs)
	}
	for _, b := range blobs {
		if r.omits(e, b) {
			e.omitted = true
			r.copies.omitted[b.Digest] = true
			continue
		}
		if err := r.copies.add(b, e.from, to, near); err != nil {
			return err
		}
	}
	return nil
}

// near returns the repositories of the target that may have the blobs of an element
// which the source lacks: those where a run with any options puts them. Lists of what
// somebody has name no others.
func (r *run) near(e *element) ([]oci.Location, error) {
	if r.target.Archive() {
		return nil, nil
	}
	all := []oci.Location{e.node.storage.Location()}
	if e.separate != nil {
		all = append(all, e.separate.storage.Location())
	}
	if e.hint == "" {
		return all, nil
	}
	there, err := r.places.of("/"+e.hint, func() (oci.Storage, error) { return r.target.At(e.hint) })
	if err != nil {
		return nil, err
	}
	return append(all, there.Location()), nil
}

// omits tells whether who reads the archive has a blob already.
func (r *run) omits(e *element, b ocispec.Descriptor) bool {
	return !e.whole && r.target.Archive() && r.options.Have.Has(b.Digest, e.repositories()...)
}

// withoutGlobal returns the access of a local blob without what it says about
// another place, which need not have it any longer.
func withoutGlobal(a descriptor.Access) (descriptor.Access, error) {
	var fields map[string]json.RawMessage
	if err := a.Decode(&fields); err != nil {
		return a, err
	}
	if _, has := fields["globalAccess"]; !has {
		return a, nil
	}
	delete(fields, "globalAccess")
	return descriptor.NewAccess(fields)
}

// rewrite returns the descriptor of a component version as it is at the target.
func (r *run) rewrite(n *node) (*descriptor.Descriptor, error) {
	accesses := make([]descriptor.Access, 0, len(n.elements))
	for _, e := range n.elements {
		accesses = append(accesses, e.access)
	}
	return rewritten(n.found.Descriptor(), accesses, n.home())
}

// rewritten returns a copy of a descriptor with the accesses of its resources and
// then its sources replaced, and what it says of where it is.
func rewritten(d *descriptor.Descriptor, accesses []descriptor.Access, at oci.Location) (*descriptor.Descriptor, error) {
	out := *d
	c := &out.Component
	c.Resources, c.Sources = slices.Clone(c.Resources), slices.Clone(c.Sources)
	for i := range c.Resources {
		c.Resources[i].Access = accesses[i]
	}
	for i := range c.Sources {
		c.Sources[i].Access = accesses[len(c.Resources)+i]
	}
	var err error
	c.RepositoryContexts, err = withContext(c.RepositoryContexts, at)
	return &out, err
}

// repositoryContext says where a component version is.
type repositoryContext struct {
	BaseURL     string `json:"baseUrl"`
	NameMapping string `json:"componentNameMapping,omitempty"`
	SubPath     string `json:"subPath,omitempty"`
	Type        string `json:"type"`
}

// home returns the repository that a component version is written to, without the
// part of the path that comes from its name.
func (n *node) home() oci.Location {
	at := n.storage.Location()
	at.Path = strings.TrimSuffix(strings.TrimSuffix(at.Path, oci.ComponentPath(n.component)), "/")
	return at
}

// withContext appends where a component version is, unless it says so already. An
// archive has no address that means anything to others.
func withContext(all []json.RawMessage, at oci.Location) ([]json.RawMessage, error) {
	if at.Host == "" || slices.ContainsFunc(all, func(raw json.RawMessage) bool { return leadsTo(raw, at) }) {
		return all, nil
	}
	context := repositoryContext{BaseURL: at.Host, NameMapping: "urlPath", SubPath: at.Path, Type: "OCIRegistry"}
	if at.PlainHTTP {
		context.BaseURL = "http://" + at.Host
	}
	raw, err := json.Marshal(context)
	if err != nil {
		return nil, fmt.Errorf("encode the repository context: %w", err)
	}
	return append(slices.Clone(all), raw), nil
}

func leadsTo(raw json.RawMessage, at oci.Location) bool {
	var c repositoryContext
	if json.Unmarshal(raw, &c) != nil || c.BaseURL == "" {
		return false
	}
	if c.SubPath != "" {
		c.BaseURL += "/" + c.SubPath
	}
	l, err := oci.ParseURL(c.BaseURL)
	return err == nil && l == at
}

// algorithms are those that signatures and references are made with.
var algorithms = []string{normalize.V1, normalize.V2, normalize.V3, normalize.V4Alpha1}

// errChanged says that what a signature covers was changed, which nothing may do.
var errChanged = errors.New("would not be the same at the target")

// unchanged compares all canonical texts of a descriptor with those of what will be
// read in its place.
func unchanged(source, written *descriptor.Descriptor) error {
	name := source.Component.Name + ":" + source.Component.Version
	text, err := descriptor.Encode(written)
	if err != nil {
		return err
	}
	read, err := descriptor.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: read what is written: %w", name, err)
	}
	return sameTexts(source, read)
}

// sameTexts compares all canonical texts of two descriptors.
func sameTexts(source, read *descriptor.Descriptor) error {
	name := source.Component.Name + ":" + source.Component.Version
	for _, algorithm := range algorithms {
		want, err := normalize.Normalise(source, algorithm)
		if err != nil {
			continue // so nothing can have been signed in this form
		}
		got, err := normalize.Normalise(read, algorithm)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: its %s %w, so no signature would hold: please report this", name, algorithm, errChanged)
		}
	}
	return nil
}
