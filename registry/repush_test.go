package registry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// collected is a registry whose leases end when the test says so, and whose content is collected when it says so.
type collected struct {
	*client
	store *store.Store
	now   atomic.Int64

	mu    sync.Mutex
	roots []store.Root
}

func newCollected(t *testing.T) *collected {
	t.Helper()
	c := &collected{}
	c.now.Store(time.Now().Unix())
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true, LeaseTTL: time.Hour, Now: func() time.Time { return time.Unix(c.now.Load(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	h := registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll()})
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c.client, c.store = &client{t: t, handler: h}, s
	return c
}

// Roots implements store.Roots: repositories below managed/ keep what the test says, and others what tags name.
func (c *collected) Roots(context.Context) (store.RootSet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return store.RootSet{Complete: true, Manifests: append([]store.Root(nil), c.roots...), Managed: func(name string) bool { return strings.HasPrefix(name, "managed/") }}, nil
}

// expire ends every lease.
func (c *collected) expire() { c.now.Add(2 * 3600) }

func (c *collected) collect() store.CollectStats {
	c.t.Helper()
	stats, err := c.store.Collect(context.Background(), c)
	if err != nil {
		c.t.Error(err)
	}
	return stats
}

// gone ends the leases and collects, and then no blob may be left but those named.
func (c *collected) gone(left int64) {
	c.t.Helper()
	c.expire()
	c.collect()
	if got := c.store.Stats().Blobs; got != left {
		c.t.Errorf("%d blobs are left, want %d", got, left)
	}
}

// skip pushes a blob as clients do: not at all when the registry says that it has it.
func (c *collected) skip(name, content string) bool {
	c.t.Helper()
	if c.do("HEAD", "/v2/"+name+"/blobs/"+digest.FromString(content).String(), nil).StatusCode == http.StatusOK {
		return true
	}
	c.blob(name, content)
	return false
}

// deliver pushes an image as clients do, and returns its digest.
func (c *collected) deliver(name, tag, layer string) digest.Digest {
	c.t.Helper()
	c.skip(name, "{}")
	c.skip(name, layer)
	body := c.of("{}", layer)
	c.expect(201, "", "PUT", "/v2/"+name+"/manifests/"+tag, body, "Content-Type", imageType)
	return digest.FromBytes(body)
}

func (c *collected) of(config string, layers ...string) []byte {
	c.t.Helper()
	describe := func(s string) ocispec.Descriptor {
		return ocispec.Descriptor{Digest: digest.FromString(s), Size: int64(len(s))}
	}
	var all []ocispec.Descriptor
	for _, layer := range layers {
		all = append(all, describe(layer))
	}
	return manifest(c.t, nil, describe(config), all...)
}

// pulls reads an image by tag or digest, with every byte of it.
func (c *collected) pulls(name, ref, layer string) {
	c.t.Helper()
	if got := text(c.t, c.expect(200, "", "GET", "/v2/"+name+"/manifests/"+ref, nil)); got != string(c.of("{}", layer)) {
		c.t.Errorf("the manifest is %q", got)
	}
	for _, content := range []string{"{}", layer} {
		if got := text(c.t, c.expect(200, "", "GET", "/v2/"+name+"/blobs/"+digest.FromString(content).String(), nil)); got != content {
			c.t.Errorf("the blob is %q, want %q", got, content)
		}
	}
}

func (c *collected) keep(name string, d digest.Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.roots = append(c.roots, store.Root{Repository: name, Digest: d})
}

// TestPushAfterCollection goes through what leaves other registries with manifests whose blobs are empty or missing: they
// answer HEAD from a memory that the collection does not reach, so clients skip what is gone.
func TestPushAfterCollection(t *testing.T) {
	t.Parallel()
	const layer = "layer"
	d := digest.FromString(layer)
	for name, c := range map[string]struct {
		reason string
		run    func(c *collected)
	}{
		"delete, collect, push again": {"the layer is asked for, is not there, and comes anew", func(c *collected) {
			for range 3 {
				image := c.deliver("a", "v1", layer)
				c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
				c.gone(0)
				if c.skip("a", layer) {
					c.t.Error("what was collected is said to be here")
				}
				c.deliver("a", "v1", layer)
				c.pulls("a", "v1", layer)
			}
		}},
		"read before it is collected": {"an answer from before says nothing about after", func(c *collected) {
			image := c.deliver("a", "v1", layer)
			c.pulls("a", "v1", layer)
			c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
			c.gone(0)
			c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/a/blobs/"+d.String(), nil)
			c.expect(404, "BLOB_UNKNOWN", "HEAD", "/v2/a/blobs/"+d.String(), nil)
			c.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/a/manifests/v1", c.of("{}", layer), "Content-Type", imageType)
			c.deliver("a", "v1", layer)
			c.pulls("a", "v1", layer)
		}},
		"asked for before it is collected": {"who is told that it is here may rely on it", func(c *collected) {
			image := c.deliver("a", "v1", layer)
			c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
			c.now.Add(3599)
			if !c.skip("a", layer) || !c.skip("a", "{}") {
				c.t.Error("it is not here")
			}
			c.now.Add(3599)
			c.collect()
			c.expect(201, "", "PUT", "/v2/a/manifests/v1", c.of("{}", layer), "Content-Type", imageType)
			c.gone(2)
			c.pulls("a", "v1", layer)
		}},
		"mount what is collected": {"an upload begins instead", func(c *collected) {
			image := c.deliver("a", "v1", layer)
			c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
			c.gone(0)
			at := c.expect(202, "", "POST", "/v2/b/blobs/uploads/?from=a&mount="+d.String(), nil).Header.Get("Location")
			c.expect(201, "", "PUT", at+"?digest="+d.String(), []byte(layer))
			c.deliver("b", "v1", layer)
			c.pulls("b", "v1", layer)
		}},
		"mounted, then its source is collected": {"the link is its own", func(c *collected) {
			image := c.deliver("a", "v1", layer)
			c.expect(201, "", "POST", "/v2/b/blobs/uploads/?from=a&mount="+d.String(), nil)
			c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
			c.now.Add(1800)
			c.collect()
			c.deliver("b", "v1", layer)
			c.gone(2)
			c.pulls("b", "v1", layer)
		}},
		"collect between blob and manifest": {"a push in progress keeps what it has sent", func(c *collected) {
			c.skip("a", "{}")
			c.skip("a", layer)
			c.collect()
			c.expect(201, "", "PUT", "/v2/a/manifests/v1", c.of("{}", layer), "Content-Type", imageType)
			c.gone(2)
			c.pulls("a", "v1", layer)
		}},
		"a push that takes too long": {"the manifest is refused, and not served without its blobs", func(c *collected) {
			c.skip("a", layer)
			c.gone(0)
			c.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/a/manifests/v1", c.of("{}", layer), "Content-Type", imageType)
			c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/v1", nil)
		}},
		"a tag moved and back": {"what the tag named before is collected, and comes anew", func(c *collected) {
			c.deliver("a", "v1", "one")
			c.deliver("a", "v1", "two")
			c.gone(2)
			c.pulls("a", "v1", "two")
			c.deliver("a", "v1", "one")
			c.gone(2)
			c.pulls("a", "v1", "one")
		}},
		"an index whose child is collected": {"a child that is gone makes the index refused, until it comes again", func(c *collected) {
			c.deliver("a", "child", layer)
			body := c.of("{}", layer)
			index := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, imageType, digest.FromBytes(body), len(body))
			c.expect(202, "", "DELETE", "/v2/a/manifests/child", nil)
			c.gone(0)
			c.expect(400, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/a/manifests/all", index, "Content-Type", ocispec.MediaTypeImageIndex)
			c.deliver("a", digest.FromBytes(body).String(), layer)
			c.expect(201, "", "PUT", "/v2/a/manifests/all", index, "Content-Type", ocispec.MediaTypeImageIndex)
			c.gone(2)
			c.pulls("a", digest.FromBytes(body).String(), layer)
		}},
		"two repositories share": {"what one deletes the other keeps", func(c *collected) {
			image := c.deliver("a", "v1", layer)
			c.deliver("b", "v1", layer)
			c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
			c.gone(2)
			c.pulls("b", "v1", layer)
			if c.skip("a", layer) {
				c.t.Error("a repository has what it does not name any more")
			}
			c.deliver("a", "v1", layer)
			c.expect(202, "", "DELETE", "/v2/b/manifests/"+image.String(), nil)
			c.gone(2)
			c.pulls("a", "v1", layer)
		}},
		"a snapshot that comes back": {"what is no root any more goes, and what is one again is pushed again", func(c *collected) {
			for range 3 {
				image := c.deliver("managed/a", "latest", layer)
				c.keep("managed/a", image)
				c.gone(2)
				c.pulls("managed/a", image.String(), layer)
				c.roots = nil
				c.gone(0)
				c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/managed/a/manifests/latest", nil)
			}
		}},
		"blob deleted, pushed again": {"a deletion does not wait for a collection", func(c *collected) {
			c.blob("a", layer)
			c.expect(202, "", "DELETE", "/v2/a/blobs/"+d.String(), nil)
			c.deliver("a", "v1", layer)
			c.gone(2)
			c.pulls("a", "v1", layer)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCollected(t)
			c.run(w)
			if t.Failed() {
				t.Log(c.reason)
			}
		})
	}
}

// pausedBody sends a part of a body, and the rest when it is told to.
type pausedBody struct {
	io.Reader
	reached, goOn chan struct{}
	once          sync.Once
}

// Read implements io.Reader.
func (p *pausedBody) Read(b []byte) (int, error) {
	p.once.Do(func() { close(p.reached); <-p.goOn })
	return p.Reader.Read(b)
}

// TestCollectionDuringUpload collects, with all leases over, while a blob is on its way: one that nobody has, and one that is
// being collected just now.
func TestCollectionDuringUpload(t *testing.T) {
	t.Parallel()
	c := newCollected(t)
	image := c.deliver("a", "v1", "layer")
	c.expect(202, "", "DELETE", "/v2/a/manifests/"+image.String(), nil)
	body := &pausedBody{Reader: strings.NewReader("layer"), reached: make(chan struct{}), goOn: make(chan struct{})}
	answered := make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v2/a/blobs/uploads/?digest="+digest.FromString("layer").String(), body))
		answered <- w.Code
	}()
	<-body.reached
	c.gone(0)
	close(body.goOn)
	if status := <-answered; status != http.StatusCreated {
		t.Fatalf("the upload ends with %d", status)
	}
	c.deliver("a", "v1", "layer")
	c.gone(2)
	c.pulls("a", "v1", "layer")
}

// TestPushesBesideCollections pushes, deletes and pulls the same few images from many sides, while leases end and collections
// run all the time. What a client is told is here has to be here.
func TestPushesBesideCollections(t *testing.T) {
	t.Parallel()
	c := newCollected(t)
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.collect()
			}
		}
	})
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			mine, shared := fmt.Sprintf("r%d", i), "shared layer"
			for range 40 {
				layer := shared
				if i%2 == 0 {
					layer = mine
				}
				image := c.deliver(mine, "v1", layer)
				c.pulls(mine, "v1", layer)
				c.expect(202, "", "DELETE", "/v2/"+mine+"/manifests/"+image.String(), nil)
				c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/"+mine+"/manifests/v1", nil)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	close(stop)
	collector.Wait()
	c.gone(0)
}
