package ocm_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
)

// tagged publishes one version and lets n more tags point to it; every tenth is
// no version.
func tagged(t *testing.T, n int) *ocmtest.Server {
	t.Helper()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("0.0.1"))
	repo := repository(t, server)
	m, err := repo.Manifest(t.Context(), "0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < n; i++ {
		tag := fmt.Sprintf("1.%d.%d", i/10, i%10)
		if i%10 == 0 {
			tag = fmt.Sprintf("nightly-%d", i)
		}
		if _, err := repo.PushManifest(t.Context(), ocispec.MediaTypeImageManifest, m.Bytes, tag); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

func TestListThousandTags(t *testing.T) {
	t.Parallel()
	server := tagged(t, 1000)
	for name, page := range map[string]int{"one page": 0, "pages of 7": 7, "pages of 100": 100, "last page is full": 500} {
		t.Run(name, func(t *testing.T) {
			server.Paginate(page)
			server.ResetRequests()
			got, err := open(t, server.URL, ocm.Options{}).ListVersions(t.Context(), shop)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 901 || got[0] != "1.99.9" || got[900] != "0.0.1" {
				t.Errorf("%d versions from %s to %s, want 901 from 1.99.9 to 0.0.1", len(got), got[0], got[len(got)-1])
			}
			if !slices.Equal(got, versions.Sort(got)) {
				t.Error("the versions are not sorted")
			}
			want := 1
			if page > 0 {
				want = (1000 + page - 1) / page
			}
			if requests := server.Requests()["GET tags"]; requests != want {
				t.Errorf("%d requests, want %d", requests, want)
			}
			newest, err := versions.Select(got, "~1.41")
			if err != nil || len(newest) != 9 || newest[0] != "1.41.9" {
				t.Errorf("Select = %v, %v", newest, err)
			}
		})
	}
}

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	server := tagged(t, 50)
	server.Paginate(10)
	endless := ocmtest.Start(t)
	endless.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		w.Header().Set("Link", "<"+req.URL.Path+`>; rel="next"`)
		_, _ = w.Write([]byte(`{"tags":["1.0.0"]}`))
		return true
	})
	for name, tc := range map[string]struct {
		server *ocmtest.Server
		limits ocm.Limits
	}{
		"pages":        {server, ocm.Limits{TagPages: 4}},
		"tags":         {server, ocm.Limits{Tags: 49}},
		"endless list": {endless, ocm.Limits{TagPages: 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, tc.server.URL, ocm.Options{Limits: tc.limits}).ListVersions(t.Context(), shop)
			if !errors.Is(err, ocm.ErrTooLarge) {
				t.Errorf("ListVersions = %v, want ErrTooLarge", err)
			}
		})
	}
}
