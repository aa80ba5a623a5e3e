package fluxdeployer_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
)

// TestModesOfTheRegistry restarts the operator with other flags and Secrets. Flux is left with nothing of the mode before.
func TestModesOfTheRegistry(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	key := "1"
	for _, mode := range []struct {
		name     string
		adjust   func(*fluxdeployer.Registry)
		insecure any
		ca       string
	}{
		{"TLS", func(*fluxdeployer.Registry) {}, nil, "certificates"},
		{"plain HTTP", func(r *fluxdeployer.Registry) { r.PlainHTTP = true }, true, ""},
		{"TLS again", func(*fluxdeployer.Registry) {}, nil, "certificates"},
		{"rotated", func(r *fluxdeployer.Registry) { r.CA = func() []byte { return []byte("others") }; key = "2" }, nil, "others"},
		{"the system's authority", func(r *fluxdeployer.Registry) { r.CA = func() []byte { return nil } }, nil, ""},
		{"plain HTTP with certificates around", func(r *fluxdeployer.Registry) { r.PlainHTTP = true }, true, ""},
		{"TLS in the end", func(*fluxdeployer.Registry) {}, nil, "certificates"},
	} {
		access := registry()
		access.Valid = func(_ context.Context, _, _, password string) bool { return password == key }
		access.Issue = func(repository string, _ time.Duration) (username, password string, err error) {
			return repository, key, nil
		}
		mode.adjust(&access)
		s.Controller = s.Install(fluxdeployer.Plugin(fluxdeployer.Options{Lifecycle: s.Lifecycle, Registry: access, Foreign: s.Foreign}))
		s.Reconcile(d)
		wantConditions(t, d, ready)
		spec, _ := s.flux(ociRepository).Object["spec"].(map[string]any)
		var authority any
		if mode.ca != "" {
			authority = map[string]any{"name": "app-registry-ca"}
		}
		got := []any{spec["insecure"], spec["certSecretRef"], spec["secretRef"]}
		if diff := cmp.Diff([]any{mode.insecure, authority, map[string]any{"name": "app-registry-pull"}}, got); diff != "" {
			t.Errorf("%s: OCIRepository (-want +got):\n%s", mode.name, diff)
		}
		secret := s.secret("app-registry-ca")
		if (secret != nil) != (mode.ca != "") || secret != nil && string(secret.Data["ca.crt"]) != mode.ca {
			t.Errorf("%s: Secret with certificates is %v, want %q", mode.name, secret, mode.ca)
		}
		s.Writes()
		s.Reconcile(d)
		if writes := s.Writes(); len(writes) > 0 {
			t.Errorf("%s: a second look writes %v", mode.name, writes)
		}
	}
}
