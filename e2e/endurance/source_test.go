package endurance

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/loopback"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// source is the registry of components, which may go away and come back at the same address.
type source struct {
	*ocmtest.Registry
	t       *testing.T
	address string
	server  *http.Server
	// crawling lets the content of blobs come in pieces, with pauses between them.
	crawling atomic.Bool
}

func newSource(t *testing.T) *source {
	t.Helper()
	address, kept, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	s := &source{Registry: ocmtest.NewRegistry(), t: t, address: address}
	s.open()
	t.Cleanup(func() {
		s.close()
		_ = kept.Close()
		if t.Failed() {
			t.Logf("the registry of components has seen %v", s.Requests())
		}
	})
	return s
}

func (s *source) url() string { return "http://" + s.address + "/ocm" }

func (s *source) open() {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatalf("listen for the registry of components: %v", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.server = server
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("serve the registry of components: %v", err)
		}
	}()
}

// close ends the server with all its connections.
func (s *source) close() { _ = s.server.Close() }

// ServeHTTP implements http.Handler.
func (s *source) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if s.crawling.Load() && fromOperator(request) && ocmtest.Class(request) == ocmtest.ClassBlobs {
		w = &crawler{ResponseWriter: w, request: request}
	}
	s.Registry.ServeHTTP(w, request)
}

const (
	// crawlPiece is what comes at once, and crawlPause the time between two pieces.
	crawlPiece = 256 << 10
	crawlPause = 10 * time.Millisecond
)

// crawler is an answer that comes slowly.
type crawler struct {
	http.ResponseWriter
	request *http.Request
}

// Write implements io.Writer.
func (c *crawler) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n, err := c.ResponseWriter.Write(p[:min(len(p), crawlPiece)])
		written, p = written+n, p[n:]
		if err != nil {
			return written, err
		}
		if len(p) > 0 {
			e2etest.Pause(c.request.Context(), crawlPause)
		}
	}
	return written, nil
}
