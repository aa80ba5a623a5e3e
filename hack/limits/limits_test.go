package limits

import (
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

const (
	large = 64 << 20
	small = 4 << 10
)

func BenchmarkSHA256(b *testing.B) {
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		sha256.Sum256(chunk)
	}
}

func BenchmarkLoopback(b *testing.B) {
	var lc net.ListenConfig
	listener, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		chunk := make([]byte, 1<<20)
		for {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}()
	var dialer net.Dialer
	conn, err := dialer.DialContext(b.Context(), "tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	b.SetBytes(large)
	for b.Loop() {
		if _, err := io.CopyN(io.Discard, conn, large); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSendfile is the fastest way to serve a blob: the kernel copies the file to the socket.
func BenchmarkSendfile(b *testing.B) {
	name := filepath.Join(b.TempDir(), "blob")
	if err := os.WriteFile(name, make([]byte, large), 0o600); err != nil {
		b.Fatal(err)
	}
	url := serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) }))
	b.SetBytes(large)
	for b.Loop() {
		get(b, url)
	}
}

func BenchmarkSmallGET(b *testing.B) {
	body := make([]byte, small)
	url := serve(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	for b.Loop() {
		get(b, url)
	}
}

func BenchmarkDiskWrite(b *testing.B) {
	dir, chunk := b.TempDir(), make([]byte, large)
	b.SetBytes(large)
	for i := 0; b.Loop(); i++ {
		write(b, filepath.Join(dir, strconv.Itoa(i%4)), chunk, false)
	}
}

// BenchmarkDiskSync is one small durable write, which bounds how many artifacts a second any store can promise to keep.
func BenchmarkDiskSync(b *testing.B) {
	dir, chunk := b.TempDir(), make([]byte, small)
	for i := 0; b.Loop(); i++ {
		write(b, filepath.Join(dir, strconv.Itoa(i%64)), chunk, true)
	}
}

func serve(b *testing.B, h http.Handler) string {
	b.Helper()
	server := httptest.NewServer(h)
	b.Cleanup(server.Close)
	return server.URL
}

func get(b *testing.B, url string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		b.Fatal(err)
	}
}

func write(b *testing.B, name string, content []byte, durable bool) {
	b.Helper()
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(content); err != nil {
		b.Fatal(err)
	}
	if durable {
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
