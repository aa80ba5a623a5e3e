package fluxdeployer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// counting counts what is read through it.
type counting struct {
	client.Reader
	gets int
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	c.gets++
	return c.Reader.Get(ctx, key, obj, opts...)
}

// TestSecretsAreReadOnce: a deployer with nothing to do asks the server for nothing.
func TestSecretsAreReadOnce(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	live := &counting{Reader: w.Client}
	s := newSecrets(w.Client, live)
	key := types.NamespacedName{Namespace: reconcilertest.Namespace, Name: "x"}
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("x"), Data: map[string][]byte{"a": []byte("1")}}
	for _, step := range []struct {
		name   string
		before func()
		gets   int
		want   string
		reason string
	}{
		{"missing", func() {}, 0, "", "the cache says so"},
		{"there", func() { w.Create(secret) }, 1, "1", "its content is not cached"},
		{"again", func() {}, 0, "1", "nothing was written since"},
		{"changed", func() { w.Change(secret, func() { secret.Data["a"] = []byte("2") }) }, 1, "2", "somebody wrote it"},
		{"our own write", func() { w.Change(secret, func() { secret.Data["a"] = []byte("3") }); s.remember(secret) }, 0, "3", "we know what we wrote"},
		{"forgotten", func() { s.forget(key) }, 1, "3", "the process has begun anew"},
		{"made again", func() {
			w.Delete(secret)
			secret.ResourceVersion, secret.UID, secret.Data["a"] = "", "", []byte("4")
			w.Create(secret)
		}, 1, "4", "it is another one"},
		{"gone", func() { w.Delete(secret) }, 0, "", "the cache says so"},
	} {
		step.before()
		live.gets = 0
		got, err := s.get(t.Context(), key)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if live.gets != step.gets || (got == nil) != (step.want == "") || got != nil && string(got.Data["a"]) != step.want {
			t.Errorf("%s: read %d times and got %v, want %d times and %q: %s", step.name, live.gets, got, step.gets, step.want, step.reason)
		}
	}
	if len(s.known) != 0 {
		t.Errorf("Secrets that are gone are still remembered: %d", len(s.known))
	}
}

func TestUpToDate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		known, cached string
		uid           types.UID
		want          bool
		reason        string
	}{
		"same":           {"7", "7", "a", true, "that is what was read"},
		"cache behind":   {"7", "5", "a", true, "it has not seen our write yet"},
		"cache ahead":    {"7", "9", "a", false, "somebody wrote since"},
		"another object": {"7", "5", "b", false, "it was made again"},
		"no numbers":     {"x", "y", "a", false, "they can't be compared"},
	} {
		known := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{UID: "a", ResourceVersion: tc.known}}
		stub := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: tc.uid, ResourceVersion: tc.cached}}
		if got := upToDate(known, stub); got != tc.want {
			t.Errorf("%s: %t, want %t: %s", name, got, tc.want, tc.reason)
		}
	}
}
