package registry

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// serveContent answers ranges and conditions, and hands a file to the kernel. A range is a matter of GET alone, and one in
// other units than bytes has to be ignored.
func serveContent(w http.ResponseWriter, r *http.Request, content io.ReadSeeker) {
	if r.Method == http.MethodHead || !strings.HasPrefix(r.Header.Get("Range"), "bytes=") {
		r.Header.Del("Range")
	}
	http.ServeContent(&contentWriter{ResponseWriter: w}, r, "", time.Time{}, content)
}

// contentWriter gives refusals of http.ServeContent the form that those of the registry have.
type contentWriter struct {
	http.ResponseWriter
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (w *contentWriter) WriteHeader(status int) {
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		w.refuse(&apiError{status: status, code: codeSizeInvalid, message: "the range is not one of this content: " + w.Header().Get("Content-Range")})
	case http.StatusPreconditionFailed:
		w.refuse(&apiError{status: status, code: codeUnsupported, message: "the condition of the request does not hold"})
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *contentWriter) refuse(answer *apiError) {
	w.refused = true
	answer.write(w.ResponseWriter)
}

// Write implements http.ResponseWriter.
func (w *contentWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom keeps the way from file to socket open.
func (w *contentWriter) ReadFrom(src io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, src) }
