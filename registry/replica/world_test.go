package replica_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
	"github.com/ocm-operator/ocm-operator/registry/replica"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repository = "team-a/app"
	host       = "registry.example.com"
)

// world is a few replicas, each with a store and a server of its own, and one authority and one key.
type world struct {
	t      testing.TB
	issuer *auth.Issuer
	bundle certs.Bundle
	nodes  []*node
	// leader is where the one that leads is reached, for all but itself; empty when nobody knows.
	leader atomic.Pointer[string]
	client *http.Client
}

// node is one replica.
type node struct {
	store   *store.Store
	replica *replica.Replica
	server  *registry.Server
	metrics *replica.Metrics
	// asked counts the requests that came in.
	asked atomic.Int64
	stop  func()
}

// newWorld starts replicas, of which the first one leads.
func newWorld(t testing.TB, n int, adjust ...func(i int, o *replica.Options, s *store.Options)) *world {
	t.Helper()
	issuer, err := auth.NewIssuer(bytes.Repeat([]byte{7}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	bundle, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, issuer: issuer, bundle: bundle}
	transport := &http.Transport{TLSClientConfig: w.trust(), DisableCompression: true}
	w.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	w.lead("")
	for i := range n {
		w.nodes = append(w.nodes, w.start(i, adjust))
	}
	w.lead(w.nodes[0].server.Address())
	return w
}

func (w *world) lead(address string) { w.leader.Store(&address) }

func (w *world) trust() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.bundle.CACert)
	return &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
}

func (w *world) start(i int, adjust []func(int, *replica.Options, *store.Options)) *node {
	w.t.Helper()
	n := &node{}
	kept := store.Options{NoSync: true}
	o := replica.Options{
		Leader: func() replica.Leader {
			address := *w.leader.Load()
			return replica.Leader{Self: address != "" && address == n.server.Address(), Address: address}
		},
		Issue: func(repository string) (auth.Credential, error) {
			return w.issuer.Issue(auth.Scope{Prefix: repository + "/"}, time.Minute)
		},
		TLS:     func() (*tls.Config, error) { return w.trust(), nil },
		Metrics: replica.NewMetrics(),
	}
	for _, f := range adjust {
		f(i, &o, &kept)
	}
	var err error
	if n.store, err = store.Open(w.t.TempDir(), kept); err != nil {
		w.t.Fatal(err)
	}
	o.Store, n.metrics = n.store, o.Metrics
	if n.replica, err = replica.New(o); err != nil {
		w.t.Fatal(err)
	}
	handler := registry.NewHandler(n.store, registry.Options{Authorizer: w.issuer, Interceptor: n.replica})
	dynamic := &certs.Dynamic{}
	if err := dynamic.Set(w.bundle); err != nil {
		w.t.Fatal(err)
	}
	counted := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n.asked.Add(1)
		handler.ServeHTTP(rw, r)
	})
	n.server = &registry.Server{Addr: "127.0.0.1:0", Handler: counted, TLS: dynamic.Config(), Grace: time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.server.Run(ctx)
	}()
	<-n.server.Ready()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-ended
		n.replica.Close()
		handler.Close()
		if err := n.store.Close(); err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(n.stop)
	return n
}

// received is how many bytes of content a replica has got from the leader.
func (n *node) received(t testing.TB) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registry.Register(n.metrics); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "ocm_registry_peer_received_bytes_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}

// request asks a replica with a credential for a scope.
func (w *world) request(n *node, scope auth.Scope, method, path string, body io.Reader, header ...string) (*http.Response, error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "https://"+n.server.Address()+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	credential, err := w.issuer.Issue(scope, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(credential.Username, credential.Password)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.client.Do(req)
}

var (
	reader = auth.Scope{Prefix: "team-a/"}
	writer = auth.Scope{Prefix: "team-a/", Push: true}
)

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask fails when the answer does not come to its end.
func (w *world) ask(n *node, scope auth.Scope, method, path string, body []byte, header ...string) answer {
	w.t.Helper()
	response, err := w.request(n, scope, method, path, bytes.NewReader(body), header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{response.StatusCode, response.Header, content}
}

// wants checks status and content.
func (w *world) wants(got answer, status int, content []byte) {
	w.t.Helper()
	if got.status != status {
		w.t.Fatalf("status is %d, want %d: %.200s", got.status, status, got.body)
	}
	if content != nil && !bytes.Equal(got.body, content) {
		w.t.Fatalf("got %d other bytes than the %d wanted", len(got.body), len(content))
	}
}

func blobPath(content []byte) string {
	return "/v2/" + repository + "/blobs/" + digest.FromBytes(content).String()
}

func manifestPath(ref string) string { return "/v2/" + repository + "/manifests/" + ref }

// artifact is something that was pushed into a store.
type artifact struct {
	config, layer, manifest []byte
}

func (a artifact) digest() digest.Digest { return digest.FromBytes(a.manifest) }

// put writes an artifact as reconcilers do, without HTTP.
func put(t testing.TB, s *store.Store, layer []byte, tags ...string) artifact {
	t.Helper()
	repo, err := s.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	a := artifact{config: []byte("{}"), layer: layer}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: putBlob(t, repo, a.config), Layers: []ocispec.Descriptor{putBlob(t, repo, a.layer)},
	}
	if a.manifest, err = json.Marshal(manifest); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, a.manifest, tags...); err != nil {
		t.Fatal(err)
	}
	return a
}

func putBlob(t testing.TB, repo *store.Repository, content []byte) ocispec.Descriptor {
	t.Helper()
	stage, err := repo.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Write(content); err != nil {
		t.Fatal(err)
	}
	desc, err := stage.Commit(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

// impostor answers in place of a leader, over TLS as one.
func (w *world) impostor(handler http.HandlerFunc) *registry.Server {
	w.t.Helper()
	dynamic := &certs.Dynamic{}
	if err := dynamic.Set(w.bundle); err != nil {
		w.t.Fatal(err)
	}
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: handler, TLS: dynamic.Config(), Grace: time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Run(ctx)
	}()
	<-server.Ready()
	w.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return server
}

// marked makes what an impostor answers look like that of a leader.
func marked(w http.ResponseWriter) http.Header {
	w.Header().Set("Ocm-Registry-Leader", "true")
	return w.Header()
}

// stored tells whether a store has a blob.
func stored(t testing.TB, s *store.Store, content []byte) bool {
	t.Helper()
	repo, err := s.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.StatBlob(t.Context(), digest.FromBytes(content))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// noise is content that nothing compresses, and that is another one for each seed.
func noise(seed string, n int) []byte {
	content := make([]byte, 0, n+sha256.Size)
	for i := 0; len(content) < n; i++ {
		sum := sha256.Sum256(fmt.Append(nil, seed, i))
		content = append(content, sum[:]...)
	}
	return content[:n]
}
