package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

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
	ctx, watch := oci.NewWatch(ctx, oci.Patience)
	defer watch.End()
	if err := s.check(ctx, watch, res); err != nil {
		return s.wrap(res, err)
	}
	return nil
}

func (s *Source) check(ctx context.Context, w *oci.Watch, res *descriptor.Resource) error {
	if err := checkable(res); err != nil {
		return err
	}
	kind, err := kindOf(res.Access)
	if err != nil {
		return err
	}
	switch kind {
	case KindLocalBlob:
		return s.checkLocal(ctx, w, res)
	case KindHelm:
		return s.checkHelm(ctx, w, res)
	case KindOCIBlob, KindWget:
		blob, err := s.open(ctx, res)
		return drain(w, blob, err)
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

func (s *Source) checkLocal(ctx context.Context, w *oci.Watch, res *descriptor.Resource) error {
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
		return drain(w, blob, err)
	}
	set, err := s.openArchive(ctx, local, w.Over)
	if err != nil {
		return err
	}
	wrong := checkPacked(res, set)
	if err := set.Close(); wrong == nil || err != nil || !mayBeBytes(res, wrong) {
		return errors.Join(wrong, err)
	}
	blob, err := s.openPlain(ctx, res, local)
	return neither(wrong, drain(w, blob, err))
}

func (s *Source) checkHelm(ctx context.Context, w *oci.Watch, res *descriptor.Resource) error {
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
	return drain(w, blob, err)
}

// drainBuffer is how much is read at once. What io.Discard takes at once costs more
// in calls than in hashing.
const drainBuffer = 512 << 10

var drainBuffers = sync.Pool{New: func() any {
	b := make([]byte, drainBuffer)
	return &b
}}

// maxUnstated bounds content whose size nobody states.
const maxUnstated = 16 << 30

// drain reads what was opened to its end, where it is compared, or returns the
// error.
func drain(w *oci.Watch, blob *Blob, err error) error {
	if err != nil {
		return err
	}
	if blob.Size < 0 {
		blob.bound(maxUnstated)
	}
	rc := w.Over(blob)
	defer rc.Close()
	if blob.Digest == "" {
		return errors.New("its content was opened without a digest to compare it with")
	}
	buffer, _ := drainBuffers.Get().(*[]byte)
	defer drainBuffers.Put(buffer)
	for {
		// An error that wraps it is no end.
		if _, err := rc.Read(*buffer); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
