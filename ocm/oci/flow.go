package oci

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// flow passes content from one place to another and knows which of them is to
// blame when it stops: the source while it is read, the target in between.
type flow struct {
	ctx      context.Context //nolint:containedctx // a reader has no other way to get it
	stop     context.CancelCauseFunc
	patience time.Duration
	times    commitTimes
	report   func(int64)

	rc   io.ReadCloser
	size int64

	mu      sync.Mutex
	timer   *time.Timer
	read    int64     // bytes so far
	before  int64     // bytes when the timer was set
	waiting bool      // for the source
	held    int       // requests that a budget keeps back
	ended   bool      // all bytes were read, and were right
	since   time.Time // when they were
	closed  bool
	err     error // of the source
}

// newFlow returns a flow, which must be closed, and the context to open the
// content and to send it with.
func newFlow(ctx context.Context, patience time.Duration, report func(int64)) (context.Context, *flow) {
	ctx, stop := context.WithCancelCause(ctx)
	if report == nil {
		report = func(int64) {}
	}
	f := &flow{ctx: ctx, stop: stop, patience: patience, times: usualTimes, report: report}
	return context.WithValue(ctx, flowKey{}, f), f
}

// flowKey is where a context has the flow that its requests are for.
type flowKey struct{}

// hold stops the clock of the flow that a request is for, if it is for one, and
// returns what lets it run again: nobody is to blame for what a budget keeps back.
func hold(ctx context.Context) func() {
	f, ok := ctx.Value(flowKey{}).(*flow)
	if !ok {
		return func() {}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held++
	return f.goOn
}

// goOn lets the clock run again, from the beginning.
func (f *flow) goOn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held--
	if f.held > 0 || f.closed || f.timer == nil {
		return
	}
	if f.ended {
		f.since = time.Now()
	}
	f.timer.Reset(f.next())
}

// over sets the content, which has the given number of bytes and ends with an
// error if it is wrong.
func (f *flow) over(rc io.ReadCloser, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rc, f.size = rc, size
	f.timer = time.AfterFunc(f.patience, f.check)
}

// check gives up if too little has passed since it was last called, or if the answer
// takes too long when all has passed.
func (f *flow) check() {
	if f.goesOn() {
		f.report(0) // whoever watches it need not take it for dead
	}
}

func (f *flow) goesOn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return false
	case f.held > 0:
	case f.ended && f.left() > 0:
	case f.ended:
		f.stop(at(Target, &lateError{f.times.of(f.size)}))
		return false
	case f.read-f.before >= leastBytes:
		f.before = f.read
	case f.waiting:
		f.stop(at(Source, fmt.Errorf("content is %w: less than %d bytes of it came in %s", ErrUnreachable, leastBytes, f.patience)))
		return false
	default:
		f.stop(at(Target, fmt.Errorf("the registry is %w: it took less than %d bytes in %s", ErrUnreachable, leastBytes, f.patience)))
		return false
	}
	f.timer.Reset(f.next())
	return f.ended
}

// next returns, with the lock held, when to look again.
func (f *flow) next() time.Duration {
	if f.ended && f.held == 0 {
		return min(f.times.lookAgain, f.left())
	}
	return f.patience
}

// left returns, with the lock held, how long the answer may still take.
func (f *flow) left() time.Duration { return f.times.of(f.size) - time.Since(f.since) }

// sent reports whether all content was passed on, and for how long the target may
// still be busy with it.
func (f *flow) sent() (bool, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended, f.left()
}

// Read implements io.Reader. The last bytes are passed on only when all of them
// have proven to be right, so that wrong content never arrives as a whole.
func (f *flow) Read(p []byte) (int, error) {
	if err := f.enter(); err != nil {
		return 0, err
	}
	n, err := f.take(p)
	if err != nil && err != io.EOF { //nolint:errorlint // one that wraps it is no end
		n = 0
	}
	if !f.leave(n, err) {
		return 0, fs.ErrClosed
	}
	f.report(int64(n))
	return n, err
}

// take reads from the content. It is the transport that does it, on a goroutine that
// nothing recovers, and the content may be that of a foreign archive.
func (f *flow) take(p []byte) (n int, err error) {
	defer panics.Recover(&err, "read content")
	n, err = f.rc.Read(p)
	if err == nil && f.read+int64(n) == f.size {
		err = readEnd(f.rc)
	}
	return n, err
}

// readEnd returns io.EOF if there is nothing more to be read.
func readEnd(r io.Reader) error {
	var one [1]byte
	for range 100 {
		if n, err := r.Read(one[:]); n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (f *flow) enter() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return fs.ErrClosed
	case f.err != nil:
		return f.err
	case f.ended:
		return io.EOF
	}
	f.waiting = true
	return nil
}

// leave counts what was read, unless nobody wants it any longer: a transport may be
// reading still when it has returned an error.
func (f *flow) leave(n int, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.waiting = false
	f.read += int64(n)
	switch {
	case err == io.EOF: //nolint:errorlint // only this is the end
		f.ended, f.since = true, time.Now()
		f.timer.Reset(f.next())
	case err != nil:
		f.err = err
	}
	return true
}

// passed returns how many bytes were passed on.
func (f *flow) passed() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read
}

// failure returns what is wrong with the source, or which side stopped, or nil.
func (f *flow) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if stopped := context.Cause(f.ctx); SideOf(stopped) != "" {
		return stopped
	}
	return at(Source, f.err)
}

// Close implements io.Closer. Nothing is read from the content afterwards.
func (f *flow) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	if f.timer != nil {
		f.timer.Stop()
	}
	rc := f.rc
	f.mu.Unlock()
	if rc == nil {
		return nil
	}
	return rc.Close()
}

// promises implements promising: the flow ends as its content does.
func (f *flow) promises(size int64, d digest.Digest) bool { return promises(f.rc, size, d) }
