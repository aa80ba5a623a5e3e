package registry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// curious asks what else the client could do.
type curious struct{ asked, mayPush int }

// Intercept implements registry.Interceptor.
func (c *curious) Intercept(_ http.ResponseWriter, _ *http.Request, call registry.Call) bool {
	c.asked++
	if call.MayPush() {
		c.mayPush++
	}
	return false
}

// TestMayPushIsAside: what an interceptor wants to know of a request is not one more decision on it.
func TestMayPushIsAside(t *testing.T) {
	t.Parallel()
	content, err := store.Open(t.TempDir(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	decisions := map[string]int{}
	authorizer := auth.Func(func(_ context.Context, r auth.Request) error {
		if !r.Aside {
			decisions[r.Action.String()]++
		}
		if r.Action == auth.Push {
			return auth.ErrDenied
		}
		return nil
	})
	between := &curious{}
	handler := registry.NewHandler(content, registry.Options{Authorizer: authorizer, Interceptor: between})
	defer handler.Close()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/v2/team/app/manifests/1.0.0", http.NoBody))
	if between.asked != 1 || between.mayPush != 0 || len(decisions) != 1 || decisions["pull"] != 1 {
		t.Errorf("asked %d times, may push %d times, decisions %v", between.asked, between.mayPush, decisions)
	}
}
