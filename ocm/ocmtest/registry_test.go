package ocmtest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestClass(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/v2/":                         ocmtest.ClassOther,
		"/v2/a/tags/list":              ocmtest.ClassTags,
		"/v2/a/b/manifests/1.0.0":      ocmtest.ClassManifests,
		"/v2/a/blobs/sha256:12":        ocmtest.ClassBlobs,
		"/v2/a/blobs/uploads/":         ocmtest.ClassUploads,
		"/v2/a/blobs/uploads/some-id":  ocmtest.ClassUploads,
		"/v2/tags/manifests/manifests": ocmtest.ClassManifests,
	} {
		if got := ocmtest.Class(httptest.NewRequest(http.MethodGet, path, http.NoBody)); got != want {
			t.Errorf("Class(%s) = %s, want %s", path, got, want)
		}
	}
}

// TestPublishWithLogin also shows that every request is counted, those that are
// refused included.
func TestPublishWithLogin(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	server.RequireLogin("alice", "p")
	o := ocm.Options{Credentials: credentials.FromBasic(server.Host, "alice", "p")}
	c := ocmtest.Component{Name: "acme.org/shop", Version: "1.0.0"}
	first, err := c.Publish(t.Context(), server.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	if requests := server.Requests(); requests["PUT manifests"] != 1 || requests["PUT uploads"] != 2 {
		t.Errorf("requests = %v", requests)
	}
	server.ResetRequests()
	again, err := c.Publish(t.Context(), server.URL, o)
	if err != nil || again != first {
		t.Errorf("second Publish = %s, %v, want %s", again, err, first)
	}
	if diff := cmp.Diff(map[string]int{"GET manifests": 2}, server.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestBuildRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, _, err := (ocmtest.Component{Name: "shop", Version: "1.0.0"}).Build(); err == nil {
		t.Error("Build accepts a name that is no component name")
	}
}
