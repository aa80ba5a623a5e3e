package remote

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// watch gives up on a registry that stalls: it bounds the time in which hardly anything comes or goes, and not that of a
// whole transfer.
type watch struct {
	ctx      context.Context //nolint:containedctx // a reader has no other way to get it
	stop     context.CancelCauseFunc
	timer    *time.Timer
	patience time.Duration
	// blocked is how long the reader has waited since the last bytes that count, and came how many came since.
	blocked time.Duration
	came    int
}

// newWatch returns a watch, which must be ended, and the context to send the request with. Its time begins.
func newWatch(ctx context.Context, patience time.Duration) (context.Context, *watch) {
	ctx, stop := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("%w: it has stalled, with less than %d bytes in %s", ErrUnreachable, leastBytes, patience)
	w := &watch{ctx: ctx, stop: stop, patience: patience}
	w.timer = time.AfterFunc(patience, func() { stop(stalled) })
	return ctx, w
}

// end ends the context.
func (w *watch) end() {
	w.timer.Stop()
	w.stop(nil)
}

// cause returns why the watch gave up in place of the error that this led to.
func (w *watch) cause(err error) error {
	if err != nil && w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return err
}

// over returns a reader of an answer. Only the time that the reader waits for counts: whoever reads may take theirs.
func (w *watch) over(rc io.ReadCloser) io.ReadCloser {
	w.timer.Stop()
	return &incoming{watch: w, rc: rc}
}

type incoming struct {
	watch *watch
	rc    io.ReadCloser
}

// Read implements io.Reader.
func (i *incoming) Read(p []byte) (int, error) {
	w := i.watch
	begin := time.Now()
	w.timer.Reset(max(w.patience-w.blocked, 0))
	n, err := i.rc.Read(p)
	w.timer.Stop()
	w.blocked += time.Since(begin)
	if w.came += n; w.came >= leastBytes {
		w.came, w.blocked = 0, 0
	}
	if err == io.EOF { // one that wraps it is no end
		return n, err
	}
	return n, w.cause(err)
}

// Close implements io.Closer.
func (i *incoming) Close() error {
	i.watch.end()
	return i.rc.Close()
}

// outgoing is content on its way to the registry, which takes it as fast as it likes, but not slower than that.
type outgoing struct {
	watch *watch
	r     io.Reader
	begun atomic.Bool
}

// Read implements io.Reader.
func (o *outgoing) Read(p []byte) (int, error) {
	o.begun.Store(true)
	n, err := o.r.Read(p)
	w := o.watch
	if w.came += n; w.came >= leastBytes {
		w.came = 0
		w.timer.Reset(w.patience)
	}
	if err != nil {
		// All is on its way; now it is up to the registry to store it.
		w.timer.Reset(answerTimeout)
	}
	return n, err
}
