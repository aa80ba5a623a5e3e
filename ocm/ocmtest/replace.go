package ocmtest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Replace returns a fault that answers everybody who reads a blob or a manifest by its digest with other bytes, as a
// registry does that lies: it says that they are what was asked for.
func Replace(d digest.Digest, mediaType string, body []byte) Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet && req.Method != http.MethodHead || !strings.HasSuffix(req.URL.Path, "/"+d.String()) {
			return false
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", d.String())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusOK)
		if req.Method == http.MethodGet {
			_, _ = w.Write(body) // the client is gone if this fails
		}
		return true
	}
}
