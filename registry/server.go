package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const defaultGrace = 25 * time.Second

// Server runs a registry.
type Server struct {
	// Addr is where to listen, as host:port. Port 0 takes a free one.
	Addr string
	// Handler answers requests.
	Handler http.Handler
	// TLS has the certificate; nil means plain HTTP.
	TLS *tls.Config
	// Probe proves that what the handler needs works, as store.Store.Check does; it may be nil.
	Probe func(ctx context.Context) error
	// Grace is how long requests in flight may take when the server stops; 25 s when zero, which is within
	// the time that a pod has.
	Grace time.Duration
	// Logger gets the errors of connections; nil is silent.
	Logger *slog.Logger

	once    sync.Once
	ready   chan struct{}
	mu      sync.Mutex
	address string
}

// ErrNotServing says that the server does not listen, or no more.
var ErrNotServing = errors.New("registry server is not listening")

// Ready is closed when the server listens.
func (s *Server) Ready() <-chan struct{} {
	s.once.Do(func() { s.ready = make(chan struct{}) })
	return s.ready
}

// Address returns where the server listens; it is empty when it does not.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

func (s *Server) setAddress(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = address
}

// Check tells whether requests are served: the server listens and its probe passes. It is for
// readiness.
func (s *Server) Check(ctx context.Context) error {
	if s.Address() == "" {
		return ErrNotServing
	}
	if s.Probe == nil {
		return nil
	}
	return s.Probe(ctx)
}

// Run serves until the context is over. Then it takes no new connections and waits for requests in
// flight, so that pushes and pulls that began can end. It runs once.
func (s *Server) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen for the registry: %w", err)
	}
	server := s.server()
	if s.TLS != nil {
		config := s.TLS.Clone()
		config.NextProtos = []string{"http/1.1"}
		listener = tls.NewListener(listener, config)
	}
	s.setAddress(listener.Addr().String())
	s.Ready()
	close(s.ready)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		s.setAddress("")
		return fmt.Errorf("serve the registry: %w", err)
	case <-ctx.Done():
	}
	s.setAddress("")
	err = s.stop(ctx, server)
	if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

func (s *Server) server() *http.Server {
	logger := s.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	// HTTP/2 puts all transfers of a client into one connection with windows of its own; blobs are
	// faster without.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           s.Handler,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

func (s *Server) stop(ctx context.Context, server *http.Server) error {
	grace := s.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("registry requests did not end within %s: %w", grace, err), server.Close())
}
