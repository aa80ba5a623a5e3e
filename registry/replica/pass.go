package replica

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// pass answers with a blob of the leader, past the local store. A client that checks nothing can't take wrong bytes for the
// blob: their end does not come before all of them have the digest.
func (r *Replica) pass(w http.ResponseWriter, req *http.Request, repository string, d digest.Digest) bool {
	asked := http.Header{}
	for _, name := range []string{"Range", "If-Range", "If-None-Match"} {
		if value := req.Header.Get(name); value != "" {
			asked.Set(name, value)
		}
	}
	response, err := r.get(req.Context(), opBlob, repository, d, asked)
	if err != nil {
		r.metrics.asked(opBlob, err, 0)
		return r.answer(w, req, err, codeBlobUnknown, repository, d)
	}
	defer response.Body.Close()
	header := w.Header()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "Docker-Content-Digest", "Etag", "Cache-Control"} {
		if value := response.Header.Get(name); value != "" && header.Get(name) == "" {
			header.Set(name, value)
		}
	}
	w.WriteHeader(response.StatusCode)
	if req.Method == http.MethodHead {
		return true
	}
	n, err := r.send(w, response, d)
	r.metrics.asked(opBlob, err, n)
	if err != nil {
		// The status is sent; only an end of the connection tells the client.
		r.log.InfoContext(req.Context(), "content of the leader was not passed on", "repository", repository, "digest", d.String(), "error", err.Error())
		panic(http.ErrAbortHandler)
	}
	return true
}

func (r *Replica) send(w io.Writer, response *http.Response, d digest.Digest) (int64, error) {
	if response.StatusCode != http.StatusOK {
		// A part has no digest. Those who put parts together compare the whole.
		return io.Copy(w, response.Body)
	}
	return copyProven(w, response.Body, d)
}

// copyProven copies content, and holds back its end until it is known to have the digest.
func copyProven(w io.Writer, content io.Reader, d digest.Digest) (n int64, err error) {
	verifier := d.Algorithm().Hash()
	held, next := make([]byte, 0, bufferSize), make([]byte, bufferSize)
	for {
		read, err := content.Read(next)
		if read > 0 {
			verifier.Write(next[:read])
			if _, err := w.Write(held); err != nil {
				return n, err
			}
			n += int64(len(held))
			held, next = next[:read], held[:cap(held)]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	if got := digest.NewDigest(d.Algorithm(), verifier); got != d {
		return n, &store.DigestMismatchError{Want: d, Got: got}
	}
	last, err := w.Write(held)
	return n + int64(last), err
}

// forward sends a request to the leader as it is, with the credential of the client. It returns false when this replica has
// become the leader.
func (r *Replica) forward(w http.ResponseWriter, req *http.Request) bool {
	leader := r.options.Leader()
	switch {
	case leader.Self:
		return false
	case leader.Address == "":
		r.metrics.asked(opForward, ErrNoLeader, 0)
		unavailable(w, "no replica is known to lead")
		return true
	}
	proxy := httputil.ReverseProxy{
		Transport:  r.transport,
		BufferPool: &r.buffers,
		ErrorLog:   slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = r.scheme(), leader.Address, leader.Address
			p.Out.Header.Set(peerHeader, "true")
		},
		ModifyResponse: func(response *http.Response) error { return r.returned(w.Header(), response, leader.Address) },
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			r.metrics.asked(opForward, err, 0)
			r.log.InfoContext(req.Context(), "request was not answered by the leader", "leader", leader.Address, "error", err.Error())
			unavailable(w, "the replica that leads can't be asked now")
		},
	}
	proxy.ServeHTTP(w, req)
	return true
}

// returned looks at an answer before the client sees it. What was refused before it came to who leads needs no mark.
func (r *Replica) returned(header http.Header, response *http.Response, address string) error {
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
	default:
		if response.Header.Get(leaderHeader) == "" {
			return &PeerError{Address: address, Status: response.StatusCode, Stranger: true}
		}
	}
	response.Header.Del(leaderHeader)
	// This replica has set some of these itself, and has lost them again if the leader has asked for a body meanwhile.
	for name := range response.Header {
		header.Del(name)
	}
	r.metrics.asked(opForward, nil, 0)
	return nil
}

// buffers are what requests are passed on with.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
