package artifact

import (
	"net/http"

	"github.com/opencontainers/go-digest"
)

// Asker is asked before the store, for replicas that have not everything themselves. It returns true when it has answered the
// request, and false when the store should, in which the blob may be by now.
type Asker func(w http.ResponseWriter, r *http.Request, repository string, blob digest.Digest) bool

// Ask sets who is asked before the store. It is called before the first request.
func (h *Handler) Ask(who Asker) { h.ask = who }
