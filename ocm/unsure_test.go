package ocm_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// answer returns a fault that answers requests whose path has a part.
func answer(part, contentType string, status int, body string) ocmtest.Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, part) {
			return false
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		if req.Method != http.MethodHead {
			_, _ = w.Write([]byte(body)) // the client is gone if this fails
		}
		return true
	}
}

// either returns a fault that is one of several.
func either(faults ...ocmtest.Fault) ocmtest.Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		return slices.ContainsFunc(faults, func(f ocmtest.Fault) bool { return f(w, req) })
	}
}

// elsewhere returns a fault that sends requests to where none may go.
func elsewhere(part string) ocmtest.Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, part) {
			return false
		}
		http.Redirect(w, req, "http://169.254.169.254/", http.StatusTemporaryRedirect)
		return true
	}
}

// TestNoiseIsNoRefusal refuses a component version for what the registry says, and not for what something between here
// and the registry does: an older version would be taken in its place.
func TestNoiseIsNoRefusal(t *testing.T) {
	t.Parallel()
	const (
		html, json  = "text/html; charset=utf-8", "application/json"
		page        = "<html>log in</html>"
		allOfShop   = "/component-descriptors/acme.org/shop/"
		allOfLeaf   = "/component-descriptors/acme.org/leaf/"
		noBlob      = `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}`
		noManifest  = `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`
		noName      = `{"errors":[{"code":"NAME_UNKNOWN","message":"name unknown"}]}`
		artifact404 = `{"errors":[{"code":"NOT_FOUND","message":"artifact acme.org/leaf:1.0.0 not found"}]}`
	)
	by, pem := ocmtest.SignerOf(t, "ops")
	keys, err := signing.ParsePublicKeys(pem)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		fault   ocmtest.Fault
		is      error
		refused bool
	}{
		"blob, says the registry":       {answer(allOfShop+"blobs/", json, 404, noBlob), ocm.ErrNotFound, true},
		"blob, says a proxy":            {answer(allOfShop+"blobs/", html, 404, page), ocm.ErrNotFound, false},
		"blob, says nobody":             {answer(allOfShop+"blobs/", "", 404, ""), ocm.ErrNotFound, false},
		"blob, another error":           {answer(allOfShop+"blobs/", json, 404, `{"errors":[{"code":"UNKNOWN"}]}`), ocm.ErrNotFound, false},
		"blob is other content":         {answer(allOfShop+"blobs/", "application/octet-stream", 200, "evil"), errMismatch, true},
		"blob is a page":                {answer(allOfShop+"blobs/", html, 200, page), errMismatch, false},
		"blob is a page of its size":    {answer(allOfShop+"blobs/", html, 200, "page"), errMismatch, false},
		"reference, says the registry":  {answer(allOfLeaf+"manifests/", json, 404, noManifest), ocm.ErrNotFound, true},
		"reference, says another one":   {answer(allOfLeaf, json, 404, artifact404), ocm.ErrNotFound, true},
		"reference, says a proxy":       {answer(allOfLeaf, html, 404, page), ocm.ErrNotFound, false},
		"listed, but a proxy says no":   {answer(allOfLeaf+"manifests/", html, 404, page), ocm.ErrNotFound, false},
		"reference is a page":           {answer(allOfLeaf, html, 200, page), nil, false},
		"image, says the registry":      {answer("/images/", json, 404, noName), ocm.ErrNotFound, true},
		"image, says a proxy":           {answer("/images/", html, 404, page), ocm.ErrNotFound, false},
		"image is a page":               {answer("/images/", html, 200, page), errMismatch, false},
		"image, and another one":        {either(answer("/images/web/manifests/sha256:", html, 404, page), answer("/images/web/manifests/1", json, 200, "{}")), ocm.ErrNotFound, false},
		"redirect to where none may go": {elsewhere(allOfShop + "blobs/"), ocm.ErrHostRefused, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			leaf := ocmtest.Component{Name: "acme.org/leaf", Version: "1.0.0"}
			publish(t, server.URL, leaf)
			image := artifact(t, server.URL+"/images/web:1", ocmtest.Chart("web", "1.0.0", []byte("chart")))
			publish(t, server.URL, ocmtest.Component{
				Name: shop, Version: "1.0.0", Signatures: []ocmtest.Signature{{Name: "ops", Signer: by}},
				References: []ocmtest.Reference{{Name: "leaf", To: &leaf}},
				Resources: []ocmtest.Resource{
					{Name: "config", Content: []byte("good")},
					{Name: "image", Image: server.URL + "/images/web:1", Digest: descriptor.NewArtifactDigest(image)},
				},
			})
			repo := open(t, server.URL, ocm.Options{})
			root, err := repo.Get(t.Context(), shop, "1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			server.Inject(tc.fault)
			_, err = verify.Verify(t.Context(), source{repo}, root, []signing.Request{{Name: "ops", Keys: keys}}, verify.Options{})
			if errors.Is(err, verify.ErrRefused) != tc.refused || err == nil {
				t.Errorf("Verify = %v, want refused %t because of %v", err, tc.refused, tc.is)
			}
			if tc.is != nil {
				outcome(t, "", err, "", tc.is)
			}
		})
	}
}
