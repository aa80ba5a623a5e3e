package ocm_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// pattern is content of any size that takes no memory.
type pattern struct{ left int64 }

// Read implements io.Reader.
func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.left))
	for filled := copy(b[:n], page); filled < n; {
		filled += copy(b[filled:n], page)
	}
	p.left -= int64(n)
	return n, nil
}

var page = bytes.Repeat([]byte("0123456789abcdef"), 4096)

// patterns are ocm.BlobSource of one blob.
type patterns struct{ size int64 }

// OpenBlob implements ocm.BlobSource.
func (p patterns) OpenBlob(context.Context, digest.Digest) (io.ReadCloser, int64, error) {
	return io.NopCloser(&pattern{left: p.size}), p.size, nil
}

// largeBlob puts a component version with one local blob into a repository.
func largeBlob(tb testing.TB, repo *ocm.Repository, size int64) (*ocm.ComponentVersion, *descriptor.Resource) {
	tb.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, &pattern{left: size}); err != nil {
		tb.Fatal(err)
	}
	content := digest.NewDigest(digest.SHA256, h)
	a, err := access.NewLocalBlob(content, "application/octet-stream")
	if err != nil {
		tb.Fatal(err)
	}
	d, _, err := ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "large", Access: &a, Digest: descriptor.NewBlobDigest(content)}}}.Build()
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := repo.Put(tb.Context(), d, patterns{size}, ocm.PutOptions{Overwrite: true}); err != nil {
		tb.Fatal(err)
	}
	cv, err := repo.Get(tb.Context(), shop, "1.0.0")
	if err != nil {
		tb.Fatal(err)
	}
	return cv, &cv.Descriptor().Component.Resources[0]
}

func archiveFor(tb testing.TB) (repo *ocm.Repository, folder string) {
	tb.Helper()
	folder = filepath.Join(tb.TempDir(), "archive")
	repo, err := ocm.CreateCTF(folder, ocm.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = repo.Close() })
	return repo, folder
}

// stream lets a registry have a blob that takes no memory, and has no end to
// how often it can be read.
func stream(server *ocmtest.Server, size int64, d digest.Digest) {
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, d.String()) {
			return false
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		if req.Method == http.MethodGet {
			_, _ = io.CopyBuffer(struct{ io.Writer }{w}, &pattern{left: size}, make([]byte, 256<<10))
		}
		return true
	})
}

// BenchmarkCheck checks a local blob of 256 MiB, out of an archive and out of a
// registry on this machine, whose own work counts as well. It reports the speed
// as a ratio to hashing the same bytes by plain means, of the file or the answer
// to a request.
func BenchmarkCheck(b *testing.B) {
	const size = 256 << 20
	archive, folder := archiveFor(b)
	cv, res := largeBlob(b, archive, size)
	file := filepath.Join(folder, "blobs", "sha256."+res.Digest.Value)
	server := ocmtest.Start(b)
	d := digest.NewDigestFromEncoded(digest.SHA256, res.Digest.Value)
	stream(server, size, d)
	served, again := largeBlob(b, open(b, server.URL, ocm.Options{}), size)
	buffer := make([]byte, 1<<20)
	hash := func(r io.ReadCloser, err error) error {
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.CopyBuffer(sha256.New(), struct{ io.Reader }{r}, buffer)
		return err
	}
	for _, tc := range []struct {
		name         string
		plain, check func() error
	}{
		{"archive", func() error { return hash(os.Open(file)) }, func() error { return cv.Check(b.Context(), res) }},
		{"registry", func() error { return hash(get(b, server.URL+"/v2/"+d.String())) }, func() error { return served.Check(b.Context(), again) }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			var ratios []float64
			for b.Loop() {
				// In turns, so that both find the machine as busy.
				plain := timed(b, tc.plain)
				ratios = append(ratios, float64(plain)/float64(timed(b, tc.check)))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x/sha256")
		})
	}
}

func get(tb testing.TB, url string) (io.ReadCloser, error) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func timed(tb testing.TB, run func() error) time.Duration {
	tb.Helper()
	start := time.Now()
	if err := run(); err != nil {
		tb.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkCheckMemory reports how far the heap grows while a blob is checked,
// which doesn't depend on its size.
func BenchmarkCheckMemory(b *testing.B) {
	for _, size := range []int64{16 << 20, 1 << 30} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			server := ocmtest.Start(b)
			h := sha256.New()
			if _, err := io.Copy(h, &pattern{left: size}); err != nil {
				b.Fatal(err)
			}
			stream(server, size, digest.NewDigest(digest.SHA256, h))
			cv, res := largeBlob(b, open(b, server.URL, ocm.Options{}), size)
			for b.Loop() {
				b.ReportMetric(peak(b, func() error { return cv.Check(b.Context(), res) }), "MiB-live")
			}
		})
	}
}

// peak returns by how many MiB the heap grew at most.
func peak(tb testing.TB, run func() error) float64 {
	tb.Helper()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	measure := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before, highest := measure(), uint64(0)
	done := make(chan error, 1)
	go func() { done <- run() }()
	for ticks := time.NewTicker(time.Millisecond); ; {
		select {
		case err := <-done:
			if err != nil {
				tb.Fatal(err)
			}
			ticks.Stop()
			return float64(highest-min(before, highest)) / (1 << 20)
		case <-ticks.C:
			highest = max(highest, measure())
		}
	}
}

// TestCheckAllocates nothing that grows with the size of the content.
func TestCheckAllocates(t *testing.T) {
	const size = 64 << 20
	archive, _ := archiveFor(t)
	server := ocmtest.Start(t)
	cv, res := largeBlob(t, archive, size)
	stream(server, size, digest.NewDigestFromEncoded(digest.SHA256, res.Digest.Value))
	served, again := largeBlob(t, open(t, server.URL, ocm.Options{}), size)
	for name, check := range map[string]func() error{
		"archive":  func() error { return cv.Check(t.Context(), res) },
		"registry": func() error { return served.Check(t.Context(), again) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := check(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > size/8 {
			t.Errorf("%s: %d bytes were allocated for a content of %d", name, got, size)
		}
	}
}
