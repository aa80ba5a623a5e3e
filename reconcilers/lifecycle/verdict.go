package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/fluxcd/pkg/apis/meta"
)

// kindOfVerdict says what the lifecycle does about an error.
type kindOfVerdict int

const (
	// retry: a passing fault. Backoff, the last verdict stands.
	retry kindOfVerdict = iota
	// wait: something else must happen first. The last verdict stands; a watch or the given delay wakes the object.
	wait
	// fail: a verdict. Not Ready, asked again after the retry interval.
	fail
	// stall: a verdict that only the user can change. Not Ready and Stalled.
	stall
	// hinder: a verdict that passes by itself. Not Ready, backoff.
	hinder
	// busy: work goes on beside the steps. The last verdict stands, whatever it was; what does the work wakes the object.
	busy
)

// Verdict is the error by which a step tells the lifecycle more than that it didn't work.
type Verdict struct {
	// Reason is the CamelCase reason of the condition that reports it.
	Reason string
	// After is when to ask again; zero leaves it to watches and the object's interval.
	After time.Duration
	// Err is the cause; its text is the condition's message.
	Err error
	// Event is the text of the event that reports it, that of Err if empty.
	Event string

	kind kindOfVerdict
}

// Error implements error.
func (v *Verdict) Error() string { return v.Err.Error() }

// Unwrap returns the cause.
func (v *Verdict) Unwrap() error { return v.Err }

// Wait says that something else must happen first, and asks again after the given time, or, when that is zero, when a
// watch wakes the object or its interval is over.
func Wait(reason string, after time.Duration, err error) error {
	return &Verdict{kind: wait, Reason: reason, After: after, Err: err}
}

// Busy says that work goes on beside the steps, whose end or progress wakes the object. Until then it stays what it is, Ready or
// not: a verdict that is being tried once more is none that was lifted. The text is the message of the condition Reconciling.
func Busy(reason string, err error) error {
	return &Verdict{kind: busy, Reason: reason, Err: err}
}

// Within has an object asked again after the given time at the latest, for an error that says that something goes on. Another error stays
// what it is.
func Within(after time.Duration, err error) error {
	v, ok := errors.AsType[*Verdict](err)
	if !ok || v.kind != busy && v.kind != wait || v.After > 0 && v.After <= after {
		return err
	}
	return &Verdict{kind: v.kind, Reason: v.Reason, After: after, Err: v.Err, Event: v.Event}
}

// Fail is a verdict against the object that may change by itself, such as a version that doesn't exist yet. The object is
// not Ready and asked again after its retry interval.
func Fail(reason string, err error) error {
	return &Verdict{kind: fail, Reason: reason, Err: err}
}

// Stall is a verdict that only a change by the user can lift, such as a Secret that doesn't exist. The object is not Ready
// and Stalled until a watch or the next interval finds the change.
func Stall(reason string, err error) error {
	return &Verdict{kind: stall, Reason: reason, Err: err}
}

// Hinder is a verdict that passes by itself, such as that there is no room for what should be written. The object is not
// Ready, because it has not got what it should have, and asked again with backoff.
func Hinder(reason string, err error) error {
	return &Verdict{kind: hinder, Reason: reason, Err: err}
}

// Retry gives a passing fault the reason that its condition shows. An error that is a verdict already stays what it is.
func Retry(reason string, err error) error {
	if _, ok := errors.AsType[*Verdict](err); ok {
		return err
	}
	return &Verdict{kind: retry, Reason: reason, Err: err}
}

// WithEvent gives a verdict an event that says something else than its condition. Any other error stays what it is.
func WithEvent(text string, err error) error {
	v, ok := errors.AsType[*Verdict](err)
	if !ok {
		return err
	}
	return &Verdict{kind: v.kind, Reason: v.Reason, After: v.After, Err: err, Event: text}
}

// verdictOf turns the error of a step into a verdict.
func verdictOf(ctx context.Context, step string, err error) *Verdict {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		err = fmt.Errorf("step %q did not finish in time, raise spec.timeout if the source is slow: %w", step, err)
		return &Verdict{kind: retry, Reason: meta.FailedReason, Err: err}
	}
	if v, ok := errors.AsType[*Verdict](err); ok {
		// The text of what wrapped the verdict belongs to the message.
		return &Verdict{kind: v.kind, Reason: v.Reason, After: v.After, Err: err, Event: v.Event}
	}
	return &Verdict{kind: retry, Reason: meta.FailedReason, Err: err}
}

// isNoise tells errors that say nothing about the object: a write that met a newer version of what it writes.
func isNoise(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}

// Passing tells whether the verdict is a fault that passes by itself, rather than a judgement.
func (v *Verdict) Passing() bool { return v.kind == retry }

// Final tells whether the verdict is a judgement: the object is not Ready by it, whatever it was before.
func (v *Verdict) Final() bool { return v.kind == fail || v.kind == stall || v.kind == hinder }

// backsOff tells whether the object is asked again with backoff.
func (v *Verdict) backsOff() bool { return v.kind == retry || v.kind == hinder }
