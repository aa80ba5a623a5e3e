package oci

import (
	"context"
	"fmt"
	"io"
	"time"
)

const (
	// Patience is how long so much may take that is less than any network brings.
	Patience   = time.Minute
	leastBytes = 64 << 10
)

// Watch gives up on contents that hardly come, as others wait for their turn.
type Watch struct {
	ctx      context.Context //nolint:containedctx // a reader has no other way to get it
	stop     context.CancelCauseFunc
	patience time.Duration
}

// NewWatch returns a watch, which must be ended, and the context to open the
// contents with. The time limit is for any so many bytes and not for all.
func NewWatch(ctx context.Context, patience time.Duration) (context.Context, *Watch) {
	ctx, stop := context.WithCancelCause(ctx)
	return ctx, &Watch{ctx: ctx, stop: stop, patience: patience}
}

// End ends the context.
func (w *Watch) End() { w.stop(nil) }

// Over returns a reader of content that gives up. Its time runs from now on, also
// while nobody reads, so it is for whoever reads at once.
func (w *Watch) Over(rc io.ReadCloser) io.ReadCloser {
	stalled := fmt.Errorf("content is %w: less than %d bytes of it came in %s", ErrUnreachable, leastBytes, w.patience)
	return &watched{rc: rc, watch: w, timer: time.AfterFunc(w.patience, func() { w.stop(stalled) })}
}

type watched struct {
	rc    io.ReadCloser
	watch *Watch
	timer *time.Timer
	came  int
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	ctx := w.watch.ctx
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	n, err := w.rc.Read(p)
	switch {
	case err == io.EOF: // one that wraps it is no end
		w.timer.Stop()
		return n, err
	case err != nil && ctx.Err() != nil:
		return n, context.Cause(ctx)
	}
	if w.came += n; w.came >= leastBytes {
		w.came = 0
		w.timer.Reset(w.watch.patience)
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.timer.Stop()
	return w.rc.Close()
}
