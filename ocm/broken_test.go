package ocm_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestBrokenAccess reads resources whose access cannot be understood, which is
// an error only when they are read, and names what is wrong.
func TestBrokenAccess(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	here := server.Host
	d := digest.FromString("x")
	cases := map[string]struct{ access, content, reference string }{
		"relative-number":   {`{"type":"relativeOciReference","reference":1}`, "cannot unmarshal", "cannot unmarshal"},
		"relative-host":     {`{"type":"relativeOciReference","reference":"a b"}`, "is no repository name", "is no repository name"},
		"artifact-number":   {`{"type":"ociArtifact","imageReference":1}`, "cannot unmarshal", "cannot unmarshal"},
		"artifact-scheme":   {`{"type":"ociArtifact","imageReference":"ftp://x/y:1"}`, "scheme", "scheme"},
		"artifact-gone":     {`{"type":"ociArtifact","imageReference":"http://` + here + `/x/gone:1"}`, "not found", ""},
		"blob-number":       {`{"type":"ociBlob","ref":1}`, "cannot unmarshal", "cannot unmarshal"},
		"blob-path":         {`{"type":"ociBlob","ref":"` + here + `/UPPER","digest":"` + d.String() + `"}`, "is no repository name", "is no repository name"},
		"blob-digest":       {`{"type":"ociBlob","ref":"` + here + `/x","digest":"sha256:1"}`, `digest "sha256:1"`, `digest "sha256:1"`},
		"blob-gone":         {`{"type":"ociBlob","ref":"` + here + `/x","digest":"` + d.String() + `"}`, "not found", ""},
		"local-number":      {`{"type":"localBlob","localReference":1}`, "cannot unmarshal", "cannot unmarshal"},
		"local-text":        {`{"type":"localBlob","localReference":"x"}`, "is no digest", "globalAccess"},
		"nested-text":       {`{"type":"localBlob","localReference":"x","mediaType":"application/vnd.oci.image.manifest.v1+json"}`, "is no digest", "is no digest"},
		"nested-gone":       {`{"type":"localBlob","localReference":"` + d.String() + `","mediaType":"application/vnd.oci.image.index.v1+json"}`, "not listed", "not listed"},
		"helm-number":       {`{"type":"helm","helmChart":1}`, "cannot unmarshal", "image reference for access"},
		"helm-path":         {`{"type":"helm","helmRepository":"oci://` + here + `/UPPER","helmChart":"web:1"}`, "is no repository name", "image reference for access"},
		"helm-gone":         {`{"type":"helm","helmRepository":"oci://` + here + `/x","helmChart":"web:1"}`, "not found", "image reference for access"},
		"helm-no-version":   {`{"type":"helm","helmRepository":"oci://` + here + `/x","helmChart":"web"}`, "has no version", "image reference for access"},
		"wget-number":       {`{"type":"wget","url":1}`, "cannot unmarshal", "image reference for access"},
		"wget-port":         {`{"type":"wget","url":"http://host:port/"}`, "is no URL", "image reference for access"},
		"unknown":           {`{"type":"s3","bucket":"b"}`, "not supported", "not supported"},
		"version":           {`{"type":"wget/v7","url":"http://x/"}`, "not supported", "not supported"},
		"none":              {`{"type":"none"}`, "it has no content", "it has no content"},
		"legacy-blob-gone":  {`{"type":"localOciBlob","digest":"` + d.String() + `"}`, "no layer of the manifest", "globalAccess"},
		"global-is-local":   {`{"type":"localBlob","localReference":"` + d.String() + `","globalAccess":{"type":"localBlob","localReference":"x"}}`, "no layer", "globalAccess"},
		"global-is-unknown": {`{"type":"localBlob","localReference":"` + d.String() + `","globalAccess":{"type":"s3"}}`, "no layer", "not supported"},
	}
	c := &descriptor.Descriptor{Schema: descriptor.SchemaV2, Component: descriptor.Component{Name: shop, Version: "1.0.0", Provider: descriptor.Provider{Name: "acme"}}}
	for name, tc := range cases {
		var a descriptor.Access
		if err := json.Unmarshal([]byte(tc.access), &a); err != nil {
			t.Fatal(err)
		}
		res := descriptor.Resource{Type: "blob", Relation: descriptor.LocalRelation, Access: a}
		res.Name, res.Version = name, "1.0.0"
		c.Component.Resources = append(c.Component.Resources, res)
	}
	text, err := descriptor.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	pushRaw(t, server, "application/vnd.ocm.software.component-descriptor.v2+yaml", text)
	cv, err := open(t, server.URL, ocm.Options{Allow: access.Guarded()}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cv.Descriptor().Component.Resources {
		res := &cv.Descriptor().Component.Resources[i]
		tc := cases[res.Name]
		if err := drain(t, cv, res); err == nil || !strings.Contains(err.Error(), tc.content) || !strings.Contains(err.Error(), res.Name) {
			t.Errorf("%s: Open = %v, want an error with %q and the name", res.Name, err, tc.content)
		}
		_, err := cv.ImageReference(res)
		if tc.reference == "" && err != nil || tc.reference != "" && (err == nil || !strings.Contains(err.Error(), tc.reference)) {
			t.Errorf("%s: ImageReference = %v, want %q", res.Name, err, tc.reference)
		}
	}
}

// pushRaw publishes the shop with a descriptor as it is.
func pushRaw(t *testing.T, server *ocmtest.Server, mediaType string, text []byte) {
	t.Helper()
	repo, err := oci.NewClient(oci.Options{Home: server.Host}).Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "component-descriptors/" + shop})
	if err != nil {
		t.Fatal(err)
	}
	layer := descriptorOf(mediaType, text)
	config := fmt.Appendf(nil, `{"componentDescriptorLayer":{"mediaType":%q,"digest":%q,"size":%d}}`, mediaType, layer.Digest, len(text))
	described := descriptorOf("application/vnd.ocm.software.component.config.v1+json", config)
	for content, desc := range map[*[]byte]ocispec.Descriptor{&text: layer, &config: described} {
		open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(*content))), nil }
		if err := repo.PushBlob(t.Context(), desc, open); err != nil {
			t.Fatal(err)
		}
	}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "config": described, "layers": []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.PushManifest(t.Context(), oci.MediaTypeManifest, manifest, "1.0.0"); err != nil {
		t.Fatal(err)
	}
}

// failingBlobs is a source of blobs that breaks off.
type failingBlobs struct{ ocmtest.Blobs }

// OpenBlob implements ocm.BlobSource.
func (f failingBlobs) OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	rc, size, err := f.Blobs.OpenBlob(ctx, d)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(io.MultiReader(io.LimitReader(rc, 1), brokenReader{})), size, nil
}

type brokenReader struct{}

// Read implements io.Reader.
func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// TestBrokenContent writes component versions whose local content cannot be put
// together.
func TestBrokenContent(t *testing.T) {
	t.Parallel()
	const manifestType, indexType = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	blobs := ocmtest.Blobs{}
	add := func(format string, args ...any) digest.Digest {
		content := fmt.Appendf(nil, format, args...)
		blobs[digest.FromBytes(content)] = content
		return digest.FromBytes(content)
	}
	deep := add(`{"mediaType":%q,"manifests":[]}`, indexType)
	for range 10 {
		deep = add(`{"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q}]}`, indexType, indexType, deep)
	}
	gone := digest.FromString("gone")
	manifest := add(`{"mediaType":%q,"config":{"digest":%q},"layers":[]}`, manifestType, gone)
	for name, tc := range map[string]struct {
		reference, mediaType string
		source               ocm.BlobSource
		want                 string
	}{
		"no digest":       {"x", "text/plain", blobs, "is no digest"},
		"no source":       {manifest.String(), "text/plain", nil, "there is no source"},
		"no source, too":  {manifest.String(), manifestType, nil, "there is no source"},
		"gone":            {gone.String(), "text/plain", blobs, gone.String()},
		"manifest gone":   {gone.String(), manifestType, blobs, gone.String()},
		"config gone":     {manifest.String(), manifestType, blobs, "blob " + gone.String()},
		"part gone":       {add(`{"mediaType":%q,"manifests":[{"digest":%q}]}`, indexType, gone).String(), indexType, blobs, "manifest " + gone.String()},
		"too deep":        {deep.String(), indexType, blobs, "too large"},
		"no JSON":         {add("x").String(), manifestType, blobs, "no JSON"},
		"broken manifest": {add(`{"mediaType":%q,"layers":1}`, manifestType).String(), manifestType, blobs, "cannot unmarshal"},
		"broken index":    {add(`{"mediaType":%q,"manifests":1}`, indexType).String(), indexType, blobs, "cannot unmarshal"},
		"huge manifest":   {add(`{"mediaType":%q,"x":%q}`, manifestType, strings.Repeat("x", 5<<20)).String(), manifestType, blobs, "too large"},
		"breaks off":      {manifest.String(), manifestType, failingBlobs{blobs}, "the disk is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			local, err := descriptor.NewAccess(access.LocalBlob{Type: "localBlob", LocalReference: tc.reference, MediaType: tc.mediaType})
			if err != nil {
				t.Fatal(err)
			}
			d := &descriptor.Descriptor{Component: descriptor.Component{Name: shop, Version: "1.0.0", Provider: descriptor.Provider{Name: "acme"}}}
			source := descriptor.Source{Type: "git", Access: local}
			source.Name, source.Version = "code", "1.0.0"
			d.Component.Sources = []descriptor.Source{source}
			_, err = open(t, server.URL, ocm.Options{}).Put(t.Context(), d, tc.source, ocm.PutOptions{})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "source") {
				t.Errorf("Put = %v, want an error with %q that names the source", err, tc.want)
			}
			if n := server.Requests()["PUT manifests"]; n != 0 {
				t.Errorf("%d manifests were written", n)
			}
		})
	}
}

// TestWebCredentials reads from a chart repository with a token and a
// certificate authority, and is redirected to a place without encryption.
func TestWebCredentials(t *testing.T) {
	t.Parallel()
	plain := serveWeb(t, false, map[string]string{"/web.tgz": "chart"})
	files := map[string]string{"/charts/web.tgz": "chart", "/charts/moved.tgz": "redirect:" + plain.URL + "/web.tgz"}
	files["/charts/index.yaml"] = index(chartOf("1.0.0", "web.tgz", "chart"), chartOf("2.0.0", "moved.tgz", "chart"), "  - {version: 3.0.0, urls: [web.tgz], digest: 12}\n")
	secure := serveWeb(t, true, files)
	store, err := credentials.FromOCMConfig(fmt.Appendf(nil, `{"type":"credentials.config.ocm.software","consumers":[{"identity":{"type":"HelmChartRepository","hostname":"127.0.0.1"},
		"credentials":[{"type":"Credentials","properties":{"token":"let-me-in","certificateAuthority":%q}}]}]}`, pemOf(secure)))
	if err != nil {
		t.Fatal(err)
	}
	server := ocmtest.Start(t)
	c := ocmtest.Component{Name: shop, Version: "1.0.0"}
	for version, name := range map[string]string{"1.0.0": "good", "2.0.0": "moved", "3.0.0": "digest"} {
		c.Resources = append(c.Resources, ocmtest.Resource{Name: name, Access: accessOf(t, access.Helm{Type: "helm", Repository: secure.URL + "/charts", Chart: "web:" + version})})
	}
	publish(t, server.URL, c)
	cv, err := open(t, server.URL, ocm.Options{Credentials: store, Allow: access.Guarded()}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cv.Descriptor().Component.Resources {
		res := &cv.Descriptor().Component.Resources[i]
		err := drain(t, cv, res)
		if want := map[string]string{"moved": "redirect from https to http is refused", "digest": `digest "12"`}[res.Name]; want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", res.Name, err, want)
		}
	}
	for _, req := range secure.seen() {
		if got := req.Header.Get("Authorization"); got != "Bearer let-me-in" {
			t.Errorf("%s was asked with %q", req.URL, got)
		}
	}
	if len(secure.seen()) < 4 || len(plain.seen()) > 0 {
		t.Errorf("%d requests with and %d without encryption", len(secure.seen()), len(plain.seen()))
	}
}

// TestManyHosts leads a client to more hosts than it stays logged in at.
func TestManyHosts(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	artifact(t, server.URL+"/x/y:1", ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}})
	c := ocmtest.Component{Name: shop, Version: "1.0.0"}
	for i := range 70 {
		c.Resources = append(c.Resources, ocmtest.Resource{Name: fmt.Sprintf("r%d", i), Image: fmt.Sprintf("https://host%d.example/x/y:1", i)})
	}
	publish(t, server.URL, c)
	transport := roundTrip(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host = "http", server.Host
		return http.DefaultTransport.RoundTrip(req)
	})
	cv, err := open(t, server.URL, ocm.Options{Transport: transport}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i := range cv.Descriptor().Component.Resources {
			if got, err := content(t, cv, &cv.Descriptor().Component.Resources[i]); err != nil || got != "x" {
				t.Fatalf("content = %q, %v", got, err)
			}
		}
	}
}

func TestManyVersionsInMessage(t *testing.T) {
	t.Parallel()
	err := &ocm.NotFoundError{Repository: "r", Component: shop, Version: "9", Available: []string{"7", "6", "5", "4", "3", "2"}}
	if !strings.HasSuffix(err.Error(), "it has 7, 6, 5, 4, 3 and 1 more") {
		t.Errorf("message is %q", err)
	}
}

func descriptorOf(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// pemOf returns the certificate of a server.
func pemOf(w *web) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw}))
}
