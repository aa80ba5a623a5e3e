package endurance

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// source is the registry of components, which may go away and come back at the same address.
type source struct {
	*ocmtest.Registry
	t       *testing.T
	address string
	server  *http.Server
}

func newSource(t *testing.T) *source {
	t.Helper()
	s := &source{Registry: ocmtest.NewRegistry(), t: t, address: "127.0.0.1:0"}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *source) url() string { return "http://" + s.address + "/ocm" }

func (s *source) open() {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatalf("listen for the registry of components: %v", err)
	}
	s.address = listener.Addr().String()
	server := &http.Server{Handler: s.Registry, ReadHeaderTimeout: 10 * time.Second}
	s.server = server
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("serve the registry of components: %v", err)
		}
	}()
}

// close ends the server with all its connections.
func (s *source) close() { _ = s.server.Close() }
