package access

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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

const (
	caSecret   = "podinfo-registry-ca"
	pullSecret = "podinfo-registry-pull"
	certSecret = "ocm-registry-tls-certs"
	keySecret  = "ocm-registry-key"
	rotate     = "delivery.ocm.software/rotate"
	requested  = "reconcile.fluxcd.io/requestedAt"
	handled    = "lastHandledReconcileAt"
	// rounds is how often each part is rotated.
	rounds = 3
	// poll is the pause between two looks.
	poll = 20 * time.Millisecond
)

// TestRotationIsNotNoticed rotates certificate, authority and key again and again. Meanwhile Flux pulls without end, and so does
// a client that reads the Secrets anew each time.
func TestRotationIsNotNoticed(t *testing.T) {
	e := e2etest.Shared(t)
	deliver(t, e)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	w := &watcher{e: e, t: t}
	group.Go(func() { w.fluxPulls(ctx) })
	group.Go(func() { w.pulls(ctx) })
	for range rounds {
		for _, part := range []struct{ secret, what string }{{certSecret, "certificate"}, {certSecret, "authority"}, {keySecret, "key"}} {
			w.rotate(part.secret, part.what)
			w.goesOn()
		}
	}
	w.rotate(certSecret, "forget")
	w.rotate(keySecret, "forget")
	w.goesOn()
	stop()
	group.Wait()
	for what := range w.wrong {
		t.Error(what)
	}
	e.Wait("OCIRepository", "podinfo", e2etest.Ready)
	t.Logf("%d pulls, and %d of Flux, over %d rotations", w.pulled.Load(), w.reconciled.Load(), rounds*3+2)
}

// watcher pulls, and remembers what went wrong.
type watcher struct {
	e *e2etest.Env
	t *testing.T

	pulled, reconciled atomic.Int64
	mu                 sync.Mutex
	wrong              map[string]bool
}

func (w *watcher) failed(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong == nil {
		w.wrong = map[string]bool{}
	}
	w.wrong[fmt.Sprintf(format, args...)] = true
}

// fluxPulls asks source-controller to reconcile the OCIRepository, over and over. It must be ready all the time.
func (w *watcher) fluxPulls(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		source, err := w.e.Lookup("OCIRepository", "podinfo")
		if err != nil {
			w.failed("OCIRepository: %v", err)
			return
		}
		token := fmt.Sprint("round ", n)
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, requested, token)
		if err := w.e.Client.Patch(w.t.Context(), source, client.RawPatch(types.MergePatchType, patch)); err != nil {
			w.failed("ask Flux: %v", err)
			return
		}
		for ctx.Err() == nil {
			source, err := w.e.Lookup("OCIRepository", "podinfo")
			if err != nil {
				w.failed("OCIRepository: %v", err)
				return
			}
			w.judge(source)
			if seen, _, _ := unstructured.NestedString(source.Object, "status", handled); seen == token {
				w.reconciled.Add(1)
				break
			}
			pause(ctx)
		}
	}
}

// judge wants the source to be ready, or on its way without a failure.
func (w *watcher) judge(source *unstructured.Unstructured) {
	for _, condition := range []string{"FetchFailed", "Stalled", "StorageOperationFailed"} {
		if found, err := e2etest.Condition(source, condition); err == nil && found.Status == metav1.ConditionTrue {
			w.failed("Flux failed: %s: %s", found.Reason, found.Message)
		}
	}
	ready, err := e2etest.Condition(source, "Ready")
	if err != nil || ready.Status == metav1.ConditionFalse {
		w.failed("the OCIRepository is not ready: %v %v", ready, err)
	}
}

// pulls reads the snapshot by what the Secrets have now, over and over.
func (w *watcher) pulls(ctx context.Context) {
	for ctx.Err() == nil {
		p, err := w.puller()
		if err == nil {
			err = p.pull(w.t.Context())
		}
		if err != nil {
			w.failed("pull: %v", err)
		}
		w.pulled.Add(1)
		pause(ctx)
	}
}

// goesOn waits until everybody has pulled twice more: once at least began after now.
func (w *watcher) goesOn() {
	w.t.Helper()
	pulled, reconciled := w.pulled.Load(), w.reconciled.Load()
	w.e.Eventually("pulls go on", func() error {
		if w.pulled.Load() < pulled+2 || w.reconciled.Load() < reconciled+2 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return fmt.Errorf("%d and %d pulls, wrong is %v", w.pulled.Load()-pulled, w.reconciled.Load()-reconciled, w.wrong)
		}
		return nil
	})
}

// rotate asks for a rotation, and waits until Flux has been given what follows from it.
func (w *watcher) rotate(name, what string) {
	w.t.Helper()
	before, err := w.secret(pullSecret)
	if err != nil {
		w.t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: name}}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, rotate, what)
	if err := w.e.Client.Patch(w.t.Context(), secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		w.t.Fatal(err)
	}
	w.e.Eventually("rotation of "+what, func() error {
		if err := w.e.Client.Get(w.t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			return err
		}
		if secret.Annotations[rotate] != "" {
			return errors.New("the annotation is still there")
		}
		ca, err := w.secret(caSecret)
		if err != nil {
			return err
		}
		if name == certSecret && !bytes.Equal(ca.Data["ca.crt"], secret.Data["ca.crt"]) {
			return errors.New("the deployer's Secret has other certificates")
		}
		pull, err := w.secret(pullSecret)
		if err != nil {
			return err
		}
		if what == "key" && pull.ResourceVersion == before.ResourceVersion {
			return errors.New("the deployer's Secret has the credential of before")
		}
		return nil
	})
}

func (w *watcher) secret(name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := w.e.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.e.Namespace, Name: name}, secret)
	return secret, err
}

// puller has what Flux has at a moment.
type puller struct {
	http                     *http.Client
	host, repository, digest string
	username, password       string
}

func (w *watcher) puller() (*puller, error) {
	source, err := w.e.Lookup("OCIRepository", "podinfo")
	if err != nil {
		return nil, err
	}
	pull, err := w.secret(pullSecret)
	if err != nil {
		return nil, err
	}
	ca, err := w.secret(caSecret)
	if err != nil {
		return nil, err
	}
	p := &puller{}
	url, _, _ := unstructured.NestedString(source.Object, "spec", "url")
	p.digest, _, _ = unstructured.NestedString(source.Object, "spec", "ref", "digest")
	p.host, p.repository, _ = strings.Cut(strings.TrimPrefix(url, "oci://"), "/")
	var config struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(pull.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		return nil, err
	}
	p.username, p.password = config.Auths[p.host].Username, config.Auths[p.host].Password
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Data["ca.crt"])
	p.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	return p, nil
}

// pull reads the manifest over a new connection.
func (p *puller) pull(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.host+"/v2/"+p.repository+"/manifests/"+p.digest, http.NoBody)
	if err != nil {
		return err
	}
	request.SetBasicAuth(p.username, p.password)
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(body)); err != nil || response.StatusCode != http.StatusOK || sum != p.digest {
		return fmt.Errorf("status %d, %d bytes (%w)", response.StatusCode, len(body), err)
	}
	return nil
}

func pause(ctx context.Context) {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
