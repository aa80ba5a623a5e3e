package registry

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// unavailableFor is when a client should ask again that could not be decided on.
const unavailableFor = 2 * time.Second

// authorize asks whether a request is allowed. The client is who the connection comes from: what headers say of others before
// it anybody can write.
func (h *Handler) authorize(r *http.Request, q auth.Request) error {
	q.Client = r.RemoteAddr
	q.Username, q.Password, _ = r.BasicAuth()
	if scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " "); found && strings.EqualFold(scheme, "Bearer") {
		q.Bearer = strings.TrimSpace(token)
	}
	return h.options.Authorizer.Authorize(r.Context(), q)
}

// retryAfter tells a client when it is worth to ask again.
func retryAfter(w http.ResponseWriter, err error) {
	after := unavailableFor
	if limited, ok := errors.AsType[*auth.LimitedError](err); ok {
		after = limited.After
	} else if !errors.Is(err, auth.ErrUnavailable) {
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(after.Round(time.Second)/time.Second)))
}
