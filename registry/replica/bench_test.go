package replica_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/replica"
)

// BenchmarkPull compares a registry without replicas, one that leads, and one that follows and has the content. Plain HTTP shows
// whether files go from the kernel to the socket.
func BenchmarkPull(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 20} {
		content := bytes.Repeat(noise("bench", 4<<10), size>>12)
		for _, mode := range []string{"alone", "leads", "follows"} {
			b.Run(mode+"/"+map[bool]string{true: "small", false: "large"}[size == 4<<10], func(b *testing.B) {
				w := newWorld(b, 1)
				n := w.nodes[0]
				put(b, n.store, content)
				o := registry.Options{Authorizer: w.issuer}
				if mode != "alone" {
					o.Interceptor = n.replica
				}
				if mode == "follows" {
					w.lead("127.0.0.1:1")
				}
				server := &registry.Server{Addr: "127.0.0.1:0", Handler: registry.NewHandler(n.store, o), Grace: time.Millisecond}
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan error, 1)
				go func() { ended <- server.Run(ctx) }()
				<-server.Ready()
				b.SetBytes(int64(size))
				pullAgain(b, w, "http://"+server.Address()+blobPath(content))
				cancel()
				<-ended
			})
		}
	}
}

func pullAgain(b *testing.B, w *world, url string) {
	b.Helper()
	credential, err := w.issuer.Issue(reader, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, 1<<20)
	for b.Loop() {
		request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			b.Fatal(err)
		}
		request.SetBasicAuth(credential.Username, credential.Password)
		response, err := w.client.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, response.Body, buffer); err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("status %d: %v", response.StatusCode, err)
		}
		response.Body.Close()
	}
}

var _ registry.Interceptor = (*replica.Replica)(nil)
