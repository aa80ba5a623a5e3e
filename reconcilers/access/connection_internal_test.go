package access

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// TestTransportsAreBounded fills the memory, and looks whether connections of the forgotten are closed.
func TestTransportsAreBounded(t *testing.T) {
	t.Parallel()
	var idle atomic.Int64
	closed := make(chan struct{}, 16)
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	proxy.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			idle.Add(1)
		case http.StateClosed:
			idle.Add(-1)
			closed <- struct{}{}
		default:
		}
	}
	proxy.Start()
	t.Cleanup(proxy.Close)
	known := newTransports(nil, nil, 2)
	use := func(user string) http.RoundTripper {
		address, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		address.User = url.User(user)
		transport, err := known.get(connection{proxy: address})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://registry.example/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return transport
	}
	first := use("a")
	if use("a") != first {
		t.Error("two objects that connect alike don't share a transport")
	}
	if got := idle.Load(); got != 1 {
		t.Errorf("%d connections for two requests, want one", got)
	}
	if use("b") == first {
		t.Error("two objects that connect otherwise share a transport")
	}
	use("c")
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatalf("%d connections are open, want those of two transports", idle.Load())
	}
	if use("a") == first {
		t.Error("what was forgotten is still known")
	}
}
