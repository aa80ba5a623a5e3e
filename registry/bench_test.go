package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// pusher talks to a running registry as a client does.
type pusher struct {
	w      *world
	client *http.Client
	header string
}

func newPusher(t testing.TB, w *world) *pusher {
	t.Helper()
	cred := w.credential(t, auth.Scope{Push: true})
	r, err := http.NewRequest(http.MethodGet, "http://x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(cred.Username, cred.Password)
	return &pusher{w: w, client: &http.Client{Transport: w.transport}, header: r.Header.Get("Authorization")}
}

func (p *pusher) do(status int, method, path, mediaType string, body io.Reader, size int64) error {
	r, err := http.NewRequest(method, p.w.url()+path, body)
	if err != nil {
		return err
	}
	r.ContentLength = size
	r.Header.Set("Authorization", p.header)
	r.Header.Set("Content-Type", mediaType)
	resp, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != status {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return nil
}

// push pushes one small artifact with the requests that a client needs, and returns its digest.
func (p *pusher) push(name string, content []byte) (digest.Digest, error) {
	config := []byte("{}")
	m := ocispec.Manifest{MediaType: imageType, Layers: []ocispec.Descriptor{}}
	m.SchemaVersion = 2
	for i, blob := range [][]byte{config, content} {
		d := ocispec.Descriptor{Digest: digest.FromBytes(blob), Size: int64(len(blob))}
		if err := p.do(201, "POST", "/v2/"+name+"/blobs/uploads/?digest="+d.Digest.String(), "", bytes.NewReader(blob), d.Size); err != nil {
			return "", err
		}
		if m.Config = d; i > 0 {
			m.Layers = append(m.Layers, d)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	return digest.FromBytes(body), p.do(201, "PUT", "/v2/"+name+"/manifests/v1", imageType, bytes.NewReader(body), int64(len(body)))
}

func durable(b *testing.B) *world {
	b.Helper()
	dir := os.Getenv("REGISTRY_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	} else {
		dir = filepath.Join(dir, strconv.Itoa(os.Getpid())+"-"+strings.ReplaceAll(b.Name(), "/", "-"))
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return startOver(b, s, false)
}

func BenchmarkSmall(b *testing.B) {
	b.Run("push", func(b *testing.B) {
		p := newPusher(b, durable(b))
		var n atomic.Int64
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				i := n.Add(1)
				if _, err := p.push(fmt.Sprintf("team/app-%d", i), noise(uint64(i), 4<<10)); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("pull", func(b *testing.B) {
		p := newPusher(b, durable(b))
		content := noise(1, 4<<10)
		d, err := p.push("team/app", content)
		if err != nil {
			b.Fatal(err)
		}
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				for _, path := range []string{"/manifests/" + d.String(), "/blobs/" + digest.FromBytes(content).String()} {
					if err := p.do(200, "GET", "/v2/team/app"+path, "", nil, 0); err != nil {
						b.Error(err)
					}
				}
			}
		})
	})
}

func BenchmarkLarge(b *testing.B) {
	const size = 64 << 20
	content := noise(1, size)
	b.Run("push", func(b *testing.B) {
		p := newPusher(b, durable(b))
		b.SetBytes(size)
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			content[i%size]++
			path := "/v2/team/app/blobs/uploads/?digest=" + digest.FromBytes(content).String()
			b.StartTimer()
			if err := p.do(201, "POST", path, "", bytes.NewReader(content), size); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pull", func(b *testing.B) {
		p := newPusher(b, durable(b))
		d := digest.FromBytes(content)
		if err := p.do(201, "POST", "/v2/team/app/blobs/uploads/?digest="+d.String(), "", bytes.NewReader(content), size); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
		for b.Loop() {
			if err := p.do(200, "GET", "/v2/team/app/blobs/"+d.String(), "", nil, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// zeros is content without memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

// TestMemory pushes and pulls blobs that are much larger than what the process may grow by.
func TestMemory(t *testing.T) {
	p := newPusher(t, start(t, false))
	const size = 64 << 20
	hash := digest.SHA256.Digester()
	if _, err := io.Copy(hash.Hash(), &zeros{size}); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			repository := fmt.Sprintf("/v2/team/app-%d/blobs/", i)
			if err := p.do(201, "POST", repository+"uploads/?digest="+hash.Digest().String(), "", &zeros{size}, size); err != nil {
				return err
			}
			return p.do(200, "GET", repository+hash.Digest().String(), "", nil, 0)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("transfers of %d MiB allocated %d MiB", 8*size>>20, grown>>20)
	}
}

var _ http.Handler = (*registry.Handler)(nil)
