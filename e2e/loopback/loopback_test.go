package loopback

import (
	"net"
	"testing"
)

// TestReservedPort listens at a reserved address again and again, as a server does that is restarted.
func TestReservedPort(t *testing.T) {
	t.Parallel()
	address, socket, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	if socket != nil {
		defer socket.Close()
	}
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		t.Errorf("somebody answers at %s although nobody listens there: %v", address, conn.Close())
	}
	for range 3 {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
