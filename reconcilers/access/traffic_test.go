package access_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// tagMany gives a version many names: a component has as many versions as its repository has tags.
func tagMany(t *testing.T, server *ocmtest.Server, manifest string, n int) {
	t.Helper()
	base := server.URL + "/v2/ocm/component-descriptors/" + component + "/manifests/"
	send := func(method, ref string, body []byte, mediaType string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+ref, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	known := send(http.MethodGet, manifest, nil, "")
	defer known.Body.Close()
	body, err := io.ReadAll(known.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		send(http.MethodPut, fmt.Sprintf("0.%d.0", i), body, known.Header.Get("Content-Type")).Body.Close()
	}
	server.ResetRequests()
}

// TestManyVersionsAndObjects: fifty objects that follow a component with 1754 versions cost a registry one listing in pages and
// one look at a tag each interval, and nothing that is known is read again.
func TestManyVersionsAndObjects(t *testing.T) {
	t.Parallel()
	const (
		objects, versions, rounds = 50, 1754, 4
		pages                     = 2 // of a thousand
		interval                  = 500 * time.Millisecond
	)
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	node := publish(t, w, server)
	tagMany(t, server, node.ManifestDigest, versions-1)
	server.Paginate(versions)
	woken(t.Context(), t, w.Repositories, v1alpha1.ComponentVersionKind)

	begun := time.Now()
	var running sync.WaitGroup
	for i := range objects {
		cv := follow(server.URL+"/ocm", "", "")
		cv.Name = fmt.Sprint("app-", i)
		repository, fresh := open(t, w.Repositories, cv), access.Freshness{Interval: interval}
		running.Go(func() {
			every := time.NewTicker(interval)
			defer every.Stop()
			for range rounds {
				all, err := repository.VersionsWithin(t.Context(), component, fresh)
				if err != nil || len(all) != versions || all[0] != "1.0.0" {
					t.Errorf("%d versions, %v, want %d", len(all), err, versions)
				}
				if manifest, err := repository.ResolveWithin(t.Context(), component, all[0], fresh); err != nil || manifest.String() != node.ManifestDigest {
					t.Errorf("digest is %s, %v, want %s", manifest, err, node.ManifestDigest)
				}
				<-every.C
				// The ticker may be late for one round and early for the next.
				every.Reset(interval)
			}
		})
	}
	running.Wait()
	intervals := int(time.Since(begun)/interval) + 1
	got := server.Requests()
	if lists := got["GET tags"]; lists < pages || lists > pages*intervals {
		t.Errorf("%d pages were listed in %d intervals, want %d in each", lists, intervals, pages)
	}
	if heads := got["HEAD manifests"]; heads < 1 || heads > intervals {
		t.Errorf("%d tags were looked up in %d intervals, want one in each", heads, intervals)
	}
	if got["GET manifests"] > 0 || got["GET blobs"] > 0 {
		t.Errorf("requests are %v, want nothing to be read that is known", got)
	}
}

// TestRetryAfter: a registry that wants to be left alone is, by all who use it, and is asked again afterwards; metrics tell of it.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	publish(t, w, server)
	metrics := prometheus.NewRegistry()
	p, err := access.New(access.Options{Live: w.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Bool
	server.Inject(func(rw http.ResponseWriter, _ *http.Request) bool {
		if !refused.CompareAndSwap(false, true) {
			return false
		}
		rw.Header().Set("Retry-After", "1")
		rw.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	if got, err := open(t, p, follow(server.URL+"/ocm", "", "")).VersionsSince(t.Context(), component, time.Now()); err != nil || len(got) != 1 {
		t.Fatalf("versions are %v, %v, want them when the registry answers again", got, err)
	}
	want := fmt.Sprintf(`
# HELP ocm_repository_pauses_total Answers by which a host asked to be left alone.
# TYPE ocm_repository_pauses_total counter
ocm_repository_pauses_total{host=%[1]q} 1
# HELP ocm_repository_paused_seconds_total Time for which hosts asked to be left alone, as far as they were.
# TYPE ocm_repository_paused_seconds_total counter
ocm_repository_paused_seconds_total{host=%[1]q} 1
# HELP ocm_repository_requests_total Requests to registries of components, by the status of the answer.
# TYPE ocm_repository_requests_total counter
ocm_repository_requests_total{code="200",host=%[1]q,method="GET"} 1
ocm_repository_requests_total{code="429",host=%[1]q,method="GET"} 1
`, server.Host)
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want),
		"ocm_repository_pauses_total", "ocm_repository_paused_seconds_total", "ocm_repository_requests_total"); err != nil {
		t.Error(err)
	}
}

// TestUnchangedListingsAreNotSent: a registry that names the state of a listing sends it once, and the count tells.
func TestUnchangedListingsAreNotSent(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	publish(t, w, server)
	metrics := prometheus.NewRegistry()
	p, err := access.New(access.Options{Live: w.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	server.Inject(func(rw http.ResponseWriter, req *http.Request) bool {
		if ocmtest.Class(req) != ocmtest.ClassTags {
			return false
		}
		rw.Header().Set("ETag", `"one"`)
		if req.Header.Get("If-None-Match") == `"one"` {
			rw.WriteHeader(http.StatusNotModified)
			return true
		}
		sent.Add(1)
		return false
	})
	for range 3 {
		if got, err := open(t, p, follow(server.URL+"/ocm", "", "")).VersionsSince(t.Context(), component, time.Now()); err != nil || len(got) != 1 {
			t.Fatalf("versions are %v, %v", got, err)
		}
	}
	if got := sent.Load(); got != 1 {
		t.Errorf("the listing was sent %d times, want once", got)
	}
	want := `
# HELP ocm_repository_conditional_total Answers about listings and manifests of tags, by whether what is remembered has not changed and was not sent again.
# TYPE ocm_repository_conditional_total counter
ocm_repository_conditional_total{kind="tags",result="changed"} 1
ocm_repository_conditional_total{kind="tags",result="same"} 2
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "ocm_repository_conditional_total"); err != nil {
		t.Error(err)
	}
}
