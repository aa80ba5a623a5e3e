package registry

import (
	"io"
	"net/http"
	"time"
)

// slowest is the rate that a client has to keep up when it takes a blob, in bytes a second.
const slowest = 32 << 10

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	n      int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.n += int64(n)
	return n, err
}

// ReadFrom keeps the way from file to socket open that the kernel can go alone.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := io.Copy(r.ResponseWriter, src)
	r.n += n
	return n, err
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// watch counts the body of a request, and ends one that does not move any more. A deadline for the
// whole request would end large uploads instead.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request) *watchedBody {
	body := &watchedBody{ReadCloser: r.Body, control: http.NewResponseController(w), stall: h.options.StallTimeout}
	r.Body = body
	return body
}

type watchedBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	n       int64
	set     time.Time
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.set) > b.stall/4 {
		// A server that knows no deadlines has its own ways.
		_ = b.control.SetReadDeadline(now.Add(b.stall))
		b.set = now
	}
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil {
		// What happens now, like waiting for the disk, is not the client's fault.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// extendWrite gives a client the time that a blob of that size takes at the slowest rate.
func (h *Handler) extendWrite(w http.ResponseWriter, size int64) (reset func()) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(h.options.StallTimeout + time.Duration(size/slowest)*time.Second))
	return func() { _ = control.SetWriteDeadline(time.Time{}) }
}
