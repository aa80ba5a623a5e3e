package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// ErrNoDigest says that a resource states no digest, so that there is nothing
// to compare its content with.
var ErrNoDigest = errors.New("no digest")

// Check reads the content of a resource and compares it with the digest that
// the resource states: all bytes of a blob, or those of the manifest of an OCI
// artifact, which pins the rest. It is ErrNoDigest for a resource without one.
func (s *Source) Check(ctx context.Context, res *descriptor.Resource) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := s.check(ctx, &drain{stop: stop, patience: patience}, res); err != nil {
		return s.wrap(res, err)
	}
	return nil
}

func (s *Source) check(ctx context.Context, d *drain, res *descriptor.Resource) error {
	if err := checkable(res); err != nil {
		return err
	}
	kind, err := kindOf(res.Access)
	if err != nil {
		return err
	}
	switch kind {
	case KindLocalBlob:
		return s.checkLocal(ctx, d, res)
	case KindHelm:
		return s.checkHelm(ctx, d, res)
	case KindOCIBlob, KindWget:
		blob, err := s.open(ctx, res)
		return d.blob(ctx, blob, err)
	}
	ref, err := s.artifactReference(kind, res.Access)
	if err != nil {
		return err
	}
	repo, err := s.repository(ref)
	if err != nil {
		return err
	}
	_, err = readManifest(ctx, repo, ref, res)
	return err
}

// checkable says why the content of a resource cannot be compared, if so.
func checkable(res *descriptor.Resource) error {
	switch {
	case res.Digest == nil:
		return fmt.Errorf("%w is stated for its content, which cannot be compared; publish the component version again with digests", ErrNoDigest)
	case res.Digest.Excluded():
		return fmt.Errorf("%w is stated for its content, which is left out of signatures (%s) and cannot be compared", ErrNoDigest, descriptor.ExcludeFromSignature)
	}
	return nil
}

func (s *Source) checkLocal(ctx context.Context, d *drain, res *descriptor.Resource) error {
	spec, err := decodeLocal(res.Access)
	if err != nil {
		return err
	}
	what := formOf(spec.MediaType)
	if what == nestedForm {
		_, err := s.readNested(ctx, res, spec)
		return err
	}
	local, err := s.locate(spec)
	if err != nil {
		return err
	}
	if what == plainForm || isDigestOf(res, local) {
		blob, err := s.openPlain(ctx, res, local)
		return d.blob(ctx, blob, err)
	}
	set, err := s.openArchive(ctx, local)
	if err != nil {
		return err
	}
	return errors.Join(checkArtifact(res, set.Main, "the artifact in the archive"), set.Close())
}

func (s *Source) checkHelm(ctx context.Context, d *drain, res *descriptor.Resource) error {
	c, err := s.chartOf(res)
	if err != nil {
		return err
	}
	if c.ref.Host != "" {
		repo, err := s.repository(c.ref)
		if err != nil {
			return err
		}
		if _, whole, err := readChart(ctx, repo, c.ref, res); whole || err != nil {
			return err
		}
	}
	blob, err := s.openHelm(ctx, res)
	return d.blob(ctx, blob, err)
}

const (
	// drainBuffer is how much is read at once. What io.Discard takes at once costs
	// more in calls than in hashing.
	drainBuffer = 512 << 10
	// patience is how long so much may take that is less than any network brings.
	patience   = time.Minute
	leastBytes = 64 << 10
)

var drainBuffers = sync.Pool{New: func() any {
	b := make([]byte, drainBuffer)
	return &b
}}

// drain reads contents to their end, where they are compared.
type drain struct {
	// stop ends the context that contents were opened with.
	stop     context.CancelCauseFunc
	patience time.Duration
}

// blob drains what was opened, or returns the error.
func (d *drain) blob(ctx context.Context, blob *Blob, err error) error {
	if err != nil {
		return err
	}
	defer blob.Close()
	if blob.Digest == "" {
		return errors.New("its content was opened without a digest to compare it with")
	}
	return d.all(ctx, blob)
}

// all drains a reader. One that hardly brings anything is given up, as others wait
// for their turn.
func (d *drain) all(ctx context.Context, r io.Reader) error {
	stalled := fmt.Errorf("content is %w: less than %d bytes of it came in %s", oci.ErrUnreachable, leastBytes, d.patience)
	timer := time.AfterFunc(d.patience, func() { d.stop(stalled) })
	defer timer.Stop()
	buffer, _ := drainBuffers.Get().(*[]byte)
	defer drainBuffers.Put(buffer)
	for came := 0; ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.Read(*buffer)
		// An error that wraps it is no end.
		if err == io.EOF {
			return nil
		}
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if came += n; came >= leastBytes {
			came = 0
			timer.Reset(d.patience)
		}
	}
}
