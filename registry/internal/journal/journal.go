// Package journal is what servers of the registry write to the log: a line for each request, and what goes wrong with them,
// without what strangers must not put or find there.
package journal

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ocm-operator/ocm-operator/registry/internal/pace"
)

const (
	// LevelAccess is what logr calls V(1).
	LevelAccess = slog.Level(-1)
	// maxLogged bounds what strangers can make the log hold. Names and digests that are valid are shorter.
	maxLogged = 256
	// complaintBurst and complaintEvery bound how often the log tells that requests fail: all do when a disk is full, and
	// clients ask again and again.
	complaintBurst = 10
	complaintEvery = 10 * time.Second
)

// Request is what is known of a request beside what it says itself.
type Request struct {
	// Message tells what was asked, as "registry request".
	Message string
	// Operation, Repository and Reference say what for, and Who asked; there is no secret in them.
	Operation, Repository, Reference, Who string
}

// Log writes one line about a request that has ended. Of the credential it tells whom it belongs to, and of path and query
// nothing: nobody knows what strangers put there.
func (q Request) Log(logger *slog.Logger, r *http.Request, x *pace.Exchange, took time.Duration) {
	if !logger.Enabled(r.Context(), LevelAccess) {
		return
	}
	logger.LogAttrs(r.Context(), LevelAccess, q.Message,
		slog.String("method", Clip(r.Method)), slog.String("operation", q.Operation),
		slog.String("repository", Clip(q.Repository)), slog.String("reference", Clip(q.Reference)),
		slog.Int("status", x.Status()), slog.Int64("received", x.Received()), slog.Int64("sent", x.Sent()),
		slog.Duration("duration", took), slog.String("remote", r.RemoteAddr), slog.String("who", Clip(q.Who)),
		slog.String("userAgent", Clip(r.UserAgent())))
}

// Clip bounds a string for the log.
func Clip(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}

// Complaints decides which errors the log tells. The zero value is ready for use.
type Complaints struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	omitted int64
}

// Due tells whether an error is to be logged, and how many were not since the last one that was.
func (c *Complaints) Due(now time.Time) (omitted int64, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limiter == nil {
		c.limiter = rate.NewLimiter(rate.Every(complaintEvery), complaintBurst)
	}
	if !c.limiter.AllowN(now, 1) {
		c.omitted++
		return 0, false
	}
	omitted, c.omitted = c.omitted, 0
	return omitted, true
}
