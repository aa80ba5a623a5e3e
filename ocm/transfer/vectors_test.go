package transfer_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// requestsFor returns what a signed vector satisfies.
func requestsFor(t testing.TB, s *vectors.Signed) []signing.Request {
	t.Helper()
	if s.Signature != vectors.ChainSignature {
		return requestOf(t, s.Signature, vectors.Key(t, "good.pub.pem"))
	}
	authority, err := signing.NewAuthority(vectors.Key(t, "ca.crt.pem"), vectors.ChainSubject)
	if err != nil {
		t.Fatal(err)
	}
	return []signing.Request{{Name: s.Signature, Authority: authority}}
}

// optionsFor returns the options that have a vector verified on both sides, unless
// it is broken.
func optionsFor(t testing.TB, s *vectors.Signed, o transfer.Options) transfer.Options {
	t.Helper()
	if s.Broken == "" {
		o.Verify = requestsFor(t, s)
	}
	return o
}

// verified has a verifier that knows nothing of transfers read everything, digest by
// digest, and compares the canonical texts.
func verified(t testing.TB, s *vectors.Signed, repo *ocm.Repository, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, texts(t, repo, s.Component, s.Version)); diff != "" {
		t.Errorf("%s: canonical texts differ (-source +target):\n%s", repo.URL(), diff)
	}
	if s.Broken != "" {
		return
	}
	root := get(t, repo, s.Component, s.Version)
	if _, err := verify.Verify(t.Context(), source{repo}, root, requestsFor(t, s), verify.Options{}); err != nil {
		t.Errorf("%s: %v", repo.URL(), err)
	}
}

// ways are those to transfer a vector into a registry.
var ways = map[string]transfer.Options{
	"by value":     {},
	"local":        {Artifacts: transfer.LocalArtifacts},
	"packed":       {Artifacts: transfer.PackedArtifacts},
	"by reference": {Resources: transfer.NoResources},
	"with sources": {Resources: transfer.LocalResources, Sources: true, OmitAccessTypes: []string{"gitHub"}},
}

// alike tells vectors that differ in their signatures only, one of which is enough
// to go all ways.
func alike(s *vectors.Signed) bool {
	name, ok := strings.CutPrefix(s.Place, "classic/signed-RSASSA-")
	if !ok {
		name, ok = strings.CutPrefix(s.Place, "new/signed-")
	}
	return ok && name != "PKCS1-V1_5-SHA-256-v1"
}

// TestSignedVectors transfers everything that the reference tools signed in all
// ways, and verifies it at the target. A second time there is nothing to do.
func TestSignedVectors(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	for _, s := range vectors.AllSigned() {
		for name, way := range ways {
			if alike(&s) && name != "by value" {
				continue
			}
			t.Run(strings.ReplaceAll(s.Place, "/", " ")+"/"+name, func(t *testing.T) {
				t.Parallel()
				url, _ := vectors.Serve(t, s.Place)
				from := open(t, url, o)
				server := ocmtest.Start(t)
				target := open(t, server.URL+"/mirror", o)
				options := optionsFor(t, &s, way)
				result := run(t, from, target, s.Component, s.Version, options)
				// This registry has blobs of one repository in all others, too.
				if result.Copied+result.Present != result.Blobs || result.Copied == 0 || result.CopiedBytes > result.Bytes {
					t.Errorf("result is %+v, not all was copied", result)
				}
				verified(t, &s, target, texts(t, from, s.Component, s.Version))
				server.ResetRequests()
				again := run(t, from, target, s.Component, s.Version, options)
				if again.Present != again.Blobs || written(server) != 0 {
					t.Errorf("the second time the result is %+v, with %d requests that write", again, written(server))
				}
				for i, v := range again.Versions {
					if v.Outcome != transfer.Unchanged || v.Target != result.Versions[i].Target {
						t.Errorf("the second time %+v, the first time %+v", v, result.Versions[i])
					}
				}
			})
		}
	}
}

// TestVectorsThroughArchives transfers everything that was signed into archives of
// all forms, and from there into a registry.
func TestVectorsThroughArchives(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	for _, s := range vectors.AllSigned() {
		for _, form := range []string{"folder", "archive.tar", "archive.tgz", "packed.tgz"} {
			if alike(&s) && form != "archive.tgz" {
				continue
			}
			t.Run(strings.ReplaceAll(s.Place, "/", " ")+"/"+form, func(t *testing.T) {
				t.Parallel()
				url, _ := vectors.Serve(t, s.Place)
				from := open(t, url, o)
				want := texts(t, from, s.Component, s.Version)
				path := filepath.Join(t.TempDir(), form)
				written := archive(t, path, o)
				options := optionsFor(t, &s, transfer.Options{})
				if strings.HasPrefix(form, "packed") {
					options.Artifacts = transfer.PackedArtifacts
				}
				run(t, from, written, s.Component, s.Version, options)
				closed(t, written)
				// What is read from now on has no images outside.
				read := archive(t, path, local(t))
				defer closed(t, read)
				verified(t, &s, read, want)
				target := open(t, ocmtest.Start(t).URL, local(t))
				run(t, read, target, s.Component, s.Version, optionsFor(t, &s, transfer.Options{}))
				verified(t, &s, target, want)
			})
		}
	}
}

// TestImagesAreIdentical compares the bytes and the media types of images with all
// their platforms, as a registry serves them after two transfers through an archive.
func TestImagesAreIdentical(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	const root = "vectors.example/orchard/root"
	for _, place := range []string{"registry/byref", "registry/byvalue", "registry/nouploads", "registry/relative"} {
		t.Run(strings.TrimPrefix(place, "registry/"), func(t *testing.T) {
			t.Parallel()
			url, _ := vectors.Serve(t, place)
			server := ocmtest.Start(t)
			exported := archive(t, filepath.Join(t.TempDir(), "export.tgz"), o)
			defer closed(t, exported)
			run(t, open(t, url, o), exported, root, vectors.Version, transfer.Options{})
			run(t, exported, open(t, server.URL+"/mirror", local(t)), root, vectors.Version, transfer.Options{})
			form := ""
			if place == "registry/byvalue" || place == "registry/relative" {
				form = strings.TrimPrefix(place, "registry/") + "/"
			}
			found := 0
			for _, a := range vectors.Registered() {
				for _, image := range []string{"orchard/pear-web", "orchard/pear-multi", "orchard/charts/pear"} {
					if a.Repository != image {
						continue
					}
					found++
					want := fetch(t, vectors.Images(t).URL+"/v2/"+image+"/manifests/"+a.Tag)
					got := fetch(t, server.URL+"/v2/mirror/"+form+image+"/manifests/"+a.Tag)
					if want != got {
						t.Errorf("%s:%s is %q, want %q", image, a.Tag, got, want)
					}
				}
			}
			if found < 3 {
				t.Errorf("%d images were compared", found)
			}
		})
	}
}

// fetch returns the media type and the body of a manifest.
func fetch(t testing.TB, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", url, resp.StatusCode, body, err)
	}
	return resp.Header.Get("Content-Type") + "\n" + string(body)
}
