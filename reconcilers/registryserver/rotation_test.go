package registryserver

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/certs"
)

// annotate asks for a rotation of what is in a Secret.
func annotate(w *reconcilertest.World, name, what string) *corev1.Secret {
	stored := secret(name, nil)
	w.Change(stored, func() { stored.Annotations = map[string]string{rotateAnnotation: what} })
	return stored
}

func told(listener <-chan struct{}) bool {
	select {
	case <-listener:
		return true
	default:
		return false
	}
}

// TestRotationOnDemand rotates each part by an annotation, which goes. Those who trusted before trust still, and those who
// give Flux the trust are told when that is another one.
func TestRotationOnDemand(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, optionsOf(t))
	changed := r.Changes()
	address := serve(t, r)
	for _, step := range []struct {
		what  string
		tells bool
	}{
		{"certificate", false},
		{"authority", true},
		{"authority", true},
		{"forget", true},
		{"everything", false},
	} {
		before, first := r.CA(), secret("certs", nil)
		w.Get(first)
		stored := annotate(w, "certs", step.what)
		r.look(t.Context())
		w.Get(stored)
		if _, asked := stored.Annotations[rotateAnnotation]; asked {
			t.Errorf("%s: the annotation stays", step.what)
		}
		if same := bytes.Equal(stored.Data[corev1.TLSCertKey], first.Data[corev1.TLSCertKey]); same != (step.what == "everything") {
			t.Errorf("%s: the certificate is the same: %t", step.what, same)
		}
		if got := told(changed); got != step.tells {
			t.Errorf("%s: told of another trust is %t", step.what, got)
		}
		for name, trust := range map[string][]byte{"before": before, "now": r.CA()} {
			if status, err := ask(t, address, trust, "", ""); err != nil || status != http.StatusUnauthorized {
				t.Errorf("%s: with the trust of %s: status %d (%v)", step.what, name, status, err)
			}
		}
		w.Writes()
		r.look(t.Context())
		if writes := w.Writes(); len(writes) > 0 {
			t.Errorf("%s: a second look writes %v", step.what, writes)
		}
	}
}

// TestKeyRotation: what is sealed with the key before stays good and is to be replaced, until that key is forgotten.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, withArtifacts(optionsOf(t)))
	late := newRegistry(t, w.Client, withArtifacts(optionsOf(t))) // looks at nothing by itself
	changed := r.Changes()
	address, lateAddress := serve(t, r), serve(t, late)
	status := func(address, username, password string) int {
		t.Helper()
		got, err := ask(t, address, r.CA(), username, password)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	username, password, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	stored := annotate(w, "key", "key")
	r.look(t.Context())
	w.Get(stored)
	if stored.Annotations[rotateAnnotation] != "" || len(stored.Data[previousKey]) != keyBytes || bytes.Equal(stored.Data[previousKey], stored.Data[credentialKey]) {
		t.Errorf("Secret has annotations %v and %d keys", stored.Annotations, len(stored.Data))
	}
	if !told(changed) {
		t.Error("nobody is told of the new key")
	}
	if got := status(address, username, password); got != http.StatusNotFound {
		t.Errorf("what was sealed before: status %d, want that it is let in", got)
	}
	if r.Valid(t.Context(), "team/app", username, password) {
		t.Error("what was sealed before needs not be replaced")
	}
	fresh, word, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got := status(lateAddress, fresh, word); got != http.StatusNotFound {
		t.Errorf("a replica that has not heard of the key: status %d", got)
	}
	if !r.Valid(t.Context(), "team/app", fresh, word) || !late.Valid(t.Context(), "team/app", fresh, word) {
		t.Error("what was sealed now is to be replaced")
	}
	annotate(w, "key", "forget")
	r.look(t.Context())
	if told(changed) {
		t.Error("nothing is to be replaced when the key before is forgotten")
	}
	if got := status(address, username, password); got != http.StatusUnauthorized {
		t.Errorf("what was sealed with the forgotten key: status %d", got)
	}
	if got := status(address, fresh, word); got != http.StatusNotFound {
		t.Errorf("what was sealed with the current one: status %d", got)
	}
	stored = annotate(w, "key", "certificate")
	before := bytes.Clone(stored.Data[credentialKey])
	r.look(t.Context())
	w.Get(stored)
	if !bytes.Equal(stored.Data[credentialKey], before) || stored.Annotations[rotateAnnotation] != "" {
		t.Error("an annotation that means nothing has changed the key, or stays")
	}
}

// TestSecretsOfOthers are rotated by whoever has made them. One that is broken, or half written, is told of and not used.
func TestSecretsOfOthers(t *testing.T) {
	t.Parallel()
	ours, theirs := made(t, 0), made(t, 0)
	given := func(b certs.Bundle) map[string][]byte {
		return map[string][]byte{caCertKey: b.CACert, corev1.TLSCertKey: b.Cert, corev1.TLSPrivateKeyKey: b.Key}
	}
	elsewhere, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	w := reconcilertest.New(t, secret("certs", given(ours)))
	r := newRegistry(t, w.Client, optionsOf(t))
	recorder := record.NewFakeRecorder(100)
	r.health.recorder = recorder
	var lines []string
	r.log = funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	address, changed := serve(t, r), r.Changes()
	stored := secret("certs", nil)
	for _, step := range []struct {
		name   string
		data   map[string][]byte
		good   bool
		reason string
	}{
		{"no key", map[string][]byte{caCertKey: theirs.CACert, corev1.TLSCertKey: theirs.Cert}, false, "half written"},
		{"other key", map[string][]byte{caCertKey: theirs.CACert, corev1.TLSCertKey: theirs.Cert, corev1.TLSPrivateKeyKey: ours.Key}, false, "half written"},
		{"other authority", map[string][]byte{caCertKey: ours.CACert, corev1.TLSCertKey: theirs.Cert, corev1.TLSPrivateKeyKey: theirs.Key}, false, "Flux would refuse it"},
		{"other host", given(elsewhere), false, "Flux would refuse it"},
		{"no PEM", map[string][]byte{corev1.TLSCertKey: []byte("x"), corev1.TLSPrivateKeyKey: []byte("y")}, false, "broken"},
		{"complete", given(theirs), true, "rotated by its owner"},
		{"no authority", map[string][]byte{corev1.TLSCertKey: theirs.Cert, corev1.TLSPrivateKeyKey: theirs.Key}, true, "the system knows it"},
		{"over the operator's own", map[string][]byte{
			caCertKey: theirs.CACert, caKeyKey: ours.CAKey, corev1.TLSCertKey: theirs.Cert, corev1.TLSPrivateKeyKey: theirs.Key,
		}, true, "cert-manager leaves keys that it doesn't know"},
	} {
		before := r.CA()
		w.Change(stored, func() { stored.Data = step.data })
		for range 3 {
			r.look(t.Context())
		}
		value := testutil.ToFloat64(r.health.broken.WithLabelValues("certs"))
		if (value == 0) != step.good {
			t.Errorf("%s: invalid is %v (%s)", step.name, value, step.reason)
		}
		trust := ours.CACert
		if step.good {
			trust = theirs.CACert
		}
		if !step.good && !bytes.Equal(r.CA(), before) {
			t.Errorf("%s: other certificates are trusted", step.name)
		}
		if status, err := ask(t, address, trust, "", ""); err != nil || status != http.StatusUnauthorized {
			t.Errorf("%s: status %d (%v): %s", step.name, status, err, step.reason)
		}
		events := len(recorder.Events)
		if last := drain(recorder); (events == 0) != step.good || !step.good && (events != 1 || !strings.Contains(last, "Warning InvalidSecret")) {
			t.Errorf("%s: %d events, such as %q", step.name, events, last)
		}
	}
	if !told(changed) {
		t.Error("nobody is told of the other authority")
	}
	for _, line := range lines {
		if strings.Contains(line, "PRIVATE KEY") {
			t.Errorf("the log has a key: %s", line)
		}
	}
	expiry := testutil.ToFloat64(r.health.expires.WithLabelValues("serving"))
	if end, _ := theirs.Expiry(); expiry != float64(end.Unix()) {
		t.Errorf("the certificate is said to end at %v", expiry)
	}
	annotate(w, "certs", "authority")
	r.look(t.Context())
	if w.Get(stored); !bytes.Equal(stored.Data[corev1.TLSCertKey], theirs.Cert) {
		t.Error("somebody else's certificate was rotated")
	}
}

func drain(recorder *record.FakeRecorder) string {
	var last string
	for {
		select {
		case last = <-recorder.Events:
		default:
			return last
		}
	}
}

// TestKeyThatCantBeRead leaves the one that is known.
func TestKeyThatCantBeRead(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, optionsOf(t))
	username, password, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	stored := secret("key", nil)
	w.Change(stored, func() { stored.Data = map[string][]byte{credentialKey: []byte("short")} })
	r.look(t.Context())
	if testutil.ToFloat64(r.health.broken.WithLabelValues("key")) != 1 || !r.Valid(t.Context(), "team/app", username, password) {
		t.Error("a key that is too short is used, or not told of")
	}
}
