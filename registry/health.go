package registry

import (
	"io"
	"net/http"
	"strings"

	"github.com/ocm-operator/ocm-operator/registry/internal/journal"
)

// health answers whether the registry is of use, to anybody: whoever looks after a process has no credential for what it keeps.
// What is wrong it tells in general words. Who asks often must not fill the log, so that has it at the level of requests.
func (h *Handler) health(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return &apiError{status: http.StatusMethodNotAllowed, code: codeUnsupported, message: "health is only read"}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	answer := "ok\n"
	if h.options.Probe != nil {
		if err := h.prober.ask(r.Context(), h.options.Probe, h.options.ProbeTimeout); err != nil {
			h.options.Logger.Log(r.Context(), journal.LevelAccess, "registry is not healthy", "error", err)
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			answer = "the registry can't use its storage\n"
		}
	}
	_, err := io.Copy(w, strings.NewReader(answer))
	return err
}
