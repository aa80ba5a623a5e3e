package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// received counts the blobs that a registry got, by repository and digest.
type received struct {
	mu     sync.Mutex
	blobs  map[string]int
	cancel func()
	// after is how many requests are let through before the transfer is cut off;
	// below zero it never is.
	after int
}

// fault counts uploads that come to their end, and cuts the transfer off.
func (r *received) fault(_ http.ResponseWriter, req *http.Request) bool {
	r.mu.Lock()
	r.after--
	if r.after == 0 {
		r.cancel()
	}
	r.mu.Unlock()
	d := req.URL.Query().Get("digest")
	if req.Method != http.MethodPut || d == "" {
		return false
	}
	// The registry is given the whole body, or nothing of it.
	body, err := io.ReadAll(req.Body)
	if err != nil || digest.FromBytes(body).String() != d {
		return true
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.blobs[strings.SplitN(req.URL.Path, "/blobs/", 2)[0]+"@"+d]++
	r.mu.Unlock()
	return false
}

// keep forgets the uploads that were cut off before the registry had kept what it got.
func (r *received) keep(t *testing.T, server *ocmtest.Server) {
	t.Helper()
	r.mu.Lock()
	sent := slices.Collect(maps.Keys(r.blobs))
	r.mu.Unlock()
	for _, name := range sent {
		repository, d, _ := strings.Cut(strings.TrimPrefix(name, "/v2/"), "@")
		if _, kept := ask(t, server, repository+"/blobs/"+d); !kept {
			r.mu.Lock()
			delete(r.blobs, name)
			r.mu.Unlock()
		}
	}
}

// TestResume cuts a transfer off at each of its requests to the target, and runs it
// again: it completes, and no blob that has arrived is sent once more.
func TestResume(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	root.Resources = append(root.Resources, p.image(t, "image", "images/web:1.0", "layer 1", "layer 2"))
	p.publish(t, leaf, root)
	want := texts(t, p.source, shop, "1.0.0")
	after := 1
	for resumes(t, p, after, want) {
		after++
	}
	if after < 20 {
		t.Errorf("a transfer has %d requests, which is too few for this test", after)
	}
}

// resumes cuts a transfer to a new registry off at one of its requests, and runs it
// again. It is false if the transfer has fewer requests.
func resumes(t *testing.T, p *pair, after int, want map[string]string) bool {
	t.Helper()
	server := ocmtest.Start(t)
	target := open(t, server.URL+"/there", p.options)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := &received{blobs: map[string]int{}, cancel: cancel, after: after}
	server.Inject(got.fault)
	newShelves(server)
	first, err := transfer.Run(ctx, p.source, target, shop, "1.0.0", transfer.Options{})
	if err == nil {
		return false
	}
	if !errors.Is(err, context.Canceled) || first == nil {
		t.Fatalf("cut off at request %d: %v", after, err)
	}
	got.mu.Lock()
	got.after = -1
	got.mu.Unlock()
	complete(t, server)
	got.keep(t, server)
	result := run(t, p.source, target, shop, "1.0.0", transfer.Options{})
	if result.Copied+result.Present != result.Blobs {
		t.Errorf("cut off at request %d, the second result is %+v", after, result)
	}
	for d, n := range got.blobs {
		if n > 1 {
			t.Errorf("cut off at request %d, blob %s was sent %d times", after, d, n)
		}
	}
	for k, v := range texts(t, target, shop, "1.0.0") {
		if want[k] != v {
			t.Errorf("cut off at request %d, %s is %s", after, k, v)
		}
	}
	return true
}

// complete wants all that tags lead to at a registry, whatever they are of.
func complete(t *testing.T, server *ocmtest.Server) {
	t.Helper()
	for _, repository := range []string{"there/component-descriptors/" + shop, "there/component-descriptors/" + base, "there/images/web"} {
		var tags struct {
			Tags []string `json:"tags"`
		}
		if body, ok := ask(t, server, repository+"/tags/list"); ok && json.Unmarshal(body, &tags) != nil {
			t.Fatalf("tags of %s: %s", repository, body)
		}
		for _, tag := range tags.Tags {
			whole(t, server, repository, tag)
		}
	}
	// What refers to another component version never comes first.
	if _, ok := ask(t, server, "there/component-descriptors/"+shop+"/manifests/1.0.0"); ok {
		if _, ok := ask(t, server, "there/component-descriptors/"+base+"/manifests/0.1.0"); !ok {
			t.Errorf("%s is tagged before %s", shop, base)
		}
		if _, ok := ask(t, server, "there/images/web/manifests/1.0"); !ok {
			t.Errorf("%s is tagged before its image", shop)
		}
	}
}

// whole wants all that a manifest lists.
func whole(t *testing.T, server *ocmtest.Server, repository, reference string) {
	t.Helper()
	body, ok := ask(t, server, repository+"/manifests/"+reference)
	if !ok {
		t.Errorf("%s lacks %s", repository, reference)
		return
	}
	var m struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	for _, part := range m.Manifests {
		whole(t, server, repository, part.Digest.String())
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, l := range m.Layers {
		if _, ok := ask(t, server, repository+"/blobs/"+l.Digest.String()); !ok {
			t.Errorf("%s:%s is tagged and lacks %s", repository, reference, l.Digest)
		}
	}
}

// ask reads something from a registry if it is there.
func ask(t *testing.T, server *ocmtest.Server, path string) ([]byte, bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v2/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body, resp.StatusCode == http.StatusOK
}

// TestReaderSeesAllOrNothing has a reader look at the target all the time while
// transfers are cut off and begun again. Whatever it finds tagged it can read
// completely.
func TestReaderSeesAllOrNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	root.Resources = append(root.Resources, p.image(t, "image", "images/web:1.0", "layer 1", "layer 2"))
	p.publish(t, leaf, root)
	stop := keepLooking(t, p.to)
	for after := 1; after < 60; after++ {
		ctx, cancel := context.WithCancel(t.Context())
		p.to.Inject(cutOff(after, cancel))
		_, err := transfer.Run(ctx, p.source, p.target, shop, "1.0.0", transfer.Options{})
		cancel()
		p.to.Heal()
		if err == nil {
			break
		}
	}
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	if stop() == 0 {
		t.Error("nobody looked")
	}
	complete(t, p.to)
}

// keepLooking wants all that tags lead to at a registry, again and again until it is
// stopped. It tells how often it has looked.
func keepLooking(t *testing.T, server *ocmtest.Server) (stop func() int) {
	t.Helper()
	done, looks := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { looks <- n }()
		for ; ; n++ {
			select {
			case <-done:
				return
			default:
				complete(t, server)
			}
		}
	}()
	return func() int {
		close(done)
		select {
		case n := <-looks:
			return n
		case <-time.After(time.Minute):
			t.Fatal("the reader does not end")
			return 0
		}
	}
}

// cutOff cancels at a request of a transfer.
func cutOff(after int, cancel func()) ocmtest.Fault {
	var requests atomic.Int64
	return func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.HasPrefix(req.UserAgent(), "ocm-operator") && requests.Add(1) == int64(after) {
			cancel()
		}
		return false
	}
}

// TestFaults goes on after faults that pass, and says on which side others are.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, root)
	p.to.Inject(ocmtest.FailWith(http.StatusServiceUnavailable, 2, "PUT uploads"))
	p.from.Inject(ocmtest.FailWith(http.StatusServiceUnavailable, 2, "GET blobs"))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	p.to.Heal()
	p.to.Inject(ocmtest.FailWith(http.StatusForbidden, -1, "PUT manifests"))
	other := open(t, p.to.URL+"/other", p.options)
	_, err := transfer.Run(t.Context(), p.source, other, shop, "1.0.0", transfer.Options{})
	if !errors.Is(err, ocm.ErrUnauthorized) {
		t.Errorf("Run = %v", err)
	}
}
