package registry_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	orasremote "oras.land/oras-go/v2/registry/remote"
	orasauth "oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// world is a running registry and what its clients need.
type world struct {
	server    *registry.Server
	store     *store.Store
	metrics   *registry.Metrics
	issuer    *auth.Issuer
	dynamic   *certs.Dynamic
	bundle    certs.Bundle
	transport *http.Transport
	stop      func() error
}

// start runs a registry on a port of its own.
func start(t testing.TB, secure bool) *world {
	t.Helper()
	return startOver(t, newStore(t), secure)
}

func startOver(t testing.TB, s *store.Store, secure bool) *world {
	t.Helper()
	issuer, err := auth.NewIssuer(bytes.Repeat([]byte{7}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s, issuer: issuer, transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	w.metrics = registry.NewMetrics(w.store)
	h := registry.NewHandler(w.store, registry.Options{Authorizer: issuer, Metrics: w.metrics})
	w.server = &registry.Server{Addr: "127.0.0.1:0", Handler: h, Probe: w.store.Check}
	if secure {
		w.dynamic = &certs.Dynamic{}
		if w.bundle, _, err = certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"127.0.0.1"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.dynamic.Set(w.bundle); err != nil {
			t.Fatal(err)
		}
		w.server.TLS = w.dynamic.Config()
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(w.bundle.CACert)
		w.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx) }()
	stopped := false
	w.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		// A connection that never had a request keeps a server from ending for five seconds.
		w.transport.CloseIdleConnections()
		err := <-ended
		h.Close()
		return err
	}
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-w.server.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return w
}

func (w *world) url() string {
	if w.server.TLS != nil {
		return "https://" + w.server.Address()
	}
	return "http://" + w.server.Address()
}

func (w *world) credential(t testing.TB, s auth.Scope) auth.Credential {
	t.Helper()
	c, err := w.issuer.Issue(s, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// both runs a test over plain HTTP and over TLS.
func both(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, secure))
		})
	}
}

// noise is content that does not compress.
func noise(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(random.Uint32())
	}
	return out
}

func (w *world) oras(t testing.TB, repository string, s auth.Scope) *orasremote.Repository {
	t.Helper()
	r, err := orasremote.NewRepository(w.server.Address() + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	cred := w.credential(t, s)
	r.PlainHTTP = w.server.TLS == nil
	r.Client = &orasauth.Client{
		Client:     &http.Client{Transport: w.transport},
		Credential: orasauth.StaticCredential(w.server.Address(), orasauth.Credential{Username: cred.Username, Password: cred.Password}),
	}
	return r
}

func TestOrasClient(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		t.Helper()
		ctx := t.Context()
		local := memory.New()
		layer, err := oras.PushBytes(ctx, local, "application/vnd.example.layer", noise(1, 300_000))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := oras.PackManifest(ctx, local, oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
		if err != nil {
			t.Fatal(err)
		}
		signature, err := oras.PackManifest(ctx, local, oras.PackManifestVersion1_1, "application/vnd.example.signature", oras.PackManifestOptions{Subject: &subject})
		if err != nil {
			t.Fatal(err)
		}
		if err := local.Tag(ctx, subject, "v1"); err != nil {
			t.Fatal(err)
		}
		writer := w.oras(t, "team/app", auth.Scope{Push: true})
		if _, err := oras.Copy(ctx, local, "v1", writer, "v1", oras.DefaultCopyOptions); err != nil {
			t.Fatal(err)
		}
		if err := oras.CopyGraph(ctx, local, writer, signature, oras.DefaultCopyGraphOptions); err != nil {
			t.Fatal(err)
		}

		reader := w.oras(t, "team/app", auth.Scope{Prefix: "team/"})
		pulled := memory.New()
		got, err := oras.ExtendedCopy(ctx, reader, "v1", pulled, "v1", oras.DefaultExtendedCopyOptions)
		if err != nil || got.Digest != subject.Digest {
			t.Fatalf("got %v, %v", got, err)
		}
		body, err := content.FetchAll(ctx, pulled, layer)
		if err != nil || !bytes.Equal(body, noise(1, 300_000)) {
			t.Errorf("layer: %d bytes, %v", len(body), err)
		}
		if found, err := pulled.Exists(ctx, signature); err != nil || !found {
			t.Errorf("the referrer did not come along: %v", err)
		}
		var tags []string
		if err := reader.Tags(ctx, "", func(some []string) error { tags = append(tags, some...); return nil }); err != nil || strings.Join(tags, " ") != "v1" {
			t.Errorf("tags %v, %v", tags, err)
		}
		if err := w.oras(t, "other/app", auth.Scope{Push: true}).Mount(ctx, layer, "team/app", nil); err != nil {
			t.Errorf("mount: %v", err)
		}
		if _, err := oras.Copy(ctx, local, "v1", reader, "v2", oras.DefaultCopyOptions); err == nil {
			t.Error("a reader could push")
		}
		if _, err := w.oras(t, "team/app", auth.Scope{Prefix: "other/"}).Resolve(ctx, "v1"); err == nil {
			t.Error("a reader of another namespace could pull")
		}
		if err := writer.Delete(ctx, subject); err != nil {
			t.Errorf("delete: %v", err)
		}
		if _, err := reader.Resolve(ctx, "v1"); err == nil {
			t.Error("the tag of a deleted manifest resolves")
		}
	})
}

func TestContainerRegistryClient(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		t.Helper()
		parse := func(s string) name.Reference {
			ref, err := name.ParseReference(w.server.Address()+"/"+s, name.Insecure)
			if w.server.TLS != nil {
				ref, err = name.ParseReference(w.server.Address() + "/" + s)
			}
			if err != nil {
				t.Fatal(err)
			}
			return ref
		}
		as := func(s auth.Scope) []remote.Option {
			cred := w.credential(t, s)
			return []remote.Option{
				remote.WithContext(t.Context()), remote.WithTransport(w.transport),
				remote.WithAuth(&authn.Basic{Username: cred.Username, Password: cred.Password}),
			}
		}
		layers := []v1.Layer{static.NewLayer(noise(2, 200_000), types.OCILayer), static.NewLayer(noise(3, 10), types.OCILayer)}
		image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...)
		if err != nil {
			t.Fatal(err)
		}
		index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image})
		writer, reader := as(auth.Scope{Push: true}), as(auth.Scope{Prefix: "team/"})
		if err := remote.Write(parse("team/app:v1"), image, writer...); err != nil {
			t.Fatal(err)
		}
		if err := remote.WriteIndex(parse("team/app:all"), index, writer...); err != nil {
			t.Fatal(err)
		}
		if err := remote.Tag(parse("team/app:v1").Context().Tag("v2"), image, writer...); err != nil {
			t.Fatal(err)
		}
		want, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if head, err := remote.Head(parse("team/app:v2"), reader...); err != nil || head.Digest != want {
			t.Errorf("head: %v, %v", head, err)
		}
		pulled, err := remote.Image(parse("team/app@"+want.String()), reader...)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pulled.Layers()
		if err != nil || len(all) != 2 {
			t.Fatalf("%d layers, %v", len(all), err)
		}
		blob, err := all[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(blob)
		if err := errors.Join(err, blob.Close()); err != nil || !bytes.Equal(body, noise(2, 200_000)) {
			t.Errorf("layer: %d bytes, %v", len(body), err)
		}
		if tags, err := remote.List(parse("team/app:v1").Context(), reader...); err != nil || strings.Join(tags, " ") != "all v1 v2" {
			t.Errorf("tags %v, %v", tags, err)
		}
		denied := new(transport.Error)
		if err := remote.Write(parse("team/app:v3"), image, reader...); !errors.As(err, &denied) || denied.StatusCode != http.StatusForbidden {
			t.Errorf("a reader pushes: %v", err)
		}
		if err := remote.Delete(parse("team/app@"+want.String()), writer...); err != nil {
			t.Errorf("delete: %v", err)
		}
	})
}

// TestRotationBesideTransfers replaces the serving certificate while clients pull over connections
// that they keep and over new ones. Package certs does the same with the authority.
func TestRotationBesideTransfers(t *testing.T) {
	t.Parallel()
	w := start(t, true)
	p := newPusher(t, w)
	body := noise(5, 1<<20)
	path := "/v2/team/app/blobs/" + digest.FromBytes(body).String()
	if err := p.do(201, "POST", "/v2/team/app/blobs/uploads/?digest="+digest.FromBytes(body).String(), "", bytes.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	fresh := *p
	fresh.client = &http.Client{Transport: &http.Transport{TLSClientConfig: w.transport.TLSClientConfig, DisableKeepAlives: true}}
	for round := range 4 {
		var group errgroup.Group
		for _, client := range []*pusher{p, &fresh, p, &fresh} {
			group.Go(func() error { return client.do(200, "GET", path, "", nil, 0) })
		}
		o := certs.Options{Hosts: []string{"127.0.0.1", fmt.Sprintf("round-%d", round)}}
		next, changed, err := certs.Ensure(w.bundle, o)
		if err != nil || !changed {
			t.Fatalf("changed %v, %v", changed, err)
		}
		if err := w.dynamic.Set(next); err != nil {
			t.Fatal(err)
		}
		w.bundle = next
		if err := group.Wait(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
}

// TestShutdownDrains stops a server in the middle of a push and of a pull.
func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	w := start(t, false)
	cred := w.credential(t, auth.Scope{Push: true})
	body := noise(4, 4<<20)
	d := digest.FromBytes(body)
	from, to := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url()+"/v2/a/blobs/uploads/?digest="+d.String(), from)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(cred.Username, cred.Password)
	answer := make(chan error, 1)
	go func() {
		resp, err := (&http.Client{Transport: w.transport}).Do(r)
		if err == nil {
			if resp.StatusCode != http.StatusCreated {
				err = errors.New(resp.Status)
			}
			err = errors.Join(err, resp.Body.Close())
		}
		answer <- err
	}()
	if _, err := to.Write(body[:1<<20]); err != nil {
		t.Fatal(err)
	}
	// What is still on the way to the server is not in flight yet.
	eventually(t, "the push begins", func() bool { return w.store.Stats().Staged > 0 })
	if err := w.server.Check(t.Context()); err != nil {
		t.Errorf("a serving server is not ready: %v", err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	eventually(t, "a stopping server is not ready", func() bool { return w.server.Check(t.Context()) != nil })
	if err := w.server.Check(t.Context()); !errors.Is(err, registry.ErrNotServing) {
		t.Errorf("got %v", err)
	}
	if _, err := to.Write(body[1<<20:]); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the push was cut off: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	repo, err := w.store.Repository("a")
	if err != nil {
		t.Fatal(err)
	}
	if size, err := repo.StatBlob(t.Context(), d); err != nil || size != int64(len(body)) {
		t.Errorf("pushed: %d bytes, %v", size, err)
	}
}

func TestServerGrace(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	begun := make(chan struct{})
	s := &registry.Server{Addr: "127.0.0.1:0", Grace: 10 * time.Millisecond, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-release
	})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan error, 1)
	go func() {
		resp, err := client.Get("http://" + s.Address())
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-begun
	cancel()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-answered; err == nil {
		t.Error("a request outlived the server")
	}
	if err := (&registry.Server{Addr: "256.0.0.1:0"}).Run(t.Context()); err == nil {
		t.Error("an address that can't be was listened on")
	}
}

// TestStalledUpload lets go of a client that sends nothing any more, and keeps what it sent.
func TestStalledUpload(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	h := registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll(), StallTimeout: 50 * time.Millisecond})
	defer h.Close()
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: h}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport}
	resp, err := client.Post("http://"+server.Address()+"/v2/a/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + server.Address() + resp.Header.Get("Location")
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	from, to := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, at, from)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = to.Write([]byte("hello")) }()
	if resp, err := client.Do(r); err == nil {
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("stalled: %s", resp.Status)
		}
		_ = resp.Body.Close()
	}
	_ = to.Close()
	resp, err = client.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Range"); got != "0-4" {
		t.Errorf("the upload goes on after %q", got)
	}
	_ = resp.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	m := registry.NewMetrics(s)
	c := &client{t: t, handler: registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll(), Metrics: m})}
	c.blob("a", "12345")
	c.expect(200, "", "GET", "/v2/a/blobs/"+digest.FromString("12345").String(), nil)
	c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/b/blobs/"+digest.FromString("12345").String(), nil)
	c.expect(405, "UNSUPPORTED", "BREW", "/v2/", nil)
	m.Collected(store.CollectStats{Manifests: 3, Superseded: 2, Blobs: 2, Bytes: 3}, nil)
	m.Collected(store.CollectStats{}, store.ErrRootsIncomplete)
	want := `
# HELP ocm_registry_blobs Blobs on the disk.
# TYPE ocm_registry_blobs gauge
ocm_registry_blobs 1
# HELP ocm_registry_collected_bytes_total Bytes of the blobs that were removed because nothing kept them.
# TYPE ocm_registry_collected_bytes_total counter
ocm_registry_collected_bytes_total 3
# HELP ocm_registry_collected_total Manifests and blobs that were removed because nothing kept them, and superseded manifests for want of room.
# TYPE ocm_registry_collected_total counter
ocm_registry_collected_total{kind="blob"} 2
ocm_registry_collected_total{kind="manifest"} 1
ocm_registry_collected_total{kind="superseded"} 2
# HELP ocm_registry_collections_total Collections by result: success or error.
# TYPE ocm_registry_collections_total counter
ocm_registry_collections_total{result="error"} 1
ocm_registry_collections_total{result="success"} 1
# HELP ocm_registry_in_flight_requests Requests that are being answered.
# TYPE ocm_registry_in_flight_requests gauge
ocm_registry_in_flight_requests 0
# HELP ocm_registry_received_bytes_total Bytes of request bodies.
# TYPE ocm_registry_received_bytes_total counter
ocm_registry_received_bytes_total 5
# HELP ocm_registry_requests_total Requests by operation, method and status code.
# TYPE ocm_registry_requests_total counter
ocm_registry_requests_total{code="200",method="GET",operation="blob"} 1
ocm_registry_requests_total{code="201",method="POST",operation="uploads"} 1
ocm_registry_requests_total{code="404",method="GET",operation="blob"} 1
ocm_registry_requests_total{code="405",method="other",operation="base"} 1
# HELP ocm_registry_stored_bytes Bytes of the blobs on the disk.
# TYPE ocm_registry_stored_bytes gauge
ocm_registry_stored_bytes 5
# HELP ocm_registry_uploads Uploads in progress.
# TYPE ocm_registry_uploads gauge
ocm_registry_uploads 0
# HELP ocm_registry_writable Whether content can be written: 0 when the last probe of the disk failed, as on a full one.
# TYPE ocm_registry_writable gauge
ocm_registry_writable 1
`
	err := testutil.CollectAndCompare(m, strings.NewReader(want), "ocm_registry_blobs", "ocm_registry_collected_bytes_total",
		"ocm_registry_collected_total", "ocm_registry_collections_total", "ocm_registry_in_flight_requests", "ocm_registry_received_bytes_total",
		"ocm_registry_requests_total", "ocm_registry_stored_bytes", "ocm_registry_uploads", "ocm_registry_writable")
	if err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(m); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
