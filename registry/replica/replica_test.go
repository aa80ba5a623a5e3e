package replica_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/replica"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestMissIsFetchedAndStays pulls from a replica that has nothing, and again when nobody leads.
func TestMissIsFetchedAndStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	a := put(t, w.nodes[0].store, noise("a", 3<<20), "v1")
	follower := w.nodes[1]

	got := w.ask(follower, reader, http.MethodGet, manifestPath(a.digest().String()), nil)
	w.wants(got, http.StatusOK, a.manifest)
	if got.header.Get("Content-Type") != ocispec.MediaTypeImageManifest || got.header.Get("Docker-Content-Digest") != a.digest().String() {
		t.Errorf("headers are %v", got.header)
	}
	got = w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil)
	w.wants(got, http.StatusOK, a.layer)
	if got.header.Get("Ocm-Registry-Leader") != "" {
		t.Error("what replicas tell each other got out")
	}
	if !stored(t, follower.store, a.layer) {
		t.Fatal("the blob was not stored")
	}
	w.wants(w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil, "Range", "bytes=10-19"), http.StatusPartialContent, a.layer[10:20])

	w.nodes[0].stop()
	w.wants(w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil), http.StatusOK, a.layer)
	w.wants(w.ask(follower, reader, http.MethodHead, blobPath(a.layer), nil), http.StatusOK, nil)
}

// TestNothingIsCalledMissingWithoutTheLeader has a replica that lacks everything, and nobody to ask, or somebody who knows
// nothing.
func TestNothingIsCalledMissingWithoutTheLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	follower, gone := w.nodes[1], w.nodes[0].server.Address()
	stranger := w.impostor(func(rw http.ResponseWriter, r *http.Request) { http.NotFound(rw, r) })
	w.nodes[0].stop()
	for name, leader := range map[string]string{"nobody leads": "", "the leader is gone": gone, "somebody else listens there": stranger.Address()} {
		w.lead(leader)
		for _, request := range []string{
			"GET " + blobPath([]byte("x")), "HEAD " + blobPath([]byte("x")), "GET " + manifestPath(digest.FromString("x").String()),
			"HEAD " + manifestPath(digest.FromString("x").String()), "GET " + manifestPath("v1"), "GET /v2/" + repository + "/tags/list",
			"GET /v2/" + repository + "/referrers/" + digest.FromString("x").String(), "DELETE " + manifestPath("v1"),
			"POST /v2/" + repository + "/blobs/uploads/", "PATCH /v2/" + repository + "/blobs/uploads/x", "PUT " + manifestPath("v1"),
		} {
			method, path, _ := strings.Cut(request, " ")
			got := w.ask(follower, writer, method, path, nil)
			if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
				t.Errorf("%s: %s answers %d (Retry-After %q), want 503", name, request, got.status, got.header.Get("Retry-After"))
			}
		}
		if got := w.ask(follower, reader, http.MethodGet, "/v2/", nil); got.status != http.StatusOK {
			t.Errorf("%s: the begin of the API answers %d", name, got.status)
		}
	}
}

// TestMissingAtTheLeader is a client's mistake.
func TestMissingAtTheLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	for path, code := range map[string]string{
		blobPath([]byte("x")): "BLOB_UNKNOWN", manifestPath(digest.FromString("x").String()): "MANIFEST_UNKNOWN", manifestPath("v1"): "MANIFEST_UNKNOWN",
	} {
		got := w.ask(w.nodes[1], reader, http.MethodGet, path, nil)
		if got.status != http.StatusNotFound || !bytes.Contains(got.body, []byte(code)) {
			t.Errorf("%s answers %d: %s", path, got.status, got.body)
		}
	}
}

// TestWrongBytes come from a leader whose disk, or whose operator, can't be trusted.
func TestWrongBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	leader := w.impostor(func(rw http.ResponseWriter, _ *http.Request) {
		marked(rw).Set("Content-Type", ocispec.MediaTypeImageManifest)
		_, _ = rw.Write([]byte("other"))
	})
	w.lead(leader.Address())
	follower := w.nodes[0]
	for _, path := range []string{blobPath([]byte("right")), manifestPath(digest.FromString("right").String())} {
		w.wants(w.ask(follower, reader, http.MethodGet, path, nil), http.StatusServiceUnavailable, nil)
	}
	if stored(t, follower.store, []byte("other")) || stored(t, follower.store, []byte("right")) {
		t.Error("wrong bytes were stored")
	}
	if _, err := follower.replica.Mirror(t.Context(), repository, digest.FromString("right"), nil); err == nil {
		t.Error("wrong bytes were mirrored")
	}
}

// TestLeaderEndsInTheMiddle lets the first answer break off. The second one comes from the next leader.
func TestLeaderEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	a := put(t, w.nodes[0].store, noise("b", 1<<20))
	next := w.nodes[0].server.Address()
	var broken atomic.Int64
	dying := w.impostor(func(rw http.ResponseWriter, _ *http.Request) {
		marked(rw).Set("Content-Length", strconv.Itoa(len(a.layer)))
		_, _ = rw.Write(a.layer[:len(a.layer)/2])
		broken.Add(1)
		w.lead(next)
		panic(http.ErrAbortHandler)
	})
	w.lead(dying.Address())
	w.wants(w.ask(w.nodes[1], reader, http.MethodGet, blobPath(a.layer), nil), http.StatusOK, a.layer)
	if broken.Load() != 1 {
		t.Errorf("%d answers broke off, want 1", broken.Load())
	}
}

// TestFollowerBecomesLeader in the middle of a fetch: then it has nobody to ask, and its own word counts.
func TestFollowerBecomesLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	self := w.nodes[0].server.Address()
	dying := w.impostor(func(http.ResponseWriter, *http.Request) {
		w.lead(self)
		panic(http.ErrAbortHandler)
	})
	w.lead(dying.Address())
	got := w.ask(w.nodes[0], reader, http.MethodGet, blobPath([]byte("x")), nil)
	w.wants(got, http.StatusNotFound, nil)
}

// TestSilentLeader takes requests and says nothing more, as one that hangs does.
func TestSilentLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(_ int, o *replica.Options, _ *store.Options) { o.Silence = 50 * time.Millisecond })
	release := make(chan struct{})
	silent := w.impostor(func(rw http.ResponseWriter, _ *http.Request) {
		marked(rw).Set("Content-Length", "5")
		_, _ = rw.Write([]byte("ri"))
		_ = http.NewResponseController(rw).Flush()
		<-release
	})
	defer close(release)
	w.lead(silent.Address())
	w.wants(w.ask(w.nodes[0], reader, http.MethodGet, blobPath([]byte("right")), nil), http.StatusServiceUnavailable, nil)
}

// TestManifestsDoNotWaitForBlobs: blobs that take long leave room for manifests, and one that is stuck itself is told of soon.
func TestManifestsDoNotWaitForBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(_ int, o *replica.Options, _ *store.Options) { o.Fetches, o.Wait = 1, time.Minute })
	manifest, began, release := []byte("{}"), make(chan struct{}), make(chan struct{})
	leader := w.impostor(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			close(began)
			<-release
		}
		marked(rw).Set("Content-Type", ocispec.MediaTypeImageManifest)
		_, _ = rw.Write(manifest)
	})
	w.lead(leader.Address())
	var group errgroup.Group
	group.Go(func() error {
		response, err := w.request(w.nodes[0], reader, http.MethodGet, blobPath(manifest), nil)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	<-began
	w.wants(w.ask(w.nodes[0], reader, http.MethodGet, manifestPath(digest.FromBytes(manifest).String()), nil), http.StatusOK, manifest)
	close(release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// TestManifestsWaitNotForever when as many as there may be don't come to an end.
func TestManifestsWaitNotForever(t *testing.T) {
	t.Parallel()
	const most = 16
	w := newWorld(t, 1, func(_ int, o *replica.Options, _ *store.Options) { o.Wait = time.Millisecond })
	var asked atomic.Int64
	full, release := make(chan struct{}), make(chan struct{})
	leader := w.impostor(func(rw http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == most {
			close(full)
		}
		<-release
		marked(rw)
		rw.WriteHeader(http.StatusNotFound)
	})
	w.lead(leader.Address())
	var group errgroup.Group
	for i := range most {
		group.Go(func() error {
			// As many as can be wait for the leader, however long one may wait for that.
			for ended := false; !ended; {
				response, err := w.request(w.nodes[0], reader, http.MethodGet, manifestPath(digest.FromString(strconv.Itoa(i)).String()), nil)
				if err != nil {
					return err
				}
				ended = response.StatusCode == http.StatusNotFound
				if err := response.Body.Close(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	<-full
	got := w.ask(w.nodes[0], reader, http.MethodGet, manifestPath(digest.FromString("one more").String()), nil)
	w.wants(got, http.StatusServiceUnavailable, nil)
	close(release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// TestOneTransferForAll has many clients that want the same at once.
func TestOneTransferForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	content, release := noise("c", 1<<20), make(chan struct{})
	var asked atomic.Int64
	leader := w.impostor(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-release
		marked(rw)
		_, _ = rw.Write(content)
	})
	w.lead(leader.Address())
	var group errgroup.Group
	const clients = 16
	for range clients {
		group.Go(func() error {
			response, err := w.request(w.nodes[0], reader, http.MethodGet, blobPath(content), nil)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if got, err := digest.FromReader(response.Body); err != nil || got != digest.FromBytes(content) {
				return fmt.Errorf("status %d, %s: %w", response.StatusCode, got, err)
			}
			return nil
		})
	}
	// All are inside before the leader answers, or come when it is stored: both must not ask again.
	for w.nodes[0].asked.Load() < clients {
		runtime.Gosched()
	}
	close(release)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 1 {
		t.Errorf("the leader was asked %d times, want once", asked.Load())
	}
}

// TestAuthorizationIsNotWidened: a client gets nothing from a replica that it would not get from the leader, and makes it
// fetch nothing.
func TestAuthorizationIsNotWidened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	a := put(t, w.nodes[0].store, []byte("secret"), "v1")
	leader, follower := w.nodes[0], w.nodes[1]
	stranger := auth.Scope{Prefix: "team-b/"}
	for _, path := range []string{blobPath(a.layer), manifestPath(a.digest().String()), manifestPath("v1"), "/v2/" + repository + "/tags/list", "/v2/_catalog"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w.wants(w.ask(follower, stranger, method, path, nil), http.StatusForbidden, nil)
		}
	}
	w.wants(w.ask(follower, reader, http.MethodPut, manifestPath("v1"), a.manifest, "Content-Type", ocispec.MediaTypeImageManifest), http.StatusForbidden, nil)
	if leader.asked.Load() != 0 || stored(t, follower.store, a.layer) {
		t.Errorf("the leader was asked %d times for those who may not", leader.asked.Load())
	}
	// The blob of one repository is not that of another, though it is the same.
	w.wants(w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil), http.StatusOK, a.layer)
	other := strings.Replace(blobPath(a.layer), "team-a", "team-b", 1)
	w.wants(w.ask(follower, stranger, http.MethodGet, other, nil), http.StatusNotFound, nil)
}

// TestNoCircles has two replicas that take each other for the leader.
func TestNoCircles(t *testing.T) {
	t.Parallel()
	addresses := [2]atomic.Pointer[string]{}
	w := newWorld(t, 2, func(i int, o *replica.Options, _ *store.Options) {
		o.Leader = func() replica.Leader { return replica.Leader{Address: *addresses[1-i].Load()} }
	})
	for i := range addresses {
		address := w.nodes[i].server.Address()
		addresses[i].Store(&address)
	}
	for _, path := range []string{blobPath([]byte("x")), manifestPath("v1")} {
		w.wants(w.ask(w.nodes[0], reader, http.MethodGet, path, nil), http.StatusServiceUnavailable, nil)
	}
	if w.nodes[1].asked.Load() > 6 {
		t.Errorf("the other one was asked %d times", w.nodes[1].asked.Load())
	}
}

// TestPushThroughAnyReplica sends every request of a push to another replica.
func TestPushThroughAnyReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	turn := 0
	ask := func(status int, method, path string, body []byte, header ...string) answer {
		t.Helper()
		turn++
		got := w.ask(w.nodes[turn%len(w.nodes)], writer, method, path, body, header...)
		w.wants(got, status, nil)
		if again := got.header.Values("Docker-Distribution-Api-Version"); len(again) != 1 {
			t.Errorf("%s %s has headers twice: %v", method, path, got.header)
		}
		return got
	}
	layer, config := noise("d", 300<<10), []byte("{}")
	for _, content := range [][]byte{layer, config} {
		ask(http.StatusNotFound, http.MethodHead, blobPath(content), nil)
		begun := ask(http.StatusAccepted, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", nil)
		half := len(content) / 2
		next := ask(http.StatusAccepted, http.MethodPatch, begun.header.Get("Location"), content[:half], "Content-Range", fmt.Sprintf("0-%d", half-1))
		ask(http.StatusNoContent, http.MethodGet, next.header.Get("Location"), nil)
		ask(http.StatusCreated, http.MethodPut, next.header.Get("Location")+"?digest="+digest.FromBytes(content).String(), content[half:])
		ask(http.StatusOK, http.MethodHead, blobPath(content), nil)
	}
	a := put(t, w.nodes[0].store, layer)
	for range w.nodes {
		ask(http.StatusCreated, http.MethodPut, manifestPath("v2"), a.manifest, "Content-Type", ocispec.MediaTypeImageManifest)
		w.wants(ask(http.StatusOK, http.MethodGet, manifestPath("v2"), nil), http.StatusOK, a.manifest)
		if tags := ask(http.StatusOK, http.MethodGet, "/v2/"+repository+"/tags/list", nil); !bytes.Contains(tags.body, []byte("v2")) {
			t.Errorf("tags are %s", tags.body)
		}
		mount := strings.Replace(repository, "app", "other", 1)
		ask(http.StatusCreated, http.MethodPost, "/v2/"+mount+"/blobs/uploads/?mount="+digest.FromBytes(layer).String()+"&from="+repository, nil)
		ask(http.StatusOK, http.MethodGet, "/v2/"+repository+"/referrers/"+a.digest().String(), nil)
	}
	for range w.nodes {
		w.wants(ask(http.StatusOK, http.MethodGet, blobPath(layer), nil), http.StatusOK, layer)
	}
	ask(http.StatusAccepted, http.MethodDelete, manifestPath("v2"), nil)
	for range w.nodes {
		ask(http.StatusNotFound, http.MethodGet, manifestPath("v2"), nil)
	}
}

// TestWhoPushesIsToldOfTheLeader: content of this replica alone has to be pushed.
func TestWhoPushesIsToldOfTheLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	a := put(t, w.nodes[1].store, []byte("left over"))
	for _, path := range []string{blobPath(a.layer), manifestPath(a.digest().String())} {
		w.wants(w.ask(w.nodes[1], writer, http.MethodHead, path, nil), http.StatusNotFound, nil)
		w.wants(w.ask(w.nodes[1], reader, http.MethodHead, path, nil), http.StatusOK, nil)
	}
}

// TestNoRoomHere has a replica that can keep nothing. It serves as the others do.
func TestNoRoomHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(i int, _ *replica.Options, s *store.Options) {
		if i == 1 {
			s.MaxStagedBytes = 1000
		}
	})
	a := put(t, w.nodes[0].store, noise("e", 1<<20))
	follower := w.nodes[1]
	got := w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil)
	w.wants(got, http.StatusOK, a.layer)
	if stored(t, follower.store, a.layer) {
		t.Fatal("the blob was stored, and this test shows nothing")
	}
	w.wants(w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil, "Range", "bytes=5-9"), http.StatusPartialContent, a.layer[5:10])
	w.wants(w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil, "If-None-Match", got.header.Get("Etag")), http.StatusNotModified, nil)

	liar := w.impostor(func(rw http.ResponseWriter, _ *http.Request) {
		marked(rw)
		_, _ = rw.Write(noise("f", 1<<20))
	})
	w.lead(liar.Address())
	response, err := w.request(follower, reader, http.MethodGet, blobPath(a.layer), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Errorf("%d wrong bytes look like all of a blob", n)
	}
}

// TestHugeBlobsStream checks that a replica holds no blob in memory, whichever way it goes.
func TestHugeBlobsStream(t *testing.T) {
	const size = 64 << 20
	w := newWorld(t, 3, func(i int, _ *replica.Options, s *store.Options) {
		if i == 2 {
			s.MaxStagedBytes = 1000
		}
	})
	layer := bytes.Repeat(noise("g", 1<<20), size>>20)
	want, path := digest.FromBytes(layer), blobPath(layer)
	put(t, w.nodes[0].store, layer)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, n := range w.nodes[1:] {
		response, err := w.request(n, reader, http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := digest.FromReader(response.Body); err != nil || got != want {
			t.Fatalf("status %d, %s: %v", response.StatusCode, got, err)
		}
		response.Body.Close()
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown >= size {
		t.Errorf("transfers of %d MiB allocated %d MiB", 2*size>>20, grown>>20)
	}
}

// TestWhoIsTrustedIsAskedEachTime: certificates are replaced while replicas run.
func TestWhoIsTrustedIsAskedEachTime(t *testing.T) {
	t.Parallel()
	var stranger atomic.Bool
	w := newWorld(t, 2, func(_ int, o *replica.Options, _ *store.Options) {
		trust := o.TLS
		o.TLS = func() (*tls.Config, error) {
			config, err := trust()
			if stranger.Load() {
				config.RootCAs = x509.NewCertPool()
			}
			return config, err
		}
	})
	a := put(t, w.nodes[0].store, []byte("content"))
	stranger.Store(true)
	w.wants(w.ask(w.nodes[1], reader, http.MethodGet, blobPath(a.layer), nil), http.StatusServiceUnavailable, nil)
	stranger.Store(false)
	w.wants(w.ask(w.nodes[1], reader, http.MethodGet, blobPath(a.layer), nil), http.StatusOK, a.layer)
}

// TestNewNeedsEverything fails at set-up, and not at the first request.
func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := replica.New(replica.Options{}); err == nil {
		t.Error("a replica without a store was made")
	}
}

// TestLeaderAsksForTheBody: what the leader tells before its answer changes nothing of that.
func TestLeaderAsksForTheBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	content := noise("asked for", 100_000)
	path := "/v2/" + repository + "/blobs/uploads/?digest=" + digest.FromBytes(content).String()
	for _, expect := range []string{"100-continue", ""} {
		got := w.ask(w.nodes[1], writer, http.MethodPost, path, content, "Expect", expect)
		w.wants(got, http.StatusCreated, nil)
		for name, want := range map[string]string{"Docker-Distribution-Api-Version": "registry/2.0", "X-Content-Type-Options": "nosniff", "Ocm-Registry-Leader": ""} {
			if values := got.header.Values(name); strings.Join(values, ",") != want {
				t.Errorf("expect %q: %s is %q, want %q", expect, name, values, want)
			}
		}
	}
}
