package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// ErrNoDigest says that a resource states no digest, so that there is nothing
// to compare its content with.
var ErrNoDigest = errors.New("no digest")

// Check reads the content of a resource and compares it with the digest that
// the resource states: all bytes of a blob, or those of the manifest of an OCI
// artifact, which pins the rest. It is ErrNoDigest for a resource without one.
func (s *Source) Check(ctx context.Context, res *descriptor.Resource) error {
	if err := s.check(ctx, res); err != nil {
		return s.wrap(res, err)
	}
	return nil
}

func (s *Source) check(ctx context.Context, res *descriptor.Resource) error {
	if err := checkable(res); err != nil {
		return err
	}
	kind, err := kindOf(res.Access)
	if err != nil {
		return err
	}
	switch kind {
	case KindLocalBlob:
		return s.checkLocal(ctx, res)
	case KindHelm:
		return s.checkHelm(ctx, res)
	case KindOCIBlob, KindWget:
		blob, err := s.open(ctx, res)
		return drainBlob(ctx, blob, err)
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

func (s *Source) checkLocal(ctx context.Context, res *descriptor.Resource) error {
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
		return drainBlob(ctx, blob, err)
	}
	set, err := s.openArchive(ctx, local)
	if err != nil {
		return err
	}
	return errors.Join(checkArtifact(res, set.Main, "the artifact in the archive"), set.Close())
}

func (s *Source) checkHelm(ctx context.Context, res *descriptor.Resource) error {
	_, ref, err := s.helm(res)
	if err != nil {
		return err
	}
	if ref.Host != "" {
		repo, err := s.repository(ref)
		if err != nil {
			return err
		}
		if _, whole, err := readChart(ctx, repo, ref, res); whole || err != nil {
			return err
		}
	}
	blob, err := s.openHelm(ctx, res)
	return drainBlob(ctx, blob, err)
}

// drainBuffer is how much is read at once: what io.Discard takes at once costs
// more in calls than in hashing.
const drainBuffer = 512 << 10

var drainBuffers = sync.Pool{New: func() any {
	b := make([]byte, drainBuffer)
	return &b
}}

// drainBlob reads what was opened to its end, where it is compared.
func drainBlob(ctx context.Context, blob *Blob, err error) error {
	if err != nil {
		return err
	}
	defer blob.Close()
	if len(blob.Digest) == 0 {
		return errors.New("its content was opened without a digest to compare it with")
	}
	return drain(ctx, blob)
}

func drain(ctx context.Context, r io.Reader) error {
	buffer, _ := drainBuffers.Get().(*[]byte)
	defer drainBuffers.Put(buffer)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		_, err := r.Read(*buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
