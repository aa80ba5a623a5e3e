package oci

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Outcome is what was done so that a blob is at the target.
type Outcome string

// Outcomes of a copy.
const (
	// Present says that the blob was there already.
	Present Outcome = "present"
	// Mounted says that the registry took it from another of its repositories.
	Mounted Outcome = "mounted"
	// Copied says that the content was sent.
	Copied Outcome = "copied"
)

// maxMounts bounds how many repositories are tried to mount from: each costs a
// request.
const maxMounts = 3

// CopyOptions configure a copy.
type CopyOptions struct {
	// MountFrom are repositories of the target's registry that may have the blob.
	// The source is tried without being named.
	MountFrom []Location
	// Report is told how many bytes were passed on since it was last called. The
	// number is below zero when they were in vain, as for an attempt that failed.
	Report func(bytes int64)
}

// CopyBlob copies a blob unless it is at the target already. The content passes in
// one stream, and is never held as a whole. It is compared with its digest on the
// way; from one registry to another that has proven to do that itself, this is left
// to that one if the content is large. What is likely to pass within seconds is
// tried again. Errors have a side, unless the context ended.
func CopyBlob(ctx context.Context, from Blobs, to Storage, desc ocispec.Descriptor, o CopyOptions) (Outcome, error) {
	if err := desc.Digest.Validate(); err != nil {
		return "", at(Source, malformed(fmt.Errorf("blob %q of %s: %w", desc.Digest, from, err)))
	}
	if desc.Size < 0 {
		return "", at(Source, malformed(fmt.Errorf("blob %s of %s has a size of %d bytes", desc.Digest, from, desc.Size)))
	}
	if o.Report == nil {
		o.Report = func(int64) {}
	}
	has, err := to.Has(ctx, desc)
	if err != nil {
		return "", sided(ctx, Target, err)
	}
	if has {
		return Present, nil
	}
	content := contents{hashed: func(ctx context.Context) (io.ReadCloser, error) {
		rc, _, err := from.Blob(ctx, desc.Digest, desc.Size)
		return rc, err
	}}
	if source, ok := from.(*Repository); ok && desc.Size >= leaveFrom && desc.Digest.Algorithm() == digest.SHA256 {
		content.sized = func(ctx context.Context) (io.ReadCloser, error) { return source.sized(ctx, desc) }
	}
	if registry, ok := to.(*Repository); ok {
		return registry.receive(ctx, from, desc, o, content)
	}
	if err := store(ctx, to, desc, o, content.hashed); err != nil {
		return "", err
	}
	return Copied, nil
}

// sided notes the side of an error unless the context is the reason.
func sided(ctx context.Context, side Side, err error) error {
	if err != nil && ctx.Err() != nil {
		return err
	}
	return at(side, err)
}

// receive mounts a blob, or uploads it.
func (r *Repository) receive(ctx context.Context, from Blobs, desc ocispec.Descriptor, o CopyOptions, content contents) (Outcome, error) {
	places := o.MountFrom
	if source, ok := from.(*Repository); ok && source.credential == r.credential {
		places = append([]Location{source.location}, places...)
	}
	var begun *session
	tried := 0
	for _, place := range places {
		if tried == maxMounts || !r.mountable(place) {
			continue
		}
		tried++
		mounted, instead, err := r.mount(ctx, desc, place)
		switch {
		case mounted && err == nil:
			r.abandon(ctx, begun)
			return Mounted, nil
		case err != nil && ctx.Err() != nil:
			r.abandon(ctx, begun)
			return "", fmt.Errorf("mount blob %s from %s to %s: %w", desc.Digest, place, r.location, context.Cause(ctx))
		}
		// A mount only saves bytes: whatever was wrong with it, an upload may succeed, and says what is wrong if not.
		if instead != nil {
			r.abandon(ctx, begun)
			begun = instead
		}
	}
	if err := r.upload(ctx, desc, begun, o.Report, content); err != nil {
		return "", err
	}
	return Copied, nil
}

// store copies a blob into what is no registry.
func store(ctx context.Context, to Storage, desc ocispec.Descriptor, o CopyOptions, open opener) error {
	attempt, f := newFlow(ctx, Patience, o.Report)
	defer f.stop(nil)
	err := to.PushBlob(attempt, desc, func() (io.ReadCloser, error) {
		rc, err := open(attempt)
		if err != nil {
			return nil, at(Source, err)
		}
		f.over(rc, desc.Size)
		return f, nil
	})
	if err == nil {
		return at(Target, f.Close())
	}
	reason, closed := f.failure(), f.Close()
	f.report(-f.passed())
	switch {
	case ctx.Err() != nil: // either side may have said so
		return fmt.Errorf("copy blob %s to %s: %w", desc.Digest, to, context.Cause(ctx))
	case reason != nil:
		return reason
	}
	return at(Target, errors.Join(ExplainDisk(err), closed))
}
