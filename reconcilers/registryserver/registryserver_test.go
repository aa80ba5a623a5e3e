package registryserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/certs"
)

const namespace = "ocm-system"

func optionsOf(t *testing.T) options.Registry {
	t.Helper()
	return options.Registry{
		Listen: "127.0.0.1:0", Address: "registry.example.com:5000", Dir: t.TempDir(), CollectInterval: time.Hour,
		CertSecret: "certs", KeySecret: "key",
	}
}

// newRegistry returns a replica of the registry.
func newRegistry(t *testing.T, c client.Client, o options.Registry) *Registry {
	t.Helper()
	r, err := New(t.Context(), c, namespace, o, prometheus.NewRegistry(), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	return r
}

func secret(name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data}
}

// made returns certificates for localhost by an authority of their own.
func made(t *testing.T, validity time.Duration) certs.Bundle {
	t.Helper()
	bundle, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"registry.example.com", "localhost", "127.0.0.1", "::1"}, CertValidity: validity})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func TestReplicasShareCertificatesAndKey(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	one, two := newRegistry(t, w.Client, optionsOf(t)), newRegistry(t, w.Client, optionsOf(t))
	if diff := cmp.Diff([]string{"create Secret " + namespace + "/key", "create Secret " + namespace + "/certs"}, w.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if len(one.CA()) == 0 || !bytes.Equal(one.CA(), two.CA()) {
		t.Error("two replicas are trusted by different certificates")
	}
	username, password, err := one.Issue("team/app", time.Hour)
	if err != nil || !two.Valid(t.Context(), "team/app", username, password) {
		t.Errorf("a credential of one replica is refused by the other (%v)", err)
	}
	stored := secret("certs", nil)
	w.Get(stored)
	if stored.Type != corev1.SecretTypeTLS || len(stored.Data[caKeyKey]) == 0 || len(stored.Data[corev1.TLSCertKey]) == 0 {
		t.Errorf("Secret of type %s has keys %d", stored.Type, len(stored.Data))
	}
}

// TestReplicasThatStartAtOnce lets another replica create the Secrets between our look and our own creation.
func TestReplicasThatStartAtOnce(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	slow := &latecomer{Client: w.Client, before: func() { newRegistry(t, w.Client, optionsOf(t)) }}
	late := newRegistry(t, slow, optionsOf(t))
	other := newRegistry(t, w.Client, optionsOf(t))
	username, password, err := late.Issue("team/app", time.Hour)
	if err != nil || !other.Valid(t.Context(), "team/app", username, password) || !bytes.Equal(late.CA(), other.CA()) {
		t.Errorf("the replica that came late has its own key or certificates (%v)", err)
	}
}

// latecomer does something just before the first creation.
type latecomer struct {
	client.Client
	before func()
}

func (l *latecomer) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if before := l.before; before != nil {
		l.before = nil
		before()
	}
	return l.Client.Create(ctx, obj, opts...)
}

func TestCredentialIsForOneRepository(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, reconcilertest.New(t).Client, optionsOf(t))
	username, password, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]bool{"team/app": true, "team/app-secret": false, "team/ap": false, "team": false, "other/app": false} {
		if got := r.Valid(t.Context(), repository, username, password); got != want {
			t.Errorf("valid for %q is %t, want %t", repository, got, want)
		}
	}
	if r.Valid(t.Context(), "team/app", username, "guess") || r.Valid(t.Context(), "team/app", "", "") {
		t.Error("a wrong password, or none, is valid")
	}
	username, password, err = r.Issue("team/app", -time.Minute)
	if err != nil || r.Valid(t.Context(), "team/app", username, password) {
		t.Errorf("a credential that has ended is valid (%v)", err)
	}
}

func TestUnusableSecrets(t *testing.T) {
	t.Parallel()
	broken := made(t, 0)
	for name, tc := range map[string]struct {
		secret *corev1.Secret
		says   string
	}{
		"no key":        {secret("key", nil), `has no key "key" of 32 bytes: delete it`},
		"short key":     {secret("key", map[string][]byte{"key": []byte("short")}), "32 bytes"},
		"no cert":       {secret("certs", map[string][]byte{"note": nil}), namespace + "/certs"},
		"key of others": {secret("certs", map[string][]byte{corev1.TLSCertKey: broken.Cert, corev1.TLSPrivateKeyKey: made(t, 0).Key}), namespace + "/certs"},
		"broken CA":     {secret("certs", map[string][]byte{caCertKey: []byte("x"), caKeyKey: []byte("x")}), namespace + "/certs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t, tc.secret)
			o := optionsOf(t)
			_, err := New(t.Context(), w.Client, namespace, o, prometheus.NewRegistry(), logr.Discard())
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error is %v, want one with %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "PRIVATE") {
				t.Error("the error tells a secret")
			}
			if writes := w.Writes(); len(writes) > 1 {
				t.Errorf("writes %v: what the user has to repair must not be replaced", writes)
			}
			// The store was closed again: somebody else can have it.
			w.Delete(tc.secret)
			newRegistry(t, w.Client, o)
		})
	}
}

func TestStoreThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	o := optionsOf(t)
	o.Dir = "/dev/null/registry"
	_, err := New(t.Context(), reconcilertest.New(t).Client, namespace, o, prometheus.NewRegistry(), logr.Discard())
	if err == nil || !strings.Contains(err.Error(), "open the snapshot store") {
		t.Errorf("error is %v", err)
	}
}

func TestFailingAPIServer(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	away := errors.New("API server is away")
	w.Refuse("create Secret", away)
	if _, err := New(t.Context(), w.Client, namespace, optionsOf(t), prometheus.NewRegistry(), logr.Discard()); !errors.Is(err, away) {
		t.Errorf("error is %v, want that of the API server", err)
	}
}

func TestSecretOfTheUserIsServedAsItIs(t *testing.T) {
	t.Parallel()
	bundle := made(t, time.Millisecond) // long past its time, and still the user's
	given := secret("certs", map[string][]byte{caCertKey: bundle.CACert, corev1.TLSCertKey: bundle.Cert, corev1.TLSPrivateKeyKey: bundle.Key})
	w := reconcilertest.New(t, given)
	r := newRegistry(t, w.Client, optionsOf(t))
	if diff := cmp.Diff([]string{"create Secret " + namespace + "/key"}, w.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if !bytes.Equal(r.CA(), bundle.CACert) {
		t.Error("others are told to trust something else")
	}
	cert, err := r.dynamic.GetCertificate(nil)
	if err != nil || !bytes.Equal(cert.Certificate[0], leaf(t, bundle).Certificate[0]) {
		t.Errorf("another certificate is served (%v)", err)
	}
}

func TestSecretWithoutAuthority(t *testing.T) {
	t.Parallel()
	bundle := made(t, 0)
	w := reconcilertest.New(t, secret("certs", map[string][]byte{corev1.TLSCertKey: bundle.Cert, corev1.TLSPrivateKeyKey: bundle.Key}))
	if ca := newRegistry(t, w.Client, optionsOf(t)).CA(); len(ca) > 0 {
		t.Errorf("certificates to trust are %q, want none: the system knows the authority", ca)
	}
}

func leaf(t *testing.T, b certs.Bundle) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(b.Cert, b.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestCertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	old := made(t, time.Millisecond)
	stored := secret("certs", dataOf(old))
	w := reconcilertest.New(t, stored)
	r := newRegistry(t, w.Client, optionsOf(t))
	w.Get(stored)
	renewed := bundleOf(stored)
	if bytes.Equal(renewed.Cert, old.Cert) || !bytes.Equal(renewed.CACert, old.CACert) {
		t.Error("want another certificate by the same authority")
	}
	if renewed.NeedsRenewal(time.Now()) || !bytes.Equal(r.CA(), old.CACert) {
		t.Error("what is served needs to be renewed")
	}
	w.Writes()
	if err := r.refresh(t.Context()); err != nil || len(w.Writes()) > 0 {
		t.Errorf("a fresh certificate was written again (%v)", err)
	}
}

func TestPlainHTTPNeedsNoCertificates(t *testing.T) {
	t.Parallel()
	w, o := reconcilertest.New(t), optionsOf(t)
	o.PlainHTTP = true
	r := newRegistry(t, w.Client, o)
	if diff := cmp.Diff([]string{"create Secret " + namespace + "/key"}, w.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if r.URL() != "http://registry.example.com:5000" || r.CA() != nil || r.server.TLS != nil {
		t.Errorf("URL is %s", r.URL())
	}
	o = optionsOf(t)
	if r := newRegistry(t, w.Client, o); r.URL() != "https://registry.example.com:5000" {
		t.Errorf("URL is %s", r.URL())
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][]string{
		"registry.example.com:5000": {"registry.example.com", "localhost", "127.0.0.1", "::1"},
		"localhost:5000":            {"localhost", "127.0.0.1", "::1"},
		"127.0.0.1:5000":            {"localhost", "127.0.0.1", "::1"},
	} {
		r := &Registry{options: options.Registry{Address: address}}
		if diff := cmp.Diff(want, r.hosts()); diff != "" {
			t.Errorf("hosts of %s (-want +got):\n%s", address, diff)
		}
	}
}

// serve runs the server until the test ends and returns its address.
func serve(t *testing.T, r *Registry) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	select {
	case <-r.server.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the server did not start within a minute")
	}
	return r.server.Address()
}

// ask asks for the API of the registry and returns the status, trusting the given certificates.
func ask(t *testing.T, address string, trust []byte, username, password string) (int, error) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trust)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/v2/team/app/tags/list", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if username != "" {
		request.SetBasicAuth(username, password)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func TestServing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		anonymous bool
		stranger  int
	}{"log-in is wanted": {false, http.StatusUnauthorized}, "anonymous pull": {true, http.StatusNotFound}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := optionsOf(t)
			o.Anonymous = tc.anonymous
			r := newRegistry(t, reconcilertest.New(t).Client, o)
			probe := &http.Request{}
			if err := r.Check(probe.WithContext(t.Context())); err == nil {
				t.Error("it is ready before it serves")
			}
			address := serve(t, r)
			if err := r.Check(probe.WithContext(t.Context())); err != nil {
				t.Errorf("it is not ready: %v", err)
			}
			username, password, err := r.Issue("team/app", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if status, err := ask(t, address, r.CA(), username, password); err != nil || status != http.StatusNotFound {
				t.Errorf("with a credential: status %d (%v), want that there is no such repository", status, err)
			}
			if status, err := ask(t, address, r.CA(), "", ""); err != nil || status != tc.stranger {
				t.Errorf("without: status %d (%v), want %d", status, err, tc.stranger)
			}
			if _, err := ask(t, address, made(t, 0).CACert, username, password); err == nil {
				t.Error("it is trusted by certificates of somebody else")
			}
		})
	}
}

// TestWritingIsToldOnce: probes come every few seconds, and a full disk may stay full for days.
func TestWritingIsToldOnce(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, reconcilertest.New(t).Client, optionsOf(t))
	var lines []string
	r.log = funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	for _, err := range []error{nil, syscall.ENOSPC, syscall.ENOSPC, nil, nil} {
		r.tell(err)
	}
	if len(lines) != 2 || !strings.Contains(lines[0], syscall.ENOSPC.Error()) || !strings.Contains(lines[1], "again") {
		t.Errorf("the log has %q, want one line when the disk is full and one when it no longer is", lines)
	}
}

// TestChangesOfSecretsAreSignalled reads Secrets, which tells of their changes as well as looking at them does.
func TestChangesOfSecretsAreSignalled(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, withWriter(optionsOf(t)))
	lookout := reconcilertest.Lookout(t, w.Client)
	r.Watch(lookout)
	read := func(name string) {
		stored := secret(name, nil)
		if err := client.IgnoreNotFound(lookout.Reader(w.Client).Get(t.Context(), client.ObjectKeyFromObject(stored), stored)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		secret          string
		changed, writer int
	}{
		{"other", 0, 0},
		{"certs", 1, 0},
		{"key", 1, 0},
		{r.options.WriterSecret, 1, 1},
	} {
		read(step.secret)
		for i := range 2 { // a second signal must not block
			stored := secret(step.secret, nil)
			if i == 0 && (step.secret == "other" || step.secret == r.options.WriterSecret) {
				w.Create(stored)
			} else {
				w.Change(stored, func() { stored.Labels = map[string]string{"change": strconv.Itoa(i)} })
			}
			read(step.secret)
		}
		if len(r.changed) != step.changed || len(r.writer) != step.writer {
			t.Errorf("%s: signals %d and %d, want %d and %d", step.secret, len(r.changed), len(r.writer), step.changed, step.writer)
		}
	}
}

// names notes which Secrets are asked for.
type names struct {
	client.Reader
	mu    sync.Mutex
	asked map[string]int
}

// Get implements client.Reader.
func (n *names) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	n.mu.Lock()
	n.asked[key.Name]++
	n.mu.Unlock()
	return n.Reader.Get(ctx, key, obj, opts...)
}

// TestOwnSecretsAreLookedAt: without TLS nobody looks at certificates, which the operator has no right to read then.
func TestOwnSecretsAreLookedAt(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"TLS": false, "plain HTTP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, o := reconcilertest.New(t), withWriter(optionsOf(t))
			o.PlainHTTP = plain
			live := &names{Reader: w.Client, asked: map[string]int{}}
			lookout := reconcilertest.Lookout(t, live)
			newRegistry(t, w.Client, o).Watch(lookout)
			ctx, stop := context.WithCancel(t.Context())
			var group sync.WaitGroup
			group.Go(func() { _ = lookout.Start(ctx) })
			err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
				live.mu.Lock()
				defer live.mu.Unlock()
				return min(live.asked[o.KeySecret], live.asked[o.WriterSecret]) > 2, nil
			})
			stop()
			group.Wait()
			if err != nil || (live.asked[o.CertSecret] == 0) != plain {
				t.Errorf("looked so often: %v (%v)", live.asked, err)
			}
		})
	}
}

func TestBrokenSecretLeavesTheOldCertificate(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, optionsOf(t))
	ca := r.CA()
	stored := secret("certs", nil)
	w.Change(stored, func() {
		stored.Data = map[string][]byte{corev1.TLSCertKey: []byte("x"), corev1.TLSPrivateKeyKey: []byte("y")}
	})
	if err := r.refresh(t.Context()); err == nil {
		t.Error("a broken Secret was taken")
	}
	if !bytes.Equal(r.CA(), ca) {
		t.Error("the old certificates are gone")
	}
	if status, err := ask(t, serve(t, r), ca, "", ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("status %d (%v), want the old certificate to be served still", status, err)
	}
}
