package registryserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
)

// weak is an API server that answers no longer, or fails.
type weak struct {
	client.Client
	// silent lets questions wait until their context ends, and fault is the answer otherwise.
	silent atomic.Bool
	fault  atomic.Pointer[error]
	// asked counts questions, and unbounded those without a deadline.
	asked, unbounded atomic.Int64
}

// Get implements client.Client.
func (w *weak) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	w.asked.Add(1)
	if _, bounded := ctx.Deadline(); !bounded {
		w.unbounded.Add(1)
	}
	if w.silent.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if fault := w.fault.Load(); fault != nil {
		return *fault
	}
	return w.Client.Get(ctx, key, obj, opts...)
}

// late returns a replica that has not heard of the key which the credential is sealed with.
func late(t *testing.T) (*Registry, *weak, auth.Request) {
	t.Helper()
	w := reconcilertest.New(t)
	server := &weak{Client: w.Client}
	behind, r := newRegistry(t, server, optionsOf(t)), newRegistry(t, w.Client, optionsOf(t))
	annotate(w, "key", "key")
	if err := r.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	username, password, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	server.asked.Store(0)
	server.unbounded.Store(0)
	return behind, server, auth.Request{Username: username, Password: password, Repository: "team/app", Client: "10.0.0.1:1"}
}

// TestSilentServer: while the API server does not answer, a look at the Secrets ends by itself, and a request that waits for
// the keys no later than its client goes. None of those who come with made-up names stays.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	r, server, good := late(t)
	server.silent.Store(true)
	looking, stop := context.WithCancel(t.Context())
	looked := make(chan error, 1)
	go func() { looked <- r.look(looking) }()
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return server.asked.Load() > 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	guard := r.authorizer()
	ctx, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for n := range 200 {
		request := good
		if n > 0 {
			request.Username = strings.Replace(good.Username, ".", fmt.Sprintf(".%d", n), 1)
			request.Client = fmt.Sprintf("10.0.1.%d:1", n)
		}
		group.Go(func() {
			if err := guard.Authorize(ctx, request); !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrUnauthenticated) {
				t.Errorf("got %v", err)
			}
		})
	}
	leave()
	group.Wait() // the look still waits
	select {
	case err := <-looked:
		t.Fatalf("the look has ended: %v", err)
	default:
	}
	stop()
	if err := <-looked; err == nil {
		t.Error("a look without an answer is good")
	}
	if server.unbounded.Load() > 0 {
		t.Error("the API server is asked without a bound")
	}
	server.silent.Store(false)
	if err := guard.Authorize(t.Context(), good); err != nil {
		t.Errorf("when the server answers again: %v", err)
	}
}

// TestFailingServer: a credential with a key that can't be looked for is not known to be wrong, and no failure of its client.
func TestFailingServer(t *testing.T) {
	t.Parallel()
	r, server, good := late(t)
	fault := errors.New("no answer")
	server.fault.Store(&fault)
	guard := r.authorizer()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if err := guard.Authorize(t.Context(), good); !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrUnauthenticated) {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if asked := server.asked.Load(); asked > 20 {
		t.Errorf("the server was asked %d times", asked)
	}
	server.fault.Store(nil)
	if err := guard.Authorize(t.Context(), good); err != nil {
		t.Errorf("when the server answers again: %v", err)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	fault := errors.New("no answer")
	var delay time.Duration
	var got []string
	for range 8 {
		delay = backoff(delay, fault)
		got = append(got, delay.String())
	}
	if want := "1s 2s 4s 8s 16s 32s 1m0s 1m0s"; strings.Join(got, " ") != want {
		t.Errorf("delays are %v, want %s", got, want)
	}
	if backoff(delay, nil) != 0 {
		t.Error("a delay after success")
	}
	for _, tc := range []struct{ due, delay, want time.Duration }{
		{time.Hour, time.Second, time.Second}, {time.Second, time.Minute, time.Second}, {0, time.Minute, time.Minute}, {time.Hour, 0, time.Hour}, {0, 0, time.Millisecond},
	} {
		if got := next(tc.due, tc.delay); got != tc.want {
			t.Errorf("due in %s, or after %s: got %s", tc.due, tc.delay, got)
		}
	}
	now := time.Now()
	r := &Registry{validFrom: now.Add(5 * time.Second)}
	if r.due(now, fault) != 5*time.Second || r.due(now, nil) != lookAgain || r.due(now.Add(time.Minute), fault) != lookAgain {
		t.Error("a certificate that becomes valid is not looked at when it does")
	}
}

// TestFailedLookIsRepeated: nobody has to touch the Secret again.
func TestFailedLookIsRepeated(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	server := &weak{Client: w.Client}
	r := newRegistry(t, server, optionsOf(t))
	given := made(t, 0)
	stored := secret("certs", nil)
	w.Change(stored, func() {
		stored.Data = map[string][]byte{caCertKey: given.CACert, corev1.TLSCertKey: given.Cert, corev1.TLSPrivateKeyKey: given.Key}
	})
	fault := errors.New("no answer")
	server.fault.Store(&fault)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		r.repeat(ctx, r.changed, func(ctx context.Context) (time.Duration, error) {
			err := r.look(ctx)
			server.fault.Store(nil)
			return r.due(time.Now(), err), err
		})
	})
	signal(r.changed)
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return bytes.Equal(r.CA(), given.CACert) && testutil.ToFloat64(r.health.broken.WithLabelValues("certs")) == 0, nil
	})
	stop()
	group.Wait()
	if err != nil {
		t.Error("a look that has failed once was not repeated within a minute")
	}
}

// TestCertificateOverOurs: cert-manager writes a certificate of an authority that the system knows, and leaves what else is in
// the Secret. It is served, and Flux trusts the system's.
func TestCertificateOverOurs(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, optionsOf(t))
	theirs := made(t, 0)
	stored := secret("certs", nil)
	w.Get(stored)
	w.Change(stored, func() {
		stored.Data[corev1.TLSCertKey], stored.Data[corev1.TLSPrivateKeyKey] = theirs.Cert, theirs.Key
		stored.Annotations = map[string]string{rotateAnnotation: "certificate"}
	})
	before := stored.ResourceVersion
	w.Writes()
	for range 3 {
		if err := r.look(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if w.Get(stored); stored.ResourceVersion != before || len(w.Writes()) > 0 {
		t.Error("somebody else's certificate is written over")
	}
	if len(r.CA()) > 0 {
		t.Error("Flux is told to trust the operator's authority")
	}
	if status, err := ask(t, serve(t, r), theirs.CACert, "", ""); err != nil || status == 0 {
		t.Errorf("their certificate is not served: %v", err)
	}
	elsewhere, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	w.Change(stored, func() {
		stored.Data[corev1.TLSCertKey], stored.Data[corev1.TLSPrivateKeyKey] = elsewhere.Cert, elsewhere.Key
	})
	if err := r.look(t.Context()); err == nil {
		t.Error("a certificate for another host is taken")
	}
}

// TestAddressesOfReplicas: two that are told different addresses do not write in turn, and each is reached by its own.
func TestAddressesOfReplicas(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	one, o := newRegistry(t, w.Client, optionsOf(t)), optionsOf(t)
	o.Address = "other.example.com:5000"
	other := newRegistry(t, w.Client, o)
	w.Writes()
	for range 5 {
		if err := errors.Join(one.look(t.Context()), other.look(t.Context())); err != nil {
			t.Error(err)
		}
	}
	if writes := w.Writes(); len(writes) > 0 {
		t.Errorf("they write %v", writes)
	}
	stored := secret("certs", nil)
	w.Get(stored)
	for _, host := range []string{"registry.example.com", "other.example.com", "localhost"} {
		if err := bundleOf(stored).Check(host, time.Now()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	// Whoever takes the addresses away again and again is not followed each time.
	for range 5 {
		w.Change(stored, func() { stored.Data = dataOf(madeFor(t, bundleOf(stored), "somebody.example.com")) })
		_ = other.look(t.Context())
	}
	if writes := w.Writes(); len(writes) > 1 {
		t.Errorf("in ten seconds it writes %v", writes)
	}
}

// madeFor returns a certificate of the same authority for one host.
func madeFor(t *testing.T, b certs.Bundle, host string) certs.Bundle {
	t.Helper()
	rotated, err := certs.Rotate(b, certs.Options{Hosts: []string{host}}, certs.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return rotated
}
