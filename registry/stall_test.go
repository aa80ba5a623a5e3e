package registry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// impatient serves a registry that waits a short time for a client that stands still. It stops with
// the test, and has to do so without closing a connection on anybody.
func impatient(t *testing.T, stall time.Duration, authorizer auth.Authorizer, what string) (address, path string) {
	t.Helper()
	h := registry.NewHandler(newStore(t), registry.Options{Authorizer: authorizer, StallTimeout: stall})
	path = fill(t, &client{t: t, handler: h}, what)
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: h, Grace: 15 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return server.Address(), path
}

func dial(t *testing.T, address, request string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestUnsentBody announces a body to requests that are answered without reading it, and never sends it.
// The connection has to come to an end all the same.
func TestUnsentBody(t *testing.T) {
	t.Parallel()
	d := digest.FromString("x").String()
	for name, c := range map[string]struct {
		authorizer auth.Authorizer
		line       string
		status     int
	}{
		"unauthenticated": {auth.DenyAll(), "PUT /v2/a/manifests/v1", http.StatusUnauthorized},
		"no endpoint":     {auth.AllowAll(), "PUT /elsewhere", http.StatusNotFound},
		"no method":       {auth.AllowAll(), "PUT /v2/", http.StatusMethodNotAllowed},
		"unknown upload":  {auth.AllowAll(), "PATCH /v2/a/blobs/uploads/x", http.StatusNotFound},
		"no body wanted":  {auth.AllowAll(), "GET /v2/", http.StatusOK},
		"blob unknown":    {auth.AllowAll(), "GET /v2/a/blobs/" + d, http.StatusNotFound},
		"mount":           {auth.AllowAll(), "POST /v2/a/blobs/uploads/", http.StatusAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := impatient(t, 500*time.Millisecond, c.authorizer, "")
			conns := map[string]net.Conn{}
			for _, length := range []string{"Content-Length: 100000", "Content-Length: 10", "Transfer-Encoding: chunked", "Expect: 100-continue\r\nContent-Length: 10"} {
				conns[length] = dial(t, address, c.line+" HTTP/1.1\r\nHost: registry\r\n"+length+"\r\n\r\n")
			}
			for length, conn := range conns {
				in := bufio.NewReader(conn)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("%s: no answer: %v", length, err)
				}
				if resp.StatusCode != c.status {
					t.Errorf("%s: got %s, want %d", length, resp.Status, c.status)
				}
				if _, err := io.Copy(io.Discard, in); err != nil {
					t.Errorf("%s: the connection is not closed: %v", length, err)
				}
			}
		})
	}
}

// TestStopWithUnsentBody stops a server while strangers hold connections that they announced a body on.
func TestStopWithUnsentBody(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	h := registry.NewHandler(newStore(t), registry.Options{Authorizer: stranger(asked), StallTimeout: 500 * time.Millisecond})
	defer h.Close()
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: h, Grace: 15 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	for range 10 {
		dial(t, server.Address(), "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: registry\r\nContent-Length: 10\r\n\r\n")
	}
	for range 10 {
		<-asked
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("strangers keep the server from stopping: %v", err)
	}
}

// stranger tells of everybody that comes, and lets nobody in.
type stranger chan struct{}

func (s stranger) Authorize(context.Context, auth.Request) error {
	s <- struct{}{}
	return auth.ErrUnauthenticated
}

// TestDrippingBody is kept alive by a byte now and then, as a slow line is, for longer than a client may
// stand still.
func TestDrippingBody(t *testing.T) {
	t.Parallel()
	address, _ := impatient(t, time.Second, auth.AllowAll(), "")
	content := "a slow line"
	d := digest.FromString(content).String()
	conn := dial(t, address, fmt.Sprintf("POST /v2/a/blobs/uploads/?digest=%s HTTP/1.1\r\nHost: registry\r\nContent-Length: %d\r\n\r\n", d, len(content)))
	ticker := time.NewTicker(150 * time.Millisecond)
	defer ticker.Stop()
	for i := range content {
		<-ticker.C
		if _, err := io.WriteString(conn, content[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("got %s", resp.Status)
	}
}

// slowAuthorizer takes its time, and lets in whoever is still there then.
type slowAuthorizer time.Duration

func (s slowAuthorizer) Authorize(ctx context.Context, _ auth.Request) error {
	select {
	case <-time.After(time.Duration(s)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TestSlowServer makes clients wait for longer than they may stand still themselves: between two requests,
// and while the server is busy with one.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	const stall = 100 * time.Millisecond
	address, _ := impatient(t, stall, slowAuthorizer(3*stall), "")
	conn := dial(t, address, "")
	in := bufio.NewReader(conn)
	d := digest.FromString("body").String()
	for _, request := range []string{
		"GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n",
		"POST /v2/a/blobs/uploads/?digest=" + d + " HTTP/1.1\r\nHost: registry\r\nContent-Length: 4\r\n\r\nbody",
		"GET /v2/a/blobs/" + d + " HTTP/1.1\r\nHost: registry\r\n\r\n",
	} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%.20s: %v", request, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode >= 300 {
			t.Errorf("%.20s: got %s, %v", request, resp.Status, err)
		}
		<-time.After(3 * stall)
	}
}

// TestUntakenAnswers asks again and again and takes no answer. Whatever was asked for, the server lets go.
func TestUntakenAnswers(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"tags", "manifest", "blob", "error"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			address, path := impatient(t, 100*time.Millisecond, auth.AllowAll(), what)
			conn := dial(t, address, "")
			if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			requests := strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: registry\r\n\r\n", 1000)
			var err error
			for err == nil {
				_, err = io.WriteString(conn, requests)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection is held: %v", err)
			}
		})
	}
}

// fill makes the answer to a path as large as it gets.
func fill(t *testing.T, c *client, what string) (path string) {
	t.Helper()
	switch what {
	case "tags":
		body := manifest(t, nil, c.blob("a", "{}"))
		d := digest.FromBytes(body).String()
		for i := range 20 {
			tags := url.Values{}
			for j := range 100 {
				tags.Add("tag", strings.Repeat("t", 120)+strconv.Itoa(100*i+j))
			}
			c.expect(201, "", "PUT", "/v2/a/manifests/"+d+"?"+tags.Encode(), body, "Content-Type", imageType)
		}
		return "/v2/a/tags/list"
	case "manifest":
		body := []byte(fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[],"annotations":{"a":%q}}`,
			c.blob("a", "{}").Digest, strings.Repeat("x", 3<<20)))
		c.expect(201, "", "PUT", "/v2/a/manifests/v1", body, "Content-Type", imageType)
		return "/v2/a/manifests/v1"
	case "blob":
		return "/v2/a/blobs/" + c.blob("a", strings.Repeat("x", 8<<20)).Digest.String()
	default:
		return "/elsewhere"
	}
}
