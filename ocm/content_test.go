package ocm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func accessOf(t *testing.T, v any) *descriptor.Access {
	t.Helper()
	a, err := descriptor.NewAccess(v)
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func artifact(t *testing.T, reference string, a ocmtest.Artifact) digest.Digest {
	t.Helper()
	d, err := a.Publish(t.Context(), reference, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestContent reads resources of every kind, and expects errors that can be
// matched from those that have no content.
func TestContent(t *testing.T) {
	t.Parallel()
	server, other := ocmtest.Start(t), ocmtest.Start(t)
	text := func(s string) ocmtest.Layer { return ocmtest.Layer{MediaType: "text/plain", Content: []byte(s)} }
	chart := artifact(t, other.URL+"/charts/web:1.0.0", ocmtest.Chart("web", "1.0.0", []byte("chart")))
	one := artifact(t, server.URL+"/files/one:1", ocmtest.Artifact{Layers: []ocmtest.Layer{text("one")}})
	artifact(t, server.URL+"/images/two:1", ocmtest.Artifact{Layers: []ocmtest.Layer{text("a"), text("b")}})
	pushIndex(t, server)

	wrong := digest.FromString("wrong")
	cases := map[string]struct {
		res    ocmtest.Resource
		want   string
		is     error
		reason string
	}{
		"local blob":           {res: ocmtest.Resource{Content: []byte("local")}, want: "local"},
		"local, no digest":     {res: ocmtest.Resource{Content: []byte("local"), NoDigest: true}, want: "local"},
		"local, SHA-512":       {res: ocmtest.Resource{Content: []byte("local"), Digest: descriptor.NewBlobDigest(digest.SHA512.FromString("local"))}, want: "local"},
		"local, wrong SHA-512": {res: ocmtest.Resource{Content: []byte("local"), Digest: descriptor.NewBlobDigest(digest.SHA512.FromString("x"))}, is: errMismatch, reason: "the second hash is checked while streaming"},
		"local, wrong digest":  {res: ocmtest.Resource{Content: []byte("local"), Digest: descriptor.NewBlobDigest(wrong)}, is: errMismatch, reason: "access is not signed, the digest is"},
		"local, excluded": {res: ocmtest.Resource{Content: []byte("local"), Digest: &descriptor.Digest{
			HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest,
		}}, want: "local"},
		"chart":                   {res: ocmtest.Resource{Image: other.URL + "/charts/web:1.0.0"}, want: "chart"},
		"chart by digest":         {res: ocmtest.Resource{Image: other.URL + "/charts/web:1.0.0@" + chart.String()}, want: "chart"},
		"artifact digest":         {res: ocmtest.Resource{Image: other.URL + "/charts/web:1.0.0", Digest: descriptor.NewArtifactDigest(chart)}, want: "chart"},
		"blob name, image digest": {res: ocmtest.Resource{Image: other.URL + "/charts/web:1.0.0", Digest: descriptor.NewBlobDigest(chart)}, want: "chart", reason: "one tool writes the other name"},
		"redirected artifact":     {res: ocmtest.Resource{Image: server.URL + "/files/one:1", Digest: descriptor.NewArtifactDigest(chart)}, is: errMismatch, reason: "another artifact is in its place"},
		"digests disagree":        {res: ocmtest.Resource{Image: server.URL + "/files/one@" + one.String(), Digest: descriptor.NewArtifactDigest(chart)}, is: errMismatch, reason: "access and digest name different artifacts"},
		"single layer":            {res: ocmtest.Resource{Image: server.URL + "/files/one:1"}, want: "one"},
		"scheme left out":         {res: ocmtest.Resource{Image: server.Host + "/files/one:1"}, want: "one", reason: "the registry of the component is plain HTTP"},
		"relative reference": {res: ocmtest.Resource{Access: accessOf(t, access.RelativeOCIReference{
			Type: "relativeOciReference", Reference: "files/one:1@" + one.String(),
		})}, want: "one"},
		"remote blob": {res: ocmtest.Resource{Access: accessOf(t, access.OCIBlob{
			Type: "ociBlob", Reference: other.URL + "/charts/web", Digest: digest.FromString("chart"), Size: 5,
		})}, want: "chart"},
		"remote blob, wrong size": {res: ocmtest.Resource{Access: accessOf(t, access.OCIBlob{
			Type: "ociBlob", Reference: other.URL + "/charts/web", Digest: digest.FromString("chart"), Size: 4,
		})}, is: errMismatch},
		"missing artifact":    {res: ocmtest.Resource{Image: server.URL + "/files/none:1"}, is: ocm.ErrNotFound},
		"image of two layers": {res: ocmtest.Resource{Image: server.URL + "/images/two:1"}, is: ocm.ErrUnsupported},
		"image index":         {res: ocmtest.Resource{Image: server.URL + "/component-descriptors/" + shop + ":index"}, is: ocm.ErrUnsupported},
		"unknown kind":        {res: ocmtest.Resource{Access: accessOf(t, map[string]any{"type": "s3/v2", "bucketName": "b"})}, is: ocm.ErrUnsupported},
		"unknown version":     {res: ocmtest.Resource{Access: accessOf(t, map[string]any{"type": "ociBlob/v9"})}, is: ocm.ErrUnsupported},
		"no content":          {res: ocmtest.Resource{Access: accessOf(t, map[string]any{"type": "none"})}, is: ocm.ErrUnsupported},
	}
	publish(t, server.URL, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "any", Content: []byte("local")}}})
	cv, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := content(t, cv, build(t, tc.res))
			if err == nil && got != tc.want {
				t.Errorf("content = %q, want %q (%s)", got, tc.want, tc.reason)
			}
			var mismatch *ocm.DigestMismatchError
			switch {
			case tc.is == nil && err != nil:
				t.Errorf("error = %v (%s)", err, tc.reason)
			case errors.Is(tc.is, errMismatch) && !errors.As(err, &mismatch):
				t.Errorf("error = %v, want *DigestMismatchError (%s)", err, tc.reason)
			case tc.is != nil && !errors.Is(tc.is, errMismatch) && !errors.Is(err, tc.is):
				t.Errorf("error = %v, want %v (%s)", err, tc.is, tc.reason)
			}
			if err != nil && !strings.Contains(err.Error(), "resource the-resource:1.0.0 of "+shop+":1.0.0") {
				t.Errorf("%q does not name the resource", err)
			}
		})
	}
}

// errMismatch stands for a *DigestMismatchError in tables.
var errMismatch = errors.New("digest mismatch")

func pushIndex(t *testing.T, server *ocmtest.Server) {
	t.Helper()
	index, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repository(t, server).PushManifest(t.Context(), ocispec.MediaTypeImageIndex, index, "index"); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, cv *ocm.ComponentVersion, res *descriptor.Resource) (string, error) {
	t.Helper()
	blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{})
	if err != nil {
		return "", err
	}
	defer blob.Close()
	data, err := io.ReadAll(blob)
	if errors.As(err, new(*ocm.DigestMismatchError)) {
		// What happens while reading names the blob; the caller knows the rest.
		err = fmt.Errorf("resource %s of %s:%s: %w", &res.Element, cv.Component(), cv.Version(), err)
	}
	return string(data), err
}

// build turns the description of a resource into one of a descriptor.
func build(t *testing.T, res ocmtest.Resource) *descriptor.Resource {
	t.Helper()
	res.Name = "the-resource"
	d, _, err := ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{res}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	return &d.Component.Resources[0]
}

func TestImageReference(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("1.0.0"))
	cv, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromString("x")
	cases := map[string]struct {
		access any
		want   string
	}{
		"tag":              {access.OCIArtifact{Type: "ociArtifact", ImageReference: "ghcr.io/acme/web:1.0"}, "ghcr.io/acme/web:1.0"},
		"tag and digest":   {access.OCIArtifact{Type: "OCIImage/v1", ImageReference: "ghcr.io/acme/web:1.0@" + d.String()}, "ghcr.io/acme/web:1.0@" + d.String()},
		"scheme":           {access.OCIArtifact{Type: "ociArtifact", ImageReference: "http://reg:5000/web:1.0"}, "reg:5000/web:1.0"},
		"Docker Hub":       {access.OCIArtifact{Type: "ociArtifact", ImageReference: "nginx:1.27"}, "docker.io/library/nginx:1.27"},
		"Docker Hub, user": {access.OCIArtifact{Type: "ociArtifact", ImageReference: "acme/web"}, "docker.io/acme/web"},
		"relative":         {access.RelativeOCIReference{Type: "relativeOciReference", Reference: "x/web:1.0"}, server.Host + "/x/web:1.0"},
		"blob":             {access.OCIBlob{Type: "ociBlob", Reference: "reg:5000/web:1.0", Digest: d}, "reg:5000/web@" + d.String()},
		"local, global": {access.LocalBlob{
			Type: "localBlob", LocalReference: d.String(),
			GlobalAccess: accessOf(t, access.OCIArtifact{Type: "ociArtifact", ImageReference: "ghcr.io/acme/web:1.0"}),
		}, "ghcr.io/acme/web:1.0"},
		"local":        {access.LocalBlob{Type: "localBlob", LocalReference: d.String()}, ""},
		"unknown kind": {map[string]string{"type": "helm"}, ""},
		"no reference": {access.OCIArtifact{Type: "ociArtifact"}, ""},
		"bad digest":   {access.OCIBlob{Type: "ociBlob", Reference: "reg:5000/web", Digest: "sha256:1"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := cv.ImageReference(build(t, ocmtest.Resource{Access: accessOf(t, tc.access)}))
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("ImageReference = %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}
