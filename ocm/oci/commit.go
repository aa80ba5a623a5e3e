package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// commitTimes are how long a registry may take over a blob when it has all of it.
// Those that keep content in an object storage copy it there before they answer, and
// give no sign of life meanwhile.
type commitTimes struct {
	// least is for any blob, as for any other request.
	least time.Duration
	// rate is how many bytes more there may be for each second.
	rate int64
	// most bounds it for all blobs: a connection that is gone without a word should
	// not hold a copy up for hours.
	most time.Duration
	// look is the first pause between two looks whether a blob has arrived, and
	// lookAgain the longest. That is also how often a sign of life is given meanwhile.
	look, lookAgain time.Duration
}

// usualTimes are generous: object storages copy within themselves at a multiple of
// that rate, and the usual proxy gives up long before. The longest pause is far below
// the time after which others take a copy for dead.
var usualTimes = commitTimes{least: answerTimeout, rate: 4 << 20, most: 15 * time.Minute, look: time.Second, lookAgain: 30 * time.Second}

// of returns how long the answer for a blob may take.
func (t commitTimes) of(size int64) time.Duration { return min(t.least+t.copying(size), t.most) }

// copying returns how long a slow registry copies a blob.
func (t commitTimes) copying(size int64) time.Duration {
	seconds := float64(size) / float64(t.rate)
	return time.Duration(min(seconds, t.most.Seconds()) * float64(time.Second))
}

// lateError says that a target has got all of a content, and said nothing.
type lateError struct{ after time.Duration }

// Error implements error.
func (e *lateError) Error() string {
	after := e.after
	if after > time.Minute {
		after = after.Round(time.Second)
	}
	return fmt.Sprintf("sent all of it, and had no answer for %s", after)
}

// Unwrap makes it match ErrUnreachable.
func (*lateError) Unwrap() error { return ErrUnreachable }

// undecided reports whether a registry may have a blob, or have it soon, although the
// request for it failed: all of it was sent, and no answer says that it is refused.
func (f *flow) undecided(err error) bool {
	if sent, _ := f.sent(); !sent || err == nil {
		return false
	}
	if _, wrong := errors.AsType[*DigestMismatchError](err); wrong {
		return false
	}
	refusal, ok := errors.AsType[*refusal](err)
	switch {
	case !ok:
		return true
	case refusal.StatusCode < http.StatusMultipleChoices, refusal.StatusCode == http.StatusNotFound, refusal.StatusCode == http.StatusRequestTimeout:
		return true
	}
	return refusal.StatusCode >= http.StatusInternalServerError && !isFull(refusal.ErrorResponse)
}

// arrives waits for a blob whose upload is undecided, and reports whether the registry
// has it. If there was an answer that nothing goes on any more, one look is enough.
func (r *Repository) arrives(ctx context.Context, desc ocispec.Descriptor, f *flow, failed error) (bool, error) {
	_, left := f.sent()
	left = min(left, f.times.copying(desc.Size))
	if refusal, ok := errors.AsType[*refusal](failed); ok && !refusal.goesOn() {
		left = 0
	}
	until := time.Now().Add(left)
	for wait := f.times.look; ; wait = min(2*wait, f.times.lookAgain) {
		has, err := r.has(ctx, r.pushing(desc), desc)
		if left = time.Until(until); has || left <= 0 {
			return has, err
		}
		if sleep(ctx, min(wait, left)) != nil {
			return false, context.Cause(ctx)
		}
		f.report(0)
	}
}

// goesOn reports whether a registry may be at work still: it says so, or what is
// between here and there did not wait for its answer.
func (r *refusal) goesOn() bool {
	switch {
	case len(r.Errors) > 0:
		return false
	case r.StatusCode == http.StatusRequestTimeout, r.StatusCode == http.StatusBadGateway, r.StatusCode == http.StatusGatewayTimeout:
		return true
	}
	return r.StatusCode < http.StatusMultipleChoices
}

// late explains that there was no answer, with what came of looking for the blob.
func (r *Repository) late(desc ocispec.Descriptor, late *lateError, looked error) error {
	found := "it does not have it so far"
	if looked != nil {
		found = "nor can it be asked whether it has it: " + looked.Error()
	}
	message := fmt.Sprintf("%s: %v: %s; it is asked again before all is sent again", r.pushing(desc), late, found)
	return at(Target, &hint{message, ErrUnreachable, late})
}
