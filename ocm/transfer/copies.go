package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// copied is a blob and where it goes.
type copied struct {
	desc ocispec.Descriptor
	from opener
	to   []oci.Storage
}

func newCopies() *copies {
	return &copies{known: map[digest.Digest]*copied{}, omitted: map[digest.Digest]bool{}}
}

// add has a blob copied to a repository.
func (c *copies) add(desc ocispec.Descriptor, from opener, to oci.Storage) error {
	if err := desc.Digest.Validate(); err != nil {
		return fmt.Errorf("blob %q: %w", desc.Digest, err)
	}
	b := c.known[desc.Digest]
	if b == nil {
		b = &copied{desc: ocispec.Descriptor{Digest: desc.Digest, Size: desc.Size, MediaType: desc.MediaType}, from: from}
		c.known[desc.Digest] = b
		c.order = append(c.order, b)
	}
	if b.desc.Size != desc.Size {
		return fmt.Errorf("blob %s has %d bytes in one place and %d in another; publish it again", desc.Digest, b.desc.Size, desc.Size)
	}
	for _, known := range b.to {
		if known.String() == to.String() {
			return nil
		}
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
	err := each(ctx, r.options.Concurrency, len(c.order), func(ctx context.Context, i int) error {
		for _, to := range c.order[i].to {
			if err := r.send(ctx, c.order[i], to); err != nil {
				return err
			}
		}
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

func (r *run) send(ctx context.Context, b *copied, to oci.Storage) error {
	opened, lacking := false, false
	err := to.PushBlob(ctx, b.desc, func() (io.ReadCloser, error) {
		opened = true
		rc, _, err := b.from.Blob(ctx, b.desc.Digest, b.desc.Size)
		lacking = errors.Is(err, ocm.ErrNotFound)
		return rc, err
	})
	c := r.copies
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && lacking:
		c.missing = append(c.missing, b.desc.Digest)
		return nil
	case err != nil:
		return err
	case opened:
		c.done.Copied++
		c.done.CopiedBytes += b.desc.Size
	default:
		c.done.Present++
	}
	r.progress.set(func(p *Progress) { p.Blobs++; p.Bytes += b.desc.Size; p.Steps++ })
	return nil
}
