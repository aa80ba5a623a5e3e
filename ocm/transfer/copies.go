package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// copies are the blobs that are copied, each once to each repository of the target.
type copies struct {
	order []*copied
	known map[digest.Digest]*copied
	total int
	bytes int64

	mu      sync.Mutex
	done    Result
	missing []digest.Digest
	omitted map[digest.Digest]bool
}

// copied is a blob, where it may be, and where it goes.
type copied struct {
	desc ocispec.Descriptor
	from []oci.Blobs
	to   []oci.Storage
	// near are repositories of the target that may have it if the source does not.
	near []oci.Location
}

const (
	// maxSources bounds in how many places of the source a blob is looked for.
	maxSources = 8
	// maxNear bounds in how many repositories of the target it is: each costs a
	// request for each repository that it goes to.
	maxNear = 16
)

// in adds a place that may have the blob.
func (b *copied) in(from oci.Blobs) {
	if len(b.from) == maxSources || slices.Contains(b.from, from) {
		return
	}
	b.from = append(b.from, from)
	if archive, ok := from.(*again); ok {
		archive.use()
	}
}

// used tells archives that they are not needed for this blob any longer.
func (b *copied) used() {
	for _, from := range b.from {
		if archive, ok := from.(*again); ok {
			archive.used()
		}
	}
}

func newCopies() *copies {
	return &copies{known: map[digest.Digest]*copied{}, omitted: map[digest.Digest]bool{}}
}

// add has a blob copied to a repository. Those that are near may have it.
func (c *copies) add(desc ocispec.Descriptor, from oci.Blobs, to oci.Storage, near []oci.Location) error {
	if err := desc.Digest.Validate(); err != nil {
		return fmt.Errorf("blob %q: %w", desc.Digest, err)
	}
	b := c.known[desc.Digest]
	if b == nil {
		b = &copied{desc: ocispec.Descriptor{Digest: desc.Digest, Size: desc.Size}}
		c.known[desc.Digest] = b
		c.order = append(c.order, b)
	}
	if b.desc.Size != desc.Size {
		return fmt.Errorf("blob %s has %d bytes in one place and %d in another; publish it again", desc.Digest, b.desc.Size, desc.Size)
	}
	b.in(from)
	for _, place := range near {
		if len(b.near) < maxNear && !slices.Contains(b.near, place) {
			b.near = append(b.near, place)
		}
	}
	if slices.Contains(b.to, to) {
		return nil
	}
	b.to = append(b.to, to)
	c.total++
	c.bytes += desc.Size
	return nil
}

func (c *copies) result() *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.done
	out.Blobs, out.Bytes, out.Omitted = c.total, c.bytes, len(c.omitted)
	return &out
}

// copy copies all blobs. What is missing is told when everything else is there.
func (r *run) copy(ctx context.Context) error {
	c := r.copies
	r.progress.set(func(p *Progress) { p.Phase, p.TotalBlobs, p.TotalBytes = Copying, c.total, c.bytes })
	err := eachUntil(ctx, r.options.Concurrency, len(c.order), func(ctx context.Context, i int) error {
		var sent []oci.Location
		for _, to := range c.order[i].to {
			if err := r.send(ctx, c.order[i], to, sent); err != nil {
				return err
			}
			sent = append(sent, to.Location())
		}
		c.order[i].used()
		return nil
	})
	if err != nil {
		return err
	}
	if len(c.missing) > 0 {
		return newMissing(c.missing)
	}
	return nil
}

// send has a blob at a repository of the target, which may take it from others that
// have got it before.
func (r *run) send(ctx context.Context, b *copied, to oci.Storage, sent []oci.Location) error {
	var moved int64
	o := oci.CopyOptions{MountFrom: sent, Report: func(n int64) {
		r.progress.set(func(p *Progress) { moved += n; p.Bytes += n; p.Steps++ })
	}}
	var outcome oci.Outcome
	var err error
	for _, from := range b.from {
		if outcome, err = oci.CopyBlob(ctx, from, to, b.desc, o); !isLacking(ctx, err) {
			break
		}
	}
	if isLacking(ctx, err) {
		outcome, err = r.find(ctx, b, to)
	}
	if err != nil {
		return err
	}
	r.progress.set(func(p *Progress) { p.Blobs++; p.Bytes += b.desc.Size - moved; p.Steps++ })
	r.copies.note(b, outcome)
	return nil
}

// isLacking tells that a place of the source has no such blob.
func isLacking(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && errors.Is(err, ocm.ErrNotFound) && oci.SideOf(err) == oci.Source
}

func (c *copies) note(b *copied, outcome oci.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch outcome {
	case oci.Present:
		c.done.Present++
	case oci.Mounted:
		c.done.Mounted++
	case oci.Copied:
		c.done.Copied++
		c.done.CopiedBytes += b.desc.Size
	default:
		c.missing = append(c.missing, b.desc.Digest)
	}
}

// find looks for a blob that the source lacks in other repositories of the target.
// The outcome is empty if none has it.
func (r *run) find(ctx context.Context, b *copied, to oci.Storage) (oci.Outcome, error) {
	registry, ok := to.(*oci.Repository)
	if !ok {
		return "", nil
	}
	for _, place := range b.near {
		if place == to.Location() {
			continue
		}
		mounted, err := registry.Mount(ctx, b.desc, place)
		if err != nil && !errors.Is(err, ocm.ErrNotFound) {
			return "", err
		}
		if mounted {
			return oci.Mounted, nil
		}
	}
	return "", nil
}
