package registry

import (
	"errors"
	"io"
	"math"
	"net/http"
	"time"
)

const (
	// stride is how much of an answer a client has to take in the time that it may stand still. It is enough for
	// the kernel to send a file at full speed, and little enough for the slowest line.
	stride = 256 << 10
	// drainTimeout is how long the server waits for a body that nobody wants.
	drainTimeout = 5 * time.Second
)

// courtesy is the time for a body that nobody wants: a client that is still sending may not see the answer
// when the connection ends below it.
func courtesy(stall time.Duration) time.Duration { return min(stall, drainTimeout) }

// transfer is one request and its answer under deadlines. A deadline for the whole of either would end
// large blobs, so they move on with what is sent and taken.
type transfer struct {
	recorder
	body watchedBody
}

// begin puts a request under deadlines. The endpoint gets a copy: the server looks at the body of its
// own request to see how to end the connection.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request) (*transfer, *http.Request) {
	control := http.NewResponseController(w)
	stall := h.options.StallTimeout
	t := &transfer{
		recorder: recorder{ResponseWriter: w, control: control, stall: stall},
		body:     watchedBody{ReadCloser: r.Body, control: control, stall: stall, ended: r.Body == http.NoBody},
	}
	// What the connection has is of the request before.
	t.extend()
	t.body.drain()
	r = r.WithContext(r.Context())
	r.Body = &t.body
	return t, r
}

// recorder remembers what was answered, and ends an answer that is not taken.
type recorder struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	status  int
	n       int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.extend()
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	total := 0
	for {
		part := p[total:min(len(p), total+stride)]
		r.extend()
		n, err := r.ResponseWriter.Write(part)
		total += n
		r.n += int64(n)
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// ReadFrom keeps the way from file to socket open that the kernel can go alone.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	// The kernel's way begins at a file behind one limit, and not behind two.
	all, limited := src.(*io.LimitedReader)
	if !limited {
		all = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	var total int64
	for all.N > 0 {
		part := &io.LimitedReader{R: all.R, N: min(stride, all.N)}
		r.extend()
		n, err := io.Copy(r.ResponseWriter, part)
		all.N -= n
		total += n
		r.n += n
		if err != nil || part.N > 0 {
			return total, err
		}
	}
	return total, nil
}

// extend gives the client its time anew. The deadline outlives the endpoint: the end of an answer is sent
// after it, and after what is left of the body.
func (r *recorder) extend() {
	// A server that knows no deadlines has its own ways.
	_ = r.control.SetWriteDeadline(time.Now().Add(r.stall + courtesy(r.stall)))
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// watchedBody counts the body of a request, and ends one that does not move any more.
type watchedBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	n       int64
	set     time.Time
	ended   bool
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	if now := time.Now(); !b.ended && now.Sub(b.set) > b.stall/4 {
		_ = b.control.SetReadDeadline(now.Add(b.stall))
		// Reading may have to write: it asks for the body, and TLS changes its keys.
		_ = b.control.SetWriteDeadline(now.Add(b.stall + courtesy(b.stall)))
		b.set = now
	}
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if errors.Is(err, io.EOF) && !b.ended {
		b.ended = true
		// What happens now, like waiting for the disk, is not the client's fault.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// drain is for the time when the endpoint does not read the body: before it began to, and after it gave
// up. Without a body the server listens for the end of the connection, and may do so for ever.
func (b *watchedBody) drain() {
	deadline := time.Time{}
	if !b.ended {
		deadline = time.Now().Add(courtesy(b.stall))
	}
	_ = b.control.SetReadDeadline(deadline)
}
