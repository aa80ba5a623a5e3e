package registry

import (
	"net/http"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/internal/journal"
	"github.com/ocm-operator/ocm-operator/registry/internal/pace"
)

// transfer is one request and its answer.
type transfer struct {
	*pace.Exchange
	// who is the client, as soon as its credential is known.
	who string
}

func (t *transfer) identified(who string) { t.who = who }

// record counts and logs a request at its end, whatever that was.
func (h *Handler) record(r *http.Request, route route, t *transfer, took time.Duration, end RequestEnd) {
	end(string(route.op), r.Method, t.Status(), t.Received(), t.Sent(), took)
	journal.Request{
		Message: "registry request", Operation: string(route.op), Repository: route.name, Reference: route.logged(), Who: t.who,
	}.Log(h.options.Logger, r, t.Exchange, took)
}

// logged is the reference, unless that is the name of an upload: whoever knows it may go on with it.
func (r route) logged() string {
	if r.op == opUpload {
		return ""
	}
	return r.ref
}
