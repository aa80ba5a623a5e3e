package transfer

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// packed takes an artifact out of its archive if it gets a place of its own, or if it
// has been taken out of it at the target. Else the archive is kept as it is: its bytes
// can't be made again.
func (r *run) packed(ctx context.Context, e *element, place *access.Place) error {
	takeOut := r.options.Artifacts == SeparateArtifacts && canSeparate(place.Hint)
	if e.blobsThere(place.Blobs) || !takeOut && !e.artifactThere() {
		e.whole = canSeparate(place.Hint)
		return e.keep(place)
	}
	source := e.node.found.Source()
	open := func(ctx context.Context) (*artifactset.Unpacked, error) {
		return artifactset.Unpack(ctx, func(ctx context.Context) (io.ReadCloser, error) {
			rc, _, err := source.OpenPlace(ctx, place)
			return &noted{ReadCloser: rc, moved: r.progress.step}, err
		}, artifactset.UnpackOptions{Limits: source.Archives, TempDir: r.options.TempDir, Room: r.options.Room})
	}
	unpacked, err := open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	defer unpacked.Close() //nolint:errcheck // it was only read
	is, err := access.IsContentOf(e.res, unpacked.Main)
	if err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	if !is {
		return e.keep(place) // the resource promises the archive
	}
	if e.tree, err = r.trees.of(ctx, unpacked, unpacked.Main); err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	if _, known := e.placeThere(); !takeOut && !known && !e.nestedThere(unpacked.Main.Digest) {
		e.tree, e.whole = nil, canSeparate(place.Hint)
		return e.keep(place)
	}
	from := &again{name: "the archive of " + e.String(), open: open}
	r.spools.add(from)
	e.from = from
	return r.settle(ctx, e, place.Hint)
}

// again is an archive that is unpacked once more when something of it is copied, and
// only as long as that takes: all archives of a component version may need more room
// than there is.
type again struct {
	name string
	open func(ctx context.Context) (*artifactset.Unpacked, error)

	mu       sync.Mutex
	unpacked *artifactset.Unpacked
	// users is how many blobs are to be copied.
	users int
}

// String names the archive.
func (a *again) String() string { return a.name }

// Blob implements oci.Blobs.
func (a *again) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unpacked == nil {
		unpacked, err := a.open(ctx)
		if err != nil {
			return nil, 0, err
		}
		a.unpacked = unpacked
	}
	return a.unpacked.Blob(ctx, d, size, also...)
}

// use is told of a blob that is to be copied.
func (a *again) use() { a.users++ }

// used is told of one that was copied.
func (a *again) used() {
	a.mu.Lock()
	a.users--
	last := a.users == 0
	a.mu.Unlock()
	if last {
		a.Close() //nolint:errcheck // it was only read
	}
}

// Close implements io.Closer.
func (a *again) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unpacked == nil {
		return nil
	}
	unpacked := a.unpacked
	a.unpacked = nil
	return unpacked.Close()
}

// noted tells when something was read.
type noted struct {
	io.ReadCloser

	moved func()
}

// Read implements io.Reader.
func (n *noted) Read(p []byte) (int, error) {
	n.moved()
	return n.ReadCloser.Read(p)
}

// pack keeps an artifact as an archive among the blobs of the component version. It
// is made twice, once to know its digest, and never kept.
func (r *run) pack(ctx context.Context, e *element, hint string) error {
	tree, from := e.tree, e.from
	var tags []string
	if ref, err := oci.ParseRelative(oci.Location{}, hint); err == nil && ref.Tag != "" {
		tags = []string{ref.Tag}
	}
	sum := &counted{digester: digest.SHA256.Digester(), moved: r.progress.step}
	if err := artifactset.Write(ctx, sum, tree, from, tags...); err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	desc := ocispec.Descriptor{MediaType: artifactset.MediaTypeOf(tree.Root()), Digest: sum.digester.Digest(), Size: sum.size}
	e.tree, e.layers = nil, []ocispec.Descriptor{desc}
	e.from = &made{name: "the archive of " + e.String(), size: desc.Size, open: func(ctx context.Context) (io.ReadCloser, error) {
		return piped(ctx, func(ctx context.Context, w io.Writer) error { return write(ctx, w, tree, from, tags) }), nil
	}}
	var err error
	e.access, err = descriptor.NewAccess(access.LocalBlob{
		Type: access.KindLocalBlob, LocalReference: desc.Digest.String(), MediaType: desc.MediaType, ReferenceName: hint,
	})
	return err
}

// write writes an artifact set. Nothing recovers on the goroutine that does it, and
// what it reads is foreign.
func write(ctx context.Context, w io.Writer, tree *oci.Tree, from oci.Blobs, tags []string) (err error) {
	defer panics.Recover(&err, "write an artifact set")
	return artifactset.Write(ctx, w, tree, from, tags...)
}

// counted counts and hashes what is written.
type counted struct {
	digester digest.Digester
	size     int64
	moved    func()
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	c.moved()
	c.size += int64(len(p))
	return c.digester.Hash().Write(p)
}

// canSeparate tells whether a hint is a name that an artifact can have.
func canSeparate(hint string) bool { return pathOf(hint) != "" }

// pathOf returns the repository that a hint names, or nothing if an artifact can't
// have it.
func pathOf(hint string) string {
	ref, err := oci.ParseRelative(oci.Location{}, hint)
	if err != nil || reserved(ref.Path) {
		return ""
	}
	return ref.Path
}
