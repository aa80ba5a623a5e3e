package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	dialTimeout = 3 * time.Second
	// handshakeTimeout bounds the begin of a connection.
	handshakeTimeout = 10 * time.Second
	// idleTimeout is how long a connection to the leader is kept for the next request.
	idleTimeout = 30 * time.Second
	maxIdle     = 64
	// bufferSize is what a transfer between replicas holds in memory.
	bufferSize = 64 << 10
)

// newTransport returns how the leader is reached.
func (r *Replica) newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           r.dial,
		DialTLSContext:        r.dialTLS,
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // what counts are the bytes that the digest is of
		ReadBufferSize:        bufferSize,
		WriteBufferSize:       bufferSize,
	}
}

func (r *Replica) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: conn, silence: r.options.Silence}, nil
}

func (r *Replica) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	config, err := r.options.TLS()
	if err != nil {
		return nil, err
	}
	conn, err := r.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("recognize the leader at %s: %w", address, err), conn.Close())
	}
	return secure, nil
}

// watchedConn ends when nothing has moved for a time, in either direction: a leader that hangs must not hold on to those that
// wait for it. A deadline for a whole transfer would end large ones.
type watchedConn struct {
	net.Conn
	silence time.Duration
}

// Read implements net.Conn.
func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn. While something is sent, nothing has to come.
func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (r *Replica) scheme() string {
	if r.options.TLS == nil {
		return "http"
	}
	return "https"
}

// get asks the leader for content, with a credential for that repository alone. A response has status 200, 206, 304 or 416.
func (r *Replica) get(ctx context.Context, operation, repository string, d digest.Digest, header http.Header) (*http.Response, error) {
	leader := r.options.Leader()
	switch {
	case leader.Self:
		return nil, errLeading
	case leader.Address == "":
		return nil, ErrNoLeader
	}
	credential, err := r.options.Issue(repository)
	if err != nil {
		return nil, fmt.Errorf("ask the leader for %s: %w", d, err)
	}
	url := r.scheme() + "://" + leader.Address + "/v2/" + repository + "/" + operation + "s/" + d.String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask the leader for %s: %w", d, err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set(peerHeader, "true")
	req.Header.Set("Accept", strings.Join(store.ManifestMediaTypes(), ", "))
	req.SetBasicAuth(credential.Username, credential.Password)
	// Not a client: content never comes by way of a redirect.
	response, err := r.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask the leader for %s: %w", d, err)
	}
	if err := judge(response, leader.Address); err != nil {
		return nil, errors.Join(err, response.Body.Close())
	}
	return response, nil
}

// judge tells content from everything else that may come back.
func judge(response *http.Response, address string) error {
	if response.Header.Get(leaderHeader) == "" {
		return &PeerError{Address: address, Status: response.StatusCode, Stranger: true}
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable:
		return nil
	case http.StatusNotFound:
		return ErrMissing
	default:
		return &PeerError{Address: address, Status: response.StatusCode}
	}
}
