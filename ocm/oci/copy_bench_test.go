package oci

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// plain serves one blob and takes what it is sent, as fast as that can be done.
func plain(b testing.TB, content []byte) *httptest.Server {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.Method {
		case http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case http.MethodGet:
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content)
		case http.MethodPost:
			w.Header().Set("Location", "/v2/c/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			buf := make([]byte, 128<<10)
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{req.Body}, buf)
			w.WriteHeader(http.StatusCreated)
		}
	}))
	b.Cleanup(server.Close)
	return server
}

// known has it known of a host whether it compares what it is sent with its digest.
func known(b testing.TB, r *Repository, compares bool) {
	b.Helper()
	if got := r.verdicts.of(b.Context(), r.seen(), func(context.Context) bool { return compares }); got != compares {
		b.Fatalf("something else is known of %s already", r.location.base())
	}
}

func place(b testing.TB, server *httptest.Server, path string) *Repository {
	b.Helper()
	host := strings.TrimPrefix(server.URL, "http://")
	r, err := NewClient(Options{Home: host}).Repository(Location{Host: host, Path: path, PlainHTTP: true})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// account returns what reports the CPU time for each GiB, servers included: unlike the throughput it says something on a
// machine that has other things to do.
func account(b *testing.B, size int) func() {
	b.Helper()
	before := used(b)
	return func() {
		b.ReportMetric((used(b)-before)/float64(b.N)/float64(size)*(1<<30), "cpu-s/GiB")
	}
}

// used returns how many seconds of CPU time the process has taken.
func used(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkCopyBlob copies between two servers that do as little as possible, beside a plain copy of the same bytes.
func BenchmarkCopyBlob(b *testing.B) {
	for _, size := range []int{1 << 10, 5 << 20, 64 << 20} {
		content := some(size)
		desc := ocispec.Descriptor{Digest: digest.FromBytes(content), Size: int64(size)}
		source, target := plain(b, content), plain(b, nil)
		for name, compares := range map[string]bool{"ours, hashed": false, "ours, left to the target": true} {
			b.Run(fmt.Sprintf("%dKiB/%s", size>>10, name), func(b *testing.B) {
				from, to := place(b, source, "a"), place(b, target, "c")
				known(b, to, compares)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				defer account(b, size)()
				for b.Loop() {
					if got, err := CopyBlob(b.Context(), from, to, desc, CopyOptions{}); got != Copied || err != nil {
						b.Fatal(got, err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("%dKiB/plain", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			defer account(b, size)()
			for b.Loop() {
				if err := plainCopy(b.Context(), source.URL, target.URL); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCopyBlobMemory holds a piece of the content at a time. It is not parallel: it counts what the process allocates.
func TestCopyBlobMemory(t *testing.T) {
	const size = 48 << 20
	content := some(size)
	desc := ocispec.Descriptor{Digest: digest.FromBytes(content), Size: size}
	from, to := place(t, plain(t, content), "a"), place(t, plain(t, nil), "c")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := CopyBlob(t.Context(), from, to, desc, CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > size/16 {
		t.Errorf("a copy of %d bytes allocated %d", size, took)
	}
}

// plainCopy is the least that a copy takes.
func plainCopy(ctx context.Context, from, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return err
	}
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if req, err = http.NewRequestWithContext(ctx, http.MethodPut, to, got.Body); err != nil {
		return err
	}
	req.ContentLength = got.ContentLength
	put, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return put.Body.Close()
}
