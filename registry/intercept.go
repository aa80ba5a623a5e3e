package registry

import (
	"net/http"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// Call is a request that is valid and allowed, and waits for its answer.
type Call struct {
	// Operation is what the request is about: base, catalog, tags, manifest, blob, uploads, upload or referrers.
	Operation string
	// Repository is the name of the repository, and Reference the tag, digest or upload; each is empty where there is none.
	Repository, Reference string
	// MayPush tells whether the client is allowed to write to the repository, too.
	MayPush func() bool
}

// Interceptor may answer requests in place of the store. It is for replicas that have not everything themselves.
type Interceptor interface {
	// Intercept returns true when it has answered the request, or ended the connection because it could not.
	Intercept(w http.ResponseWriter, r *http.Request, c Call) bool
}

// intercepted tells whether somebody else has answered.
func (h *Handler) intercepted(w http.ResponseWriter, r *http.Request, route route) bool {
	if h.options.Interceptor == nil {
		return false
	}
	return h.options.Interceptor.Intercept(w, r, Call{
		Operation: string(route.op), Repository: route.name, Reference: route.ref,
		MayPush: func() bool {
			return h.authorize(r, auth.Request{Repository: route.name, Action: auth.Push, Aside: true}) == nil
		},
	})
}
