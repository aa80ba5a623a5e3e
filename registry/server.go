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

const (
	defaultGrace = 25 * time.Second
	// headerTimeout is for a handshake of TLS, and then for the header of a request.
	headerTimeout = 10 * time.Second
	idleTimeout   = time.Minute
	// maxHeaderBytes has room for the token of a ServiceAccount as a password, and little more: strangers can send as much.
	maxHeaderBytes = 24 << 10
)

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
	// MaxConnections bounds the connections; 2048 when zero. When all are in use, new ones wait.
	MaxConnections int
	// MaxPerClient bounds those from one address; 512 when zero, or MaxConnections if that is less.
	MaxPerClient int

	once    sync.Once
	ready   chan struct{}
	mu      sync.Mutex
	address string
	door    *doorman
	prober  prober
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

// Connections returns how many connections there are, and how many were refused because their client had too many.
func (s *Server) Connections() (open int, refused int64) {
	s.mu.Lock()
	door := s.door
	s.mu.Unlock()
	if door == nil {
		return 0, 0
	}
	return door.count()
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
	return s.prober.ask(ctx, s.Probe, probeTimeout)
}

// listen returns the listener, with TLS if there is a certificate.
func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the registry: %w", err)
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen for the registry: %T is no listener of TCP", listener), listener.Close())
	}
	door := newDoorman(tcp, s.MaxConnections, s.MaxPerClient)
	s.mu.Lock()
	s.door = door
	s.mu.Unlock()
	if s.TLS == nil {
		return door, nil
	}
	config := s.TLS.Clone()
	config.NextProtos = []string{"http/1.1"}
	return tls.NewListener(door, config), nil
}

// Run serves until the context is over. Then it takes no new connections and waits for requests in
// flight, so that pushes and pulls that began can end. It runs once.
func (s *Server) Run(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	server := s.server()
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
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         s.door.observe,
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
