package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// checked is a component version whose contents are compared, which moves the
// progress on with each piece that is read.
type checked struct {
	*ocm.ComponentVersion

	source access.Source
	// skip leaves contents alone.
	skip bool
	// lacking, if set, is told what an archive does not have, which is no error: it
	// was left out, and has to be at the target.
	lacking func(res *descriptor.Resource)
}

func (r *run) checked(v *ocm.ComponentVersion, skip bool) *checked {
	c := &checked{ComponentVersion: v, source: *v.Source(), skip: skip}
	c.source.Repository = &observed{Storage: c.source.Repository, moved: r.progress.step}
	return c
}

// Check implements verify.Version.
func (c *checked) Check(ctx context.Context, res *descriptor.Resource) error {
	if c.skip {
		return nil
	}
	err := c.source.Check(ctx, res)
	if c.lacking != nil && access.IsLocal(res.Access) && errors.Is(err, ocm.ErrNotFound) {
		c.lacking(res)
		return nil
	}
	return err
}

// observed tells when something was read.
type observed struct {
	oci.Storage

	moved func()
}

// Blob implements oci.Storage.
func (o *observed) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	rc, size, err := o.Storage.Blob(ctx, d, size, also...)
	if err != nil {
		return nil, 0, err
	}
	return &noted{ReadCloser: rc, moved: o.moved}, size, nil
}

// reader reads component versions for a verification.
type reader func(ctx context.Context, component, version string) (verify.Version, error)

// Version implements verify.Source.
func (read reader) Version(ctx context.Context, component, version string) (verify.Version, error) {
	return read(ctx, component, version)
}

// prove verifies the signatures at the source, and all that they cover. What was
// read before is what is proven, and what is copied.
func (r *run) prove(ctx context.Context) error {
	if len(r.options.Verify) == 0 || r.options.Pinned != nil {
		return nil
	}
	known := map[string]*ocm.ComponentVersion{}
	for _, n := range r.versions {
		known[n.name()] = n.found
	}
	read := func(ctx context.Context, component, version string) (verify.Version, error) {
		v, err := known[component+":"+version], error(nil)
		if v == nil {
			v, err = r.source.Get(ctx, component, version)
		}
		if err != nil {
			return nil, err
		}
		return r.found(v), nil
	}
	_, err := verify.Verify(ctx, reader(read), r.found(r.root().found), r.options.Verify, r.verifyOptions())
	return err
}

// found makes a component version of the source verifiable. An archive may lack
// contents, which are compared at the target then.
func (r *run) found(v *ocm.ComponentVersion) *checked {
	c := r.checked(v, false)
	if r.source.Archive() {
		copied := slices.ContainsFunc(r.versions, func(n *node) bool { return n.found == v })
		c.lacking = func(res *descriptor.Resource) {
			if copied {
				r.lacking.add(v, res)
			}
		}
	}
	return c
}

// root is the component version that was asked for.
func (r *run) root() *node { return r.versions[len(r.versions)-1] }

func (r *run) verifyOptions() verify.Options {
	return verify.Options{
		Concurrency: r.options.Concurrency, MaxDepth: r.options.MaxDepth, MaxVersions: r.options.MaxVersions, Now: r.options.Now(),
		Progress: func(verify.Progress) { r.progress.step() },
	}
}

// readAllBack reads what was written, and compares it.
func (r *run) readAllBack(ctx context.Context) error {
	r.progress.set(func(p *Progress) { p.Phase = Verifying; p.Steps++ })
	there := make([]*ocm.ComponentVersion, len(r.versions))
	err := each(ctx, r.options.Concurrency, len(r.versions), func(ctx context.Context, i int) (err error) {
		defer r.progress.step()
		there[i], err = r.readBack(ctx, r.versions[i])
		return err
	})
	if err != nil {
		return err
	}
	whole := len(r.options.Verify) > 0 && !r.options.Flat && len(r.copies.omitted) == 0
	if whole {
		err = r.verifyBack(ctx, there)
	} else {
		err = r.checkBack(ctx, there)
	}
	if err != nil {
		return fmt.Errorf("at the target, after everything was copied: %w", err)
	}
	return nil
}

// readBack reads the descriptor of a component version at the target.
func (r *run) readBack(ctx context.Context, n *node) (*ocm.ComponentVersion, error) {
	there, err := r.target.Get(ctx, n.component, n.version)
	if err != nil {
		return nil, fmt.Errorf("read back what was written: %w", err)
	}
	if got := there.ManifestDigest(); got != n.target {
		return nil, fmt.Errorf("%s in %s is %s and was written as %s: somebody else writes there, too", n.name(), r.target.URL(), got, n.target)
	}
	return there, sameTexts(n.found.Descriptor(), there.Descriptor())
}

// verifyBack verifies the signatures at the target.
func (r *run) verifyBack(ctx context.Context, there []*ocm.ComponentVersion) error {
	known := map[string]verify.Version{}
	skip := r.options.Confirm == ConfirmDescriptors
	for i, n := range r.versions {
		known[n.name()] = r.checked(there[i], skip)
	}
	read := func(_ context.Context, component, version string) (verify.Version, error) {
		return known[component+":"+version], nil
	}
	_, err := verify.Verify(ctx, reader(read), known[r.root().name()], r.options.Verify, r.verifyOptions())
	return err
}

// checkBack compares contents at the target with their digests, as far as they are
// there.
func (r *run) checkBack(ctx context.Context, there []*ocm.ComponentVersion) error {
	for _, request := range r.options.Verify {
		if _, err := signing.Check(there[len(there)-1].Descriptor(), request, r.options.Now()); err != nil {
			return err
		}
	}
	if r.options.Confirm == ConfirmDescriptors {
		return nil
	}
	type content struct {
		in  *checked
		res *descriptor.Resource
	}
	var all []content
	for i, n := range r.versions {
		in := r.checked(there[i], false)
		resources := there[i].Descriptor().Component.Resources
		for _, e := range n.elements {
			if e.kind != "resource" {
				continue
			}
			res := &resources[0]
			resources = resources[1:]
			if !e.omitted && (e.tree != nil || len(e.layers) > 0) {
				all = append(all, content{in: in, res: res})
			}
		}
	}
	return each(ctx, r.options.Concurrency, len(all), func(ctx context.Context, i int) error {
		defer r.progress.step()
		err := all[i].in.Check(ctx, all[i].res)
		if errors.Is(err, ocm.ErrNoDigest) {
			return nil // there is nothing to compare it with
		}
		return err
	})
}
