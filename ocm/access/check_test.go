package access

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// slow brings a byte each time, and one for each that comes in through more.
type slow struct {
	ctx  context.Context
	more chan struct{}
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

// TestDrainGivesUp on content that hardly comes, whether or not a byte does now and
// then.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	more := make(chan struct{}, 10)
	for range 10 {
		more <- struct{}{}
	}
	err := (&drain{stop: stop, patience: time.Millisecond}).all(ctx, &slow{ctx: ctx, more: more})
	if !errors.Is(err, oci.ErrUnreachable) || errors.Is(err, context.Canceled) {
		t.Errorf("all = %v, want ErrUnreachable", err)
	}
}

// TestDrain reads to the end, and passes on what went wrong.
func TestDrain(t *testing.T) {
	t.Parallel()
	d := &drain{stop: func(error) {}, patience: time.Hour}
	rest := strings.NewReader(strings.Repeat("x", 3*drainBuffer))
	if err := d.all(t.Context(), rest); err != nil || rest.Len() > 0 {
		t.Errorf("all = %v with %d bytes left", err, rest.Len())
	}
	broken := errors.New("broken")
	if err := d.all(t.Context(), io.MultiReader(strings.NewReader("x"), &failing{broken})); !errors.Is(err, broken) {
		t.Errorf("all = %v, want %v", err, broken)
	}
	if err := d.blob(t.Context(), nil, broken); !errors.Is(err, broken) {
		t.Errorf("blob = %v, want %v", err, broken)
	}
	if err := d.blob(t.Context(), &Blob{ReadCloser: io.NopCloser(strings.NewReader("x"))}, nil); err == nil {
		t.Error("content without a digest was accepted")
	}
}

type failing struct{ err error }

// Read implements io.Reader.
func (f *failing) Read([]byte) (int, error) { return 0, f.err }
