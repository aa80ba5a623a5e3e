package registryserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func withWriter(o options.Registry) options.Registry {
	o.WriterSecret = "writer"
	return o
}

// push writes a blob and returns the status.
func push(t *testing.T, r *Registry, address, repository, username, password string) int {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	content := []byte("content of " + repository)
	url := "https://" + address + "/v2/" + repository + "/blobs/uploads/?digest=" + digest.FromBytes(content).String()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.SetBasicAuth(username, password)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// writerOf returns the credential in the Secret, as clients read it.
func writerOf(t *testing.T, w *reconcilertest.World) (username, password string, stored *corev1.Secret) {
	t.Helper()
	stored = secret("writer", nil)
	w.Get(stored)
	var config pushers
	if err := json.Unmarshal(stored.Data[corev1.DockerConfigJsonKey], &config); err != nil || stored.Type != corev1.SecretTypeDockerConfigJson {
		t.Fatalf("Secret of type %s: %v", stored.Type, err)
	}
	entry := config.Auths["registry.example.com:5000"]
	if string(entry.Auth) != entry.Username+":"+entry.Password {
		t.Error("the two forms of the credential differ")
	}
	return entry.Username, entry.Password, stored
}

// TestWriter: whoever reads the Secret can push to every repository, and that ends by itself and with the key.
func TestWriter(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, withWriter(optionsOf(t)))
	address := serve(t, r)
	provide := func(at time.Time) time.Duration {
		t.Helper()
		due, err := r.provideWriter(t.Context(), at)
		if err != nil || due <= 0 || due > writerTTL/2 {
			t.Fatalf("due in %s (%v)", due, err)
		}
		return due
	}
	provide(time.Now())
	username, password, first := writerOf(t, w)
	for _, repository := range []string{"team/app", "other/deep/app"} {
		if got := push(t, r, address, repository, username, password); got != http.StatusCreated {
			t.Errorf("push to %s: status %d", repository, got)
		}
	}
	w.Writes()
	if due := provide(time.Now()); due < writerTTL/3 || len(w.Writes()) > 0 {
		t.Error("what is fresh is written again")
	}
	provide(time.Now().Add(writerTTL/2 + time.Minute))
	if _, again, _ := writerOf(t, w); len(w.Writes()) != 1 {
		t.Errorf("at half of its time it is not written: %t", again == password)
	}

	annotate(w, "key", "key")
	if err := r.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !told(r.writer) {
		t.Error("nobody is told that the key has changed")
	}
	provide(time.Now())
	fresh, word, _ := writerOf(t, w)
	annotate(w, "key", "forget")
	if err := r.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := push(t, r, address, "team/app", username, password); got != http.StatusUnauthorized {
		t.Errorf("sealed with the forgotten key: status %d", got)
	}
	if got := push(t, r, address, "team/app", fresh, word); got != http.StatusCreated {
		t.Errorf("sealed with the new one: status %d", got)
	}
	for name, change := range map[string]func(*corev1.Secret){
		"data is gone":       func(s *corev1.Secret) { s.Data = nil },
		"annotation is gone": func(s *corev1.Secret) { s.Annotations = nil },
		"a pull credential": func(s *corev1.Secret) {
			s.Data[corev1.DockerConfigJsonKey] = bytes.ReplaceAll(s.Data[corev1.DockerConfigJsonKey], []byte(".w."), []byte(".r."))
		},
	} {
		w.Change(first, func() { change(first) })
		provide(time.Now())
		if username, password, _ := writerOf(t, w); push(t, r, address, "team/app", username, password) != http.StatusCreated {
			t.Errorf("%s: it is not written again", name)
		}
	}
}

// TestNoWriter: without the flag there is no such Secret, and nothing that is given to others can write. One of somebody else
// is not written over.
func TestNoWriter(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, optionsOf(t))
	address := serve(t, r)
	username, password, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got := push(t, r, address, "team/app", username, password); got != http.StatusForbidden {
		t.Errorf("a pull credential: status %d", got)
	}
	secrets := &corev1.SecretList{}
	if err := w.Client.List(t.Context(), secrets); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		if s.Name != "certs" && s.Name != "key" {
			t.Errorf("there is a Secret %s", s.Name)
		}
	}
	theirs := secret("writer", map[string][]byte{"note": []byte("mine")})
	w.Create(theirs)
	r.options.WriterSecret = "writer"
	if _, err := r.provideWriter(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "somebody else's") {
		t.Errorf("got %v", err)
	}
	if w.Get(theirs); string(theirs.Data["note"]) != "mine" {
		t.Error("a Secret of somebody else was written over")
	}
}

// TestWriterIsKept: a Secret that is deleted comes back, without anybody asking.
func TestWriterIsKept(t *testing.T) {
	t.Parallel()
	access, c := ours(t)
	r := runWith(t, access, c, withWriter(optionsOf(t)))
	await := func(not string) string {
		t.Helper()
		stored := secret("writer", nil)
		if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			err := c.Get(ctx, client.ObjectKeyFromObject(stored), stored)
			return err == nil && string(stored.UID) != not, nil
		}); err != nil {
			t.Fatal("there is no Secret within a minute")
		}
		return string(stored.UID)
	}
	first := await("")
	if err := c.Delete(t.Context(), secret("writer", nil)); err != nil {
		t.Fatal(err)
	}
	await(first)
	if r.unwritable.Load() {
		t.Error("the registry can't write")
	}
}
