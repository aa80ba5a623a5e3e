package pipeline_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestAccessEndsAtTheRepository shows that what Flux gets to pull one snapshot opens nothing else.
func TestAccessEndsAtTheRepository(t *testing.T) {
	mine, theirs := e2etest.Shared(t), e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	for _, e := range []*e2etest.Env{mine, theirs} {
		e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: hello}")
		arrives(e, imageRegistry+"/podinfo:6.3.6", "hello")
	}
	me, they := mine.Puller("podinfo"), theirs.Puller("podinfo")
	manifestOf := func(p *e2etest.Puller) string { return fmt.Sprintf("/v2/%s/manifests/%s", p.Repository, p.Manifest) }
	anonymous := *me
	anonymous.Username = ""
	forged := *me
	forged.Password += "x"
	source := mine.Wait("Resource", "manifests", e2etest.Ready)
	status, _ := source.Object["status"].(map[string]any)
	unshared := fmt.Sprintf("/v2/%s/%v/manifests/%v", mine.Namespace, status["snapshotName"], status["latestManifestDigest"])

	for name, request := range map[string]struct {
		reason       string
		as           *e2etest.Puller
		method, path string
		allowed      bool
	}{
		"own snapshot":             {"that is what it is for", me, http.MethodGet, manifestOf(me), true},
		"foreign namespace":        {"tenants don't see each other", me, http.MethodGet, manifestOf(they), false},
		"foreign namespace, again": {"in both directions", they, http.MethodGet, manifestOf(me), false},
		"other snapshot":           {"a deployer gets what it deploys, not what it was made from", me, http.MethodGet, unshared, false},
		"anonymous":                {"nobody reads without a credential", &anonymous, http.MethodGet, manifestOf(me), false},
		"forged":                   {"the password is checked", &forged, http.MethodGet, manifestOf(me), false},
		"catalog":                  {"the names of others are theirs", me, http.MethodGet, "/v2/_catalog", false},
		"push":                     {"reading is not writing", me, http.MethodPost, "/v2/" + me.Repository + "/blobs/uploads/", false},
		"delete":                   {"reading is not writing", me, http.MethodDelete, manifestOf(me), false},
	} {
		t.Run(name, func(t *testing.T) {
			got, body := request.as.Request(t.Context(), request.method, request.path)
			refused := got == http.StatusUnauthorized || got == http.StatusForbidden
			if request.allowed != (got == http.StatusOK) || request.allowed == refused {
				t.Errorf("%s: %s %s has status %d: %s", request.reason, request.method, request.path, got, body)
			}
		})
	}
}
