package remote_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/snapshot/remote"
)

// TestStrangersGetNoPassword sends the operator elsewhere: to a service for tokens on a foreign host without TLS, and to another port.
func TestStrangersGetNoPassword(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		secure bool
		lead   func(w http.ResponseWriter, r *http.Request, stranger string)
	}{
		"realm of a foreign host": {false, func(w http.ResponseWriter, _ *http.Request, stranger string) {
			w.Header().Set("Www-Authenticate", `Bearer realm="`+stranger+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}},
		"redirect to another port": {true, func(w http.ResponseWriter, r *http.Request, stranger string) {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("Www-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(w, r, stranger+"/elsewhere", http.StatusTemporaryRedirect)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told atomic.Bool
			stranger := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" || r.ParseForm() == nil && r.Form.Get("password") != "" {
					told.Store(true)
				}
				w.WriteHeader(http.StatusNotFound)
			}))
			if tc.secure {
				stranger.StartTLS()
			} else {
				stranger.Start()
			}
			defer stranger.Close()
			registry := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tc.lead(w, r, stranger.URL) }))
			defer registry.Close()
			trusted := certificateOf(registry)
			if tc.secure {
				trusted += certificateOf(stranger)
			}
			s, err := remote.New(remote.Options{Host: registry.Listener.Addr().String(), Dir: t.TempDir(), Access: func(context.Context) (remote.Access, error) {
				return remote.Access{Username: "writer", Password: "secret", CertificateAuthority: trusted}, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			repository, err := s.Repository("a/b")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repository.StatBlob(t.Context(), digest.FromString("x")); err == nil || told.Load() {
				t.Errorf("a stranger was told the password: %v, %v", told.Load(), err)
			}
		})
	}
}
