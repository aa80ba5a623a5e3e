package registry

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/internal/pace"
)

const (
	// levelAccess is what logr calls V(1).
	levelAccess = slog.Level(-1)
	// maxLogged bounds what strangers can make the log hold. Names and digests that are valid are shorter.
	maxLogged = 256
)

// transfer is one request and its answer.
type transfer struct {
	*pace.Exchange
	// who is the client, as soon as its credential is known.
	who string
}

func (t *transfer) identified(who string) { t.who = who }

// record counts and logs a request at its end, whatever that was. Of the credential it tells whom it belongs to, and of the
// query nothing: nobody knows what strangers put there.
func (h *Handler) record(r *http.Request, route route, t *transfer, took time.Duration, end requestEnd) {
	end(route.op, r.Method, t.Status(), t.Received(), t.Sent(), took)
	if !h.options.Logger.Enabled(r.Context(), levelAccess) {
		return
	}
	h.options.Logger.LogAttrs(r.Context(), levelAccess, "registry request",
		slog.String("method", clip(r.Method)), slog.String("operation", string(route.op)),
		slog.String("repository", clip(route.name)), slog.String("reference", clip(route.logged())),
		slog.Int("status", t.Status()), slog.Int64("received", t.Received()), slog.Int64("sent", t.Sent()),
		slog.Duration("duration", took), slog.String("remote", r.RemoteAddr), slog.String("who", clip(t.who)),
		slog.String("userAgent", clip(r.UserAgent())))
}

// logged is the reference, unless that is the name of an upload: whoever knows it may go on with it.
func (r route) logged() string {
	if r.op == opUpload {
		return ""
	}
	return r.ref
}

func clip(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}
