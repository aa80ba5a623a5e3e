// Package pace keeps slow clients from holding a connection for ever, and lets slow lines be slow: an answer goes on as long as
// some of it is taken in time, however long it takes as a whole.
//
// It knows nothing of what is asked and answered.
package pace

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

// Exchange is one request and its answer under deadlines. A deadline for the whole of either would end
// large blobs, so they move on with what is sent and taken.
type Exchange struct {
	Writer
	body body
}

// Begin puts a request under deadlines: the client may send no byte, and take none, for the time of stall. The endpoint gets
// a copy: the server looks at the body of its own request to see how to end the connection. Whoever begins ends.
func Begin(w http.ResponseWriter, r *http.Request, stall time.Duration) (*Exchange, *http.Request) {
	control := http.NewResponseController(w)
	x := &Exchange{
		Writer: Writer{ResponseWriter: w, control: control, stall: stall, head: r.Method == http.MethodHead},
		body:   body{ReadCloser: r.Body, control: control, stall: stall, ended: r.Body == http.NoBody},
	}
	// What the connection has is of the request before.
	x.extend()
	x.body.drain()
	r = r.WithContext(r.Context())
	r.Body = &x.body
	return x, r
}

// End is for the time when the endpoint reads no more of the body.
func (x *Exchange) End() { x.body.drain() }

// Received is how many bytes of the body were read.
func (x *Exchange) Received() int64 { return x.body.n }

// Writer is an answer that remembers what was sent, and ends when it is not taken.
type Writer struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	head    bool
	status  int
	sent    int64
}

// Status is the status that was answered; 0 before that.
func (w *Writer) Status() int { return w.status }

// Sent is how many bytes of a body were sent. The answer to HEAD has none, whatever was written.
func (w *Writer) Sent() int64 {
	if w.head {
		return 0
	}
	return w.sent
}

// WriteHeader implements http.ResponseWriter. What is told before the answer, as that the body may come, is not its status.
func (w *Writer) WriteHeader(status int) {
	if w.status == 0 {
		w.extend()
		if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
			w.status = status
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	total := 0
	for {
		part := p[total:min(len(p), total+stride)]
		w.extend()
		n, err := w.ResponseWriter.Write(part)
		total += n
		w.sent += int64(n)
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// ReadFrom keeps the way from file to socket open that the kernel can go alone.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	// The kernel's way begins at a file behind one limit, and not behind two.
	all, limited := src.(*io.LimitedReader)
	if !limited {
		all = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	var total int64
	for all.N > 0 {
		part := &io.LimitedReader{R: all.R, N: min(stride, all.N)}
		w.extend()
		n, err := io.Copy(w.ResponseWriter, part)
		all.N -= n
		total += n
		w.sent += n
		if err != nil || part.N > 0 {
			return total, err
		}
	}
	return total, nil
}

// extend gives the client its time anew. The deadline outlives the endpoint: the end of an answer is sent
// after it, and after what is left of the body.
func (w *Writer) extend() {
	// A server that knows no deadlines has its own ways.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.stall + courtesy(w.stall)))
}

// Unwrap lets http.ResponseController through.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// body counts the body of a request, and ends one that does not move any more.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	n       int64
	set     time.Time
	ended   bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
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
func (b *body) drain() {
	deadline := time.Time{}
	if !b.ended {
		deadline = time.Now().Add(courtesy(b.stall))
	}
	_ = b.control.SetReadDeadline(deadline)
}
