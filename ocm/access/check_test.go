package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// slow brings a byte each time, and one for each that comes in through more.
type slow struct {
	ctx  context.Context
	more chan struct{}
}

func newSlow(ctx context.Context) io.ReadCloser {
	s := &slow{ctx: ctx, more: make(chan struct{}, 10)}
	for range cap(s.more) {
		s.more <- struct{}{}
	}
	return s
}

// Read implements io.Reader.
func (s *slow) Read(p []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-s.more:
		p[0] = 'x'
		return 1, nil
	}
}

// Close implements io.Closer.
func (*slow) Close() error { return nil }

// swamp is a storage whose blobs hardly come.
type swamp struct{ oci.Storage }

// Blob implements oci.Storage.
func (swamp) Blob(ctx context.Context, _ digest.Digest, size int64, _ ...digest.Digest) (io.ReadCloser, int64, error) {
	return newSlow(ctx), size, nil
}

// TestCheckGivesUp on content that hardly comes, whether or not a byte does now and
// then, and whatever it is.
func TestCheckGivesUp(t *testing.T) {
	t.Parallel()
	d := digest.FromString("x")
	source := &Source{Repository: swamp{}, Component: &oci.Component{Manifest: &ocispec.Manifest{Layers: []ocispec.Descriptor{{Digest: d, Size: 100}}}}}
	for _, mediaType := range []string{"text/plain", "application/vnd.oci.image.manifest.v1+tar", "application/vnd.oci.image.manifest.v1+tar+gzip"} {
		for _, want := range []*descriptor.Digest{descriptor.NewBlobDigest(d), descriptor.NewArtifactDigest(digest.FromString("y"))} {
			if mediaType == "text/plain" && !want.ForBlob() {
				continue
			}
			ctx, watch := oci.NewWatch(t.Context(), time.Millisecond)
			a, err := NewLocalBlob(d, mediaType)
			if err != nil {
				t.Fatal(err)
			}
			err = source.check(ctx, watch, &descriptor.Resource{Access: a, Digest: want})
			if !errors.Is(err, oci.ErrUnreachable) || errors.Is(err, context.Canceled) || errors.Is(err, oci.ErrMalformed) {
				t.Errorf("%s, %s: %v, want ErrUnreachable", mediaType, want.NormalisationAlgorithm, err)
			}
			watch.End()
		}
	}
}

// TestDrain reads to the end, and passes on what went wrong.
func TestDrain(t *testing.T) {
	t.Parallel()
	_, watch := oci.NewWatch(t.Context(), time.Hour)
	defer watch.End()
	blob := func(r io.Reader) *Blob { return &Blob{ReadCloser: io.NopCloser(r), Digest: digest.FromString("x")} }
	rest := strings.NewReader(strings.Repeat("x", 3*drainBuffer))
	if err := drain(watch, blob(rest), nil); err != nil || rest.Len() > 0 {
		t.Errorf("drain = %v with %d bytes left", err, rest.Len())
	}
	broken := errors.New("broken")
	if err := drain(watch, blob(io.MultiReader(strings.NewReader("x"), &failing{broken})), nil); !errors.Is(err, broken) {
		t.Errorf("drain = %v, want %v", err, broken)
	}
	if err := drain(watch, blob(&failing{fmt.Errorf("closed: %w", io.EOF)}), nil); err == nil {
		t.Error("a connection that was closed was taken for the end")
	}
	endless := &Blob{ReadCloser: io.NopCloser(zeros{}), Digest: digest.FromString("x"), Size: -1}
	if err := drain(watch, endless, nil); !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("drain of what does not end = %v, want ErrTooLarge", err)
	}
	if err := drain(watch, nil, broken); !errors.Is(err, broken) {
		t.Errorf("drain = %v, want %v", err, broken)
	}
	if err := drain(watch, &Blob{ReadCloser: io.NopCloser(strings.NewReader("x"))}, nil); err == nil {
		t.Error("content without a digest was accepted")
	}
}

// zeros do not end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestLocate refuses blobs of no size, or of more bytes than can be counted.
func TestLocate(t *testing.T) {
	t.Parallel()
	a, b := digest.FromString("a"), digest.FromString("b")
	for name, sizes := range map[string][2]int64{"below zero": {1, -1}, "above all": {math.MaxInt64, 1}, "fine": {1, 2}} {
		source := &Source{Component: &oci.Component{Manifest: &ocispec.Manifest{Layers: []ocispec.Descriptor{{Digest: a, Size: sizes[0]}, {Digest: b, Size: sizes[1]}}}}}
		local, err := source.locate(&LocalBlob{LocalReference: a.String() + "," + b.String()})
		if name == "fine" && (err != nil || local.size != 3) || name != "fine" && !errors.Is(err, oci.ErrMalformed) {
			t.Errorf("%s: locate = %+v, %v", name, local, err)
		}
	}
}

type failing struct{ err error }

// Read implements io.Reader.
func (f *failing) Read([]byte) (int, error) { return 0, f.err }
