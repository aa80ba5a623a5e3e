package remote

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

const (
	maxRetries   = 3
	firstWait    = 200 * time.Millisecond
	longestWait  = 10 * time.Second
	waitVariance = 0.2
)

// retryPolicy retries what is likely to pass within seconds. Anything longer is for the object whose content it is, which is
// reconciled again later.
type retryPolicy struct{}

// Retry implements retry.Policy.
func (retryPolicy) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	if attempt >= maxRetries || !retryable(resp, err) {
		return -1, nil
	}
	if resp == nil {
		return backoff(attempt), nil
	}
	wait, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	switch {
	case !ok:
		return backoff(attempt), nil
	case wait > longestWait:
		return -1, nil
	}
	return wait, nil
}

func retryable(resp *http.Response, err error) bool {
	if err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return false
		}
		timeout, ok := errors.AsType[net.Error](err)
		return ok && timeout.Timeout() || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	return passing(resp.StatusCode)
}

// passing tells whether a status says that the same request may succeed later.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func backoff(attempt int) time.Duration {
	wait := float64(firstWait << attempt)
	wait *= 1 + waitVariance*(2*rand.Float64()-1) //nolint:gosec // spreading load needs no secrecy
	return min(time.Duration(wait), longestWait)
}

// retryAfter reads seconds or a date.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
