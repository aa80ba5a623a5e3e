package access_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestOwnProxyDecidesForNobodyElse: what somebody's own proxy says in the name of a registry that others use is neither what the
// others read, nor does it keep them from the registry.
func TestOwnProxyDecidesForNobodyElse(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	server.Inject(func(rw http.ResponseWriter, req *http.Request) bool {
		if ocmtest.Class(req) == ocmtest.ClassTags {
			rw.Header().Set("ETag", `"guessed"`)
		}
		if req.Header.Get("If-None-Match") != `"guessed"` {
			return false
		}
		rw.WriteHeader(http.StatusNotModified)
		return true
	})
	asked := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if asked++; asked > 1 {
			rw.Header().Set("Retry-After", "600")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		rw.Header().Set("ETag", `"guessed"`)
		fmt.Fprint(rw, `{"tags":["6.6.6"]}`)
	}))
	t.Cleanup(proxy.Close)
	w := reconcilertest.New(t, secret("proxy", map[string]string{"address": proxy.URL}))
	publish(t, w, server)
	metrics := prometheus.NewRegistry()
	p := provider(t, access.Options{Live: w.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Metrics: metrics})
	theirs := follow(server.URL+"/ocm", "", "")
	theirs.Spec.Repository.ProxySecretRef = &meta.LocalObjectReference{Name: "proxy"}
	list := func(r *access.Repository) ([]string, error) {
		return r.VersionsSince(t.Context(), component, time.Now())
	}
	if got, err := list(open(t, p, theirs)); err != nil || !slices.Equal(got, []string{"6.6.6"}) {
		t.Fatalf("versions by the proxy are %v, %v", got, err)
	}
	if got, err := list(open(t, p, theirs)); err == nil || !strings.Contains(err.Error(), "429") {
		t.Fatalf("versions by the proxy are %v, %v, want that it wants to be left alone", got, err)
	}
	if got, err := list(open(t, p, follow(server.URL+"/ocm", "", ""))); err != nil || !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("versions are %v, %v, want those that the registry has", got, err)
	}
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(""), "ocm_repository_waits_total"); err != nil {
		t.Errorf("somebody was kept back: %v", err)
	}
}
