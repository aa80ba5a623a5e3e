package remote_test

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// newSOCKS serves as a SOCKS5 proxy with a log-in until the test ends, and returns its address.
func newSOCKS(t *testing.T, user, password string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer client.Close()
				serveSOCKS(client, user, password)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
	return listener.Addr().String()
}

// serveSOCKS is RFC 1928 with the log-in of RFC 1929, for IPv4 addresses.
func serveSOCKS(client net.Conn, user, password string) {
	if _, ok := readSOCKS(client, 1); !ok {
		return
	}
	_, _ = client.Write([]byte{5, 2})
	name, _ := readSOCKS(client, 1)
	secret, ok := readSOCKS(client, 0)
	if !ok || string(name) != user || string(secret) != password {
		_, _ = client.Write([]byte{1, 1})
		return
	}
	_, _ = client.Write([]byte{1, 0})
	request := make([]byte, 10)
	if _, err := io.ReadFull(client, request); err != nil || request[1] != 1 || request[3] != 1 {
		return
	}
	port := strconv.Itoa(int(binary.BigEndian.Uint16(request[8:])))
	server, err := net.Dial("tcp", net.JoinHostPort(net.IP(request[4:8]).String(), port))
	if err != nil {
		return
	}
	defer server.Close()
	_, _ = client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	back.Wait()
}

// readSOCKS reads a list with its length before it, after some bytes.
func readSOCKS(client net.Conn, skip int) ([]byte, bool) {
	head := make([]byte, skip+1)
	if _, err := io.ReadFull(client, head); err != nil {
		return nil, false
	}
	list := make([]byte, int(head[skip]))
	_, err := io.ReadFull(client, list)
	return list, err == nil
}
