package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// run serves with a bound for connections until the test ends.
func run(t *testing.T, handler http.Handler, total, each int) *registry.Server {
	t.Helper()
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: handler, Grace: time.Second, MaxConnections: total, MaxPerClient: each}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	t.Cleanup(func() {
		cancel()
		// Connections that a test leaves open without a request are cut off.
		if err := <-ended; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	return server
}

// answered reads one answer from a connection, and returns false when the connection has ended instead.
func answered(t *testing.T, conn net.Conn, status int) bool {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	if response.StatusCode != status {
		t.Errorf("status is %d, want %d", response.StatusCode, status)
	}
	return true
}

const ping = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"

// TestIdleConnectionsMakeRoom opens many more than there may be, and every one of them is answered.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string][2]int{"of all": {8, 8}, "of one client": {100, 8}} {
		h := newHandler(t, registry.Options{})
		server := run(t, h.handler, bound[0], bound[1])
		for i := range 100 {
			if !answered(t, dial(t, server.Address(), ping), http.StatusOK) {
				t.Fatalf("%s: connection %d is not answered", name, i)
			}
			if open, refused := server.Connections(); open > 8 || refused != 0 {
				t.Fatalf("%s: %d connections are open, %d were refused", name, open, refused)
			}
		}
	}
}

// TestBusyConnectionsAreNotCutOff: those beyond the bound wait, and those of one client beyond its share are refused.
func TestBusyConnectionsAreNotCutOff(t *testing.T) {
	t.Parallel()
	var busy atomic.Int64
	end := make(chan struct{})
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		busy.Add(1)
		<-end
	})
	waiting, sharing := run(t, slow, 4, 4), run(t, slow, 100, 4)
	first := make([]net.Conn, 0, 8)
	for _, server := range []*registry.Server{waiting, sharing} {
		for range 4 {
			first = append(first, dial(t, server.Address(), ping))
		}
	}
	eventually(t, "all are busy", func() bool { return busy.Load() == 8 })
	refused := dial(t, sharing.Address(), ping)
	if answered(t, refused, http.StatusOK) {
		t.Error("a client gets more than its share")
	}
	if open, refused := sharing.Connections(); open != 4 || refused != 1 {
		t.Errorf("%d connections are open, %d were refused", open, refused)
	}
	next := dial(t, waiting.Address(), ping)
	close(end)
	for _, conn := range append(first, next) {
		if !answered(t, conn, http.StatusOK) {
			t.Error("a connection is cut off")
		}
	}
	if _, refused := waiting.Connections(); refused != 0 {
		t.Errorf("%d were refused", refused)
	}
}

// TestStrangersHoldNoConnections: whoever is refused is sent away, and the memory with the connection.
func TestStrangersHoldNoConnections(t *testing.T) {
	t.Parallel()
	limited := auth.Func(func(context.Context, auth.Request) error { return &auth.LimitedError{After: time.Second} })
	for status, authorizer := range map[int]auth.Authorizer{http.StatusUnauthorized: auth.DenyAll(), http.StatusTooManyRequests: limited} {
		h := newHandler(t, registry.Options{Authorizer: authorizer})
		server := run(t, h.handler, 0, 0)
		for range 50 {
			if !answered(t, dial(t, server.Address(), ping), status) {
				t.Fatal("no answer")
			}
		}
		eventually(t, "no connection is left", func() bool {
			open, _ := server.Connections()
			return open == 0
		})
	}
}

// TestHeaderBound: a token of a ServiceAccount fits, and what only costs memory does not.
func TestHeaderBound(t *testing.T) {
	t.Parallel()
	h := newHandler(t, registry.Options{})
	server := run(t, h.handler, 0, 0)
	for size, status := range map[int]int{20 << 10: http.StatusOK, 60 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		request := "GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + strings.Repeat("a", size) + "\r\n\r\n"
		if !answered(t, dial(t, server.Address(), request), status) {
			t.Errorf("%d bytes of a header are not answered", size)
		}
	}
}

func TestConnectionMetrics(t *testing.T) {
	t.Parallel()
	metrics := registry.NewMetrics(newStore(t))
	server := run(t, http.NotFoundHandler(), 0, 0)
	metrics.Watch("registry", server)
	if !answered(t, dial(t, server.Address(), ping), http.StatusNotFound) {
		t.Fatal("no answer")
	}
	want := "# HELP ocm_registry_connections Connections that are open, by server.\n# TYPE ocm_registry_connections gauge\nocm_registry_connections{server=\"registry\"} 1\n"
	if err := testutil.CollectAndCompare(metrics, strings.NewReader(want), "ocm_registry_connections"); err != nil {
		t.Error(err)
	}
}

// TestHungDisk: a probe that does not come back holds nobody, and there is one of it.
func TestHungDisk(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	var probes atomic.Int64
	probe := func(context.Context) error {
		probes.Add(1)
		<-hung
		return nil
	}
	h := newHandler(t, registry.Options{Probe: probe, ProbeTimeout: time.Millisecond})
	for range 5 {
		if got := h.do(http.MethodGet, "/healthz", nil); got.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status is %d", got.StatusCode)
		}
	}
	if probes.Load() != 1 {
		t.Errorf("%d probes wait for the disk", probes.Load())
	}
	close(hung)
	eventually(t, "it is well again", func() bool { return h.do(http.MethodGet, "/healthz", nil).StatusCode == http.StatusOK })
}

// TestFailuresDoNotFillTheLog: the log has some of them, and how many others there were.
func TestFailuresDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	var log logged
	broken := auth.Func(func(context.Context, auth.Request) error { return errors.New("broken") })
	h := newHandler(t, registry.Options{Authorizer: broken, Logger: log.logger(slog.LevelInfo)})
	for range 1000 {
		h.expect(500, "UNKNOWN", http.MethodGet, "/v2/team/app/tags/list", nil)
	}
	lines := log.lines(t)
	if len(lines) < 10 || len(lines) > 20 {
		t.Errorf("%d lines about 1000 failures", len(lines))
	}
	if _, told := lines[0]["notLogged"]; !told {
		t.Errorf("it is not told how many are not told: %v", lines[0])
	}
}

// TestLargeManifest is one that is not held in memory while it is sent, whole and in parts.
func TestLargeManifest(t *testing.T) {
	t.Parallel()
	h := newHandler(t, registry.Options{})
	body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a":%q}}`, strings.Repeat("0123456789", 100_000))
	h.expect(201, "", http.MethodPut, "/v2/team/app/manifests/v1", body, "Content-Type", "application/vnd.oci.image.index.v1+json")
	for header, want := range map[string][]byte{"": body, "bytes=40000-": body[40_000:], "bytes=10-99999": body[10:100_000], "bytes=-5": body[len(body)-5:]} {
		status := 206
		if header == "" {
			status = 200
		}
		got, err := io.ReadAll(h.expect(status, "", http.MethodGet, "/v2/team/app/manifests/v1", nil, "Range", header).Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %d bytes of %d, %v", header, len(got), len(want), err)
		}
	}
	got := h.expect(200, "", http.MethodHead, "/v2/team/app/manifests/v1", nil)
	if got.ContentLength != int64(len(body)) {
		t.Errorf("HEAD tells %d bytes of %d", got.ContentLength, len(body))
	}
}
