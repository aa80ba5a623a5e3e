package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const imageType = ocispec.MediaTypeImageManifest

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newHandler returns a registry that lets everybody do everything unless the options say otherwise.
func newHandler(t testing.TB, o registry.Options) *client {
	t.Helper()
	if o.Authorizer == nil {
		o.Authorizer = auth.AllowAll()
	}
	h := registry.NewHandler(newStore(t), o)
	t.Cleanup(h.Close)
	return &client{t: t, handler: h}
}

// client sends requests to a handler.
type client struct {
	t       testing.TB
	handler http.Handler
}

func (c *client) do(method, path string, body []byte, headers ...string) *http.Response {
	c.t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w.Result()
}

// expect sends a request and checks the status and, of an error, its code.
func (c *client) expect(status int, code, method, path string, body []byte, headers ...string) *http.Response {
	c.t.Helper()
	resp := c.do(method, path, body, headers...)
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	var answer struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	got := ""
	if resp.StatusCode >= 400 && json.Unmarshal(content, &answer) == nil && len(answer.Errors) == 1 {
		got = answer.Errors[0].Code
		if answer.Errors[0].Message == "" {
			c.t.Errorf("%s %s: an error without a message", method, path)
		}
	}
	if resp.StatusCode != status || got != code {
		c.t.Errorf("%s %s: got %d %q, want %d %q: %s", method, path, resp.StatusCode, got, status, code, content)
	}
	return resp
}

func (c *client) blob(name, content string) ocispec.Descriptor {
	c.t.Helper()
	d := digest.FromString(content)
	c.expect(201, "", "POST", "/v2/"+name+"/blobs/uploads/?digest="+d.String(), []byte(content))
	return ocispec.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: int64(len(content))}
}

func manifest(t testing.TB, subject *ocispec.Descriptor, config ocispec.Descriptor, layers ...ocispec.Descriptor) []byte {
	t.Helper()
	m := ocispec.Manifest{MediaType: imageType, Config: config, Layers: append([]ocispec.Descriptor{}, layers...), Subject: subject}
	m.SchemaVersion = 2
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// artifact pushes an image and returns its digest.
func (c *client) artifact(name, tag, content string) ocispec.Descriptor {
	c.t.Helper()
	body := manifest(c.t, nil, c.blob(name, "{}"), c.blob(name, content))
	c.expect(201, "", "PUT", "/v2/"+name+"/manifests/"+tag, body, "Content-Type", imageType)
	return ocispec.Descriptor{MediaType: imageType, Digest: digest.FromBytes(body), Size: int64(len(body))}
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestAnswers holds single requests against the rules of the distribution specification.
func TestAnswers(t *testing.T) {
	t.Parallel()
	c := newHandler(t, registry.Options{})
	image := c.artifact("team/app", "v1", "0123456789")
	layer, absent := digest.FromString("0123456789"), digest.FromString("absent")
	c.blob("loose", "loose")
	blob, man := "/v2/team/app/blobs/", "/v2/team/app/manifests/"
	cases := map[string]struct {
		method, path string
		headers      []string
		body         string
		status       int
		code         string
		want         map[string]string
		content      string
	}{
		"base":             {method: "GET", path: "/v2/", status: 200, content: "{}", want: map[string]string{"Content-Type": "application/json"}},
		"base, no slash":   {method: "GET", path: "/v2", status: 200},
		"base, method":     {method: "PUT", path: "/v2/", status: 405, code: "UNSUPPORTED", want: map[string]string{"Allow": "GET, HEAD"}},
		"elsewhere":        {method: "GET", path: "/v1/", status: 404, code: "NAME_UNKNOWN"},
		"elsewhere again":  {method: "GET", path: "/v2x", status: 404, code: "NAME_UNKNOWN"},
		"no such endpoint": {method: "GET", path: "/v2/team/app/tags", status: 404, code: "NAME_UNKNOWN"},

		"blob": {
			method: "GET", path: blob + layer.String(), status: 200, content: "0123456789",
			want: map[string]string{"Content-Length": "10", "Docker-Content-Digest": layer.String(), "Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"},
		},
		"blob, head":         {method: "HEAD", path: blob + layer.String(), status: 200, want: map[string]string{"Content-Length": "10", "Docker-Content-Digest": layer.String(), "Accept-Ranges": "bytes"}},
		"blob, range":        {method: "GET", path: blob + layer.String(), headers: []string{"Range", "bytes=2-4"}, status: 206, content: "234", want: map[string]string{"Content-Range": "bytes 2-4/10"}},
		"blob, open range":   {method: "GET", path: blob + layer.String(), headers: []string{"Range", "bytes=7-"}, status: 206, content: "789"},
		"blob, last bytes":   {method: "GET", path: blob + layer.String(), headers: []string{"Range", "bytes=-2"}, status: 206, content: "89"},
		"blob, beyond":       {method: "GET", path: blob + layer.String(), headers: []string{"Range", "bytes=10-"}, status: 416, code: "SIZE_INVALID"},
		"blob, known":        {method: "GET", path: blob + layer.String(), headers: []string{"If-None-Match", `"` + layer.String() + `"`}, status: 304},
		"blob, absent":       {method: "GET", path: blob + absent.String(), status: 404, code: "BLOB_UNKNOWN"},
		"blob, absent, head": {method: "HEAD", path: blob + absent.String(), status: 404, code: "BLOB_UNKNOWN"},
		"blob, of another":   {method: "GET", path: blob + digest.FromString("loose").String(), status: 404, code: "BLOB_UNKNOWN"},
		"blob, no digest":    {method: "GET", path: blob + "sha256:xyz", status: 400, code: "DIGEST_INVALID"},
		"blob, a path":       {method: "GET", path: blob + "sha256:..%2f..%2fetc%2fpasswd", status: 404, code: "NAME_UNKNOWN"},
		"blob, in use":       {method: "DELETE", path: blob + layer.String(), status: 405, code: "UNSUPPORTED"},
		"blob, del absent":   {method: "DELETE", path: blob + absent.String(), status: 404, code: "BLOB_UNKNOWN"},
		"blob, method":       {method: "PUT", path: blob + layer.String(), status: 405, code: "UNSUPPORTED", want: map[string]string{"Allow": "DELETE, GET, HEAD"}},

		"manifest by tag":    {method: "GET", path: man + "v1", status: 200, want: map[string]string{"Docker-Content-Digest": image.Digest.String(), "Content-Type": imageType, "Content-Length": strconv.FormatInt(image.Size, 10)}},
		"manifest by digest": {method: "GET", path: man + image.Digest.String(), status: 200, want: map[string]string{"Content-Type": imageType}},
		"manifest, head":     {method: "HEAD", path: man + "v1", status: 200, want: map[string]string{"Docker-Content-Digest": image.Digest.String(), "Content-Length": strconv.FormatInt(image.Size, 10)}},
		"manifest, absent":   {method: "GET", path: man + "v2", status: 404, code: "MANIFEST_UNKNOWN"},
		"manifest, odd tag":  {method: "GET", path: man + ".INVALID", status: 404, code: "MANIFEST_UNKNOWN"},
		"manifest, no repo":  {method: "GET", path: "/v2/none/manifests/v1", status: 404, code: "MANIFEST_UNKNOWN"},
		"manifest, del none": {method: "DELETE", path: man + absent.String(), status: 404, code: "MANIFEST_UNKNOWN"},
		"manifest, del tag":  {method: "DELETE", path: man + "none", status: 404, code: "MANIFEST_UNKNOWN"},

		"put, no type":       {method: "PUT", path: man + "v2", body: "{}", status: 400, code: "MANIFEST_INVALID"},
		"put, odd type":      {method: "PUT", path: man + "v2", headers: []string{"Content-Type", "text/plain"}, body: "{}", status: 400, code: "MANIFEST_INVALID"},
		"put, no manifest":   {method: "PUT", path: man + "v2", headers: []string{"Content-Type", imageType}, body: "{}", status: 400, code: "MANIFEST_INVALID"},
		"put, odd tag":       {method: "PUT", path: man + "a+b", headers: []string{"Content-Type", imageType}, body: "{}", status: 400, code: "MANIFEST_INVALID"},
		"put, other digest":  {method: "PUT", path: man + absent.String(), headers: []string{"Content-Type", imageType}, body: string(manifest(t, nil, ocispec.Descriptor{Digest: layer, Size: 10})), status: 400, code: "DIGEST_INVALID"},
		"put, odd param":     {method: "PUT", path: man + "v2?digest=x", headers: []string{"Content-Type", imageType}, body: "{}", status: 400, code: "DIGEST_INVALID"},
		"put, blob absent":   {method: "PUT", path: man + "v2", headers: []string{"Content-Type", imageType}, body: string(manifest(t, nil, ocispec.Descriptor{Digest: absent})), status: 400, code: "MANIFEST_BLOB_UNKNOWN"},
		"put, too large":     {method: "PUT", path: man + "v2", headers: []string{"Content-Type", imageType}, body: strings.Repeat(" ", store.MaxManifestBytes+1), status: 413, code: "SIZE_INVALID"},
		"put, too many tags": {method: "PUT", path: man + absent.String() + "?" + strings.Repeat("tag=a&", 101), headers: []string{"Content-Type", imageType}, body: "{}", status: 400, code: "MANIFEST_INVALID"},

		"name":            {method: "GET", path: "/v2/Team/app/manifests/v1", status: 400, code: "NAME_INVALID"},
		"name with dots":  {method: "GET", path: "/v2/team/../app/manifests/v1", status: 400, code: "NAME_INVALID"},
		"no name":         {method: "GET", path: "/v2//manifests/v1", status: 400, code: "NAME_INVALID"},
		"name like an op": {method: "GET", path: "/v2/blobs/uploads/manifests/v1", status: 404, code: "MANIFEST_UNKNOWN"},

		"tags":           {method: "GET", path: "/v2/team/app/tags/list", status: 200, content: `{"name":"team/app","tags":["v1"]}`},
		"tags, none":     {method: "GET", path: "/v2/team/app/tags/list?n=0", status: 200, content: `{"name":"team/app","tags":[]}`},
		"tags, odd n":    {method: "GET", path: "/v2/team/app/tags/list?n=-1", status: 400, code: "UNSUPPORTED"},
		"tags, no repo":  {method: "GET", path: "/v2/none/tags/list", status: 404, code: "NAME_UNKNOWN"},
		"catalog":        {method: "GET", path: "/v2/_catalog", status: 200, content: `{"repositories":["team/app"]}`},
		"referrers":      {method: "GET", path: "/v2/none/referrers/" + absent.String(), status: 200, content: `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`},
		"referrers, odd": {method: "GET", path: "/v2/none/referrers/x", status: 400, code: "DIGEST_INVALID"},

		"upload, unknown":      {method: "PATCH", path: "/v2/a/blobs/uploads/x", status: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		"upload, get":          {method: "GET", path: "/v2/a/blobs/uploads/x", status: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		"upload, finish":       {method: "PUT", path: "/v2/a/blobs/uploads/x?digest=" + absent.String(), status: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		"upload, cancel":       {method: "DELETE", path: "/v2/a/blobs/uploads/x", status: 404, code: "BLOB_UPLOAD_UNKNOWN"},
		"upload, wrong digest": {method: "POST", path: "/v2/a/blobs/uploads/?digest=" + absent.String(), body: "x", status: 400, code: "DIGEST_INVALID"},
		"upload, odd digest":   {method: "POST", path: "/v2/a/blobs/uploads/?digest=md5:x", body: "x", status: 400, code: "DIGEST_INVALID"},
		"mount, odd digest":    {method: "POST", path: "/v2/a/blobs/uploads/?mount=x&from=b", status: 400, code: "DIGEST_INVALID"},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &client{t: t, handler: c.handler}
			resp := c.expect(k.status, k.code, k.method, k.path, []byte(k.body), k.headers...)
			for header, want := range k.want {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if got := text(t, resp); k.content != "" && got != k.content {
				t.Errorf("got %q, want %q", got, k.content)
			}
		})
	}
}

func TestUploads(t *testing.T) {
	t.Parallel()
	c := newHandler(t, registry.Options{})
	content := "0123456789abcdef"
	d := digest.FromString(content)
	long := digest.SHA512.FromString(content)
	begin := func() string {
		resp := c.expect(202, "", "POST", "/v2/a/b/blobs/uploads/", nil)
		if resp.Header.Get("Range") != "0-0" || resp.Header.Get("Docker-Upload-UUID") == "" {
			t.Errorf("headers of a new upload: %v", resp.Header)
		}
		return resp.Header.Get("Location")
	}
	finished := func(resp *http.Response, d digest.Digest) {
		t.Helper()
		if got := resp.Header.Get("Location"); got != "/v2/a/b/blobs/"+d.String() {
			t.Errorf("location %q", got)
		}
		if got := text(t, c.expect(200, "", "GET", "/v2/a/b/blobs/"+d.String(), nil)); got != content {
			t.Errorf("content %q", got)
		}
	}
	finished(c.expect(201, "", "PUT", begin()+"?digest="+d.String(), []byte(content)), d)
	finished(c.expect(201, "", "PUT", begin()+"?digest="+long.String(), []byte(content)), long)

	at := begin()
	resp := c.expect(202, "", "PATCH", at, []byte(content[:6]), "Content-Range", "0-5")
	if got := resp.Header.Get("Range"); got != "0-5" {
		t.Errorf("range %q", got)
	}
	resp = c.expect(416, "BLOB_UPLOAD_INVALID", "PATCH", at, []byte(content[8:]), "Content-Range", "8-15")
	if got := resp.Header.Get("Range"); got != "0-5" {
		t.Errorf("range %q", got)
	}
	c.expect(416, "BLOB_UPLOAD_INVALID", "PATCH", at, []byte("x"), "Content-Range", "six")
	c.expect(400, "SIZE_INVALID", "PATCH", at, []byte("x"), "Content-Range", "6-9")
	resp = c.expect(204, "", "GET", at, nil)
	if resp.Header.Get("Range") != "0-5" || resp.Header.Get("Location") != at {
		t.Errorf("status: %v", resp.Header)
	}
	c.expect(202, "", "PATCH", at, []byte(content[6:10]))
	c.expect(400, "DIGEST_INVALID", "PUT", at, nil)
	c.expect(404, "BLOB_UPLOAD_UNKNOWN", "GET", strings.Replace(at, "/a/b/", "/other/", 1), nil)
	finished(c.expect(201, "", "PUT", at+"?digest="+d.String(), []byte(content[10:]), "Content-Range", "10-15"), d)
	c.expect(404, "BLOB_UPLOAD_UNKNOWN", "GET", at, nil)

	at = begin()
	c.expect(204, "", "DELETE", at, nil)
	c.expect(404, "BLOB_UPLOAD_UNKNOWN", "PATCH", at, []byte("x"))
	at = begin()
	c.expect(400, "DIGEST_INVALID", "PUT", at+"?digest="+d.String(), []byte("other"))
	c.expect(404, "BLOB_UPLOAD_UNKNOWN", "GET", at, nil)

	resp = c.expect(201, "", "POST", "/v2/c/blobs/uploads/?mount="+d.String()+"&from=a/b", nil)
	if got := resp.Header.Get("Location"); got != "/v2/c/blobs/"+d.String() {
		t.Errorf("mounted at %q", got)
	}
	c.expect(202, "", "POST", "/v2/c/blobs/uploads/?mount="+d.String()+"&from=none", nil)
	c.expect(202, "", "POST", "/v2/c/blobs/uploads/?mount="+d.String(), nil)
	c.expect(202, "", "DELETE", "/v2/c/blobs/"+d.String(), nil)
	c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/c/blobs/"+d.String(), nil)
}

// TestChunkedRanges sends chunks that do not say how long they are. The range says it, and holds them to it.
func TestChunkedRanges(t *testing.T) {
	t.Parallel()
	c := newHandler(t, registry.Options{})
	const content = "0123456789"
	d := digest.FromString(content)
	send := func(status int, code, method, path, contentRange, body string) *http.Response {
		t.Helper()
		chunked := &client{t: t, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
			c.handler.ServeHTTP(w, r)
		})}
		return chunked.expect(status, code, method, path, []byte(body), "Content-Range", contentRange)
	}
	begin := func() string { return c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil).Header.Get("Location") }
	held := func(at, want string) {
		t.Helper()
		if got := c.expect(204, "", "GET", at, nil).Header.Get("Range"); got != want {
			t.Errorf("the upload has %s, want %s", got, want)
		}
	}
	at := begin()
	send(202, "", "PATCH", at, "0-3", content[:4])
	send(400, "SIZE_INVALID", "PATCH", at, "4-5", content[4:])
	held(at, "0-5")
	send(400, "SIZE_INVALID", "PATCH", at, "6-9", content[6:8])
	held(at, "0-7")
	send(201, "", "PUT", at+"?digest="+d.String(), "8-9", content[8:])
	send(400, "SIZE_INVALID", "PUT", begin()+"?digest="+d.String(), "0-8", content)
	at = begin()
	send(416, "BLOB_UPLOAD_INVALID", "PATCH", at, "0-9223372036854775807", content)
	held(at, "0-0")
}

// TestStoreLimit has a bound in the store, where the registry itself has none.
func TestStoreLimit(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true, MaxBlobBytes: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := &client{t: t, handler: registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll()})}
	c.blob("a", "1234")
	resp := c.expect(413, "SIZE_INVALID", "POST", "/v2/a/blobs/uploads/?digest="+digest.FromString("12345").String(), []byte("12345"))
	if got := text(t, resp); !strings.Contains(got, "4 bytes") {
		t.Errorf("the client is not told the bound: %s", got)
	}
	at := c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil).Header.Get("Location")
	c.expect(202, "", "PATCH", at, []byte("123"))
	c.expect(413, "SIZE_INVALID", "PATCH", at, []byte("45"))
	c.expect(404, "BLOB_UPLOAD_UNKNOWN", "PUT", at+"?digest="+digest.FromString("123").String(), nil)
	if got := s.Stats().Staged; got != 0 {
		t.Errorf("%d uploads are left", got)
	}
}

// TestStagingLimit has no room for all uploads at once: the client is told, and can come again.
func TestStagingLimit(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true, MaxStagedBytes: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := &client{t: t, handler: registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll()})}
	at := c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil).Header.Get("Location")
	c.expect(202, "", "PATCH", at, []byte("123"))
	push := "/v2/a/blobs/uploads/?digest=" + digest.FromString("45").String()
	resp := c.expect(507, "UNKNOWN", "POST", push, []byte("45"))
	if got := text(t, resp); !strings.Contains(got, "at most 4 bytes") {
		t.Errorf("the client is not told the bound: %s", got)
	}
	c.expect(201, "", "PUT", at+"?digest="+digest.FromString("123").String(), nil)
	c.expect(201, "", "POST", push, []byte("45"))
	if got := s.Stats(); got.Staged != 0 || got.StagedBytes != 0 {
		t.Errorf("left: %+v", got)
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	c := newHandler(t, registry.Options{MaxUploads: 2, MaxBlobBytes: 10, UploadIdle: 200 * time.Millisecond})
	at := c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil).Header.Get("Location")
	c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil)
	c.expect(429, "TOOMANYREQUESTS", "POST", "/v2/a/blobs/uploads/", nil)
	c.expect(202, "", "PATCH", at, []byte("01234567"))
	c.expect(413, "SIZE_INVALID", "PATCH", at, []byte("89a"))
	eventually(t, "an idle upload is dropped", func() bool {
		return c.do("POST", "/v2/a/blobs/uploads/", nil).StatusCode == http.StatusAccepted
	})
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	ticker, deadline := time.NewTicker(2*time.Millisecond), time.After(20*time.Second)
	defer ticker.Stop()
	for !so() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not after 20 seconds: %s", what)
		}
	}
}

func TestManifestLife(t *testing.T) {
	t.Parallel()
	c := newHandler(t, registry.Options{})
	config := c.blob("a", "{}")
	body := manifest(t, nil, config)
	d := digest.FromBytes(body)
	resp := c.expect(201, "", "PUT", "/v2/a/manifests/"+d.String()+"?tag=v1&tag=v2", body, "Content-Type", imageType+"; charset=utf-8")
	if diff := cmp.Diff([]string{"v1", "v2"}, resp.Header["Oci-Tag"]); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if resp.Header.Get("Location") != "/v2/a/manifests/"+d.String() || resp.Header.Get("Docker-Content-Digest") != d.String() {
		t.Errorf("headers: %v", resp.Header)
	}
	long := digest.SHA512.FromBytes(body)
	c.expect(201, "", "PUT", "/v2/a/manifests/v3?digest="+long.String(), body, "Content-Type", imageType)
	if got := c.expect(200, "", "HEAD", "/v2/a/manifests/v3", nil).Header.Get("Docker-Content-Digest"); got != long.String() {
		t.Errorf("v3 is %s", got)
	}
	index := []byte(fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, imageType, d, len(body)))
	c.expect(201, "", "PUT", "/v2/a/manifests/all", index, "Content-Type", ocispec.MediaTypeImageIndex)

	c.expect(202, "", "DELETE", "/v2/a/manifests/v1", nil)
	c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/v1", nil)
	c.expect(200, "", "GET", "/v2/a/manifests/v2", nil)
	c.expect(202, "", "DELETE", "/v2/a/manifests/"+d.String(), nil)
	c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/v2", nil)
}

func TestPagesAndReferrers(t *testing.T) {
	t.Parallel()
	c := newHandler(t, registry.Options{})
	subject := c.artifact("a", "t1", "subject")
	for i := 2; i < 6; i++ {
		c.artifact("a", fmt.Sprintf("t%d", i), "subject")
	}
	var tags []string
	for next := "/v2/a/tags/list?n=2"; next != ""; {
		resp := c.expect(200, "", "GET", next, nil)
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || len(page.Tags) > 2 {
			t.Fatalf("page %v, %v", page, err)
		}
		tags = append(tags, page.Tags...)
		next, _, _ = strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	}
	if got := strings.Join(tags, " "); got != "t1 t2 t3 t4 t5" {
		t.Errorf("tags %s", got)
	}

	config := c.blob("a", "{}")
	for i := range 4 {
		config.MediaType = fmt.Sprintf("application/vnd.example.%d", i%2)
		body := manifest(t, &subject, config, c.blob("a", strconv.Itoa(i)))
		resp := c.expect(201, "", "PUT", "/v2/a/manifests/"+digest.FromBytes(body).String(), body, "Content-Type", imageType)
		if got := resp.Header.Get("OCI-Subject"); got != subject.Digest.String() {
			t.Errorf("subject %q", got)
		}
	}
	for query, want := range map[string]int{"": 4, "artifactType=application/vnd.example.1": 2, "artifactType=none": 0} {
		found, filtered := 0, query != ""
		for next := "/v2/a/referrers/" + subject.Digest.String() + "?n=1&" + query; next != ""; {
			resp := c.expect(200, "", "GET", next, nil)
			var index ocispec.Index
			if err := json.NewDecoder(resp.Body).Decode(&index); err != nil {
				t.Fatal(err)
			}
			found += len(index.Manifests)
			if got := resp.Header.Get("OCI-Filters-Applied") == "artifactType"; got != filtered {
				t.Errorf("%q: filtered %v", query, got)
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
		}
		if found != want {
			t.Errorf("%q: %d referrers, want %d", query, found, want)
		}
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	issuer, err := auth.NewIssuer(bytes.Repeat([]byte{1}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	header := func(s auth.Scope) string {
		cred, err := issuer.Issue(s, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.SetBasicAuth(cred.Username, cred.Password)
		return r.Header.Get("Authorization")
	}
	reader, writer := header(auth.Scope{Prefix: "team/"}), header(auth.Scope{Push: true})
	teamWriter := header(auth.Scope{Prefix: "team/", Push: true})
	c := newHandler(t, registry.Options{Authorizer: issuer})
	d := digest.FromString("secret")
	c.expect(201, "", "POST", "/v2/other/app/blobs/uploads/?digest="+d.String(), []byte("secret"), "Authorization", writer)

	resp := c.expect(401, "UNAUTHORIZED", "GET", "/v2/", nil)
	if got := resp.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic realm=") {
		t.Errorf("challenge %q", got)
	}
	c.expect(401, "UNAUTHORIZED", "GET", "/v2/other/app/blobs/"+d.String(), nil)
	c.expect(401, "UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", "Bearer x")
	c.expect(200, "", "GET", "/v2/", nil, "Authorization", reader)
	c.expect(403, "DENIED", "GET", "/v2/other/app/blobs/"+d.String(), nil, "Authorization", reader)
	c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/team/app/blobs/"+d.String(), nil, "Authorization", reader)
	c.expect(403, "DENIED", "GET", "/v2/_catalog", nil, "Authorization", reader)
	c.expect(200, "", "GET", "/v2/_catalog", nil, "Authorization", writer)
	for _, request := range [][2]string{
		{"POST", "/blobs/uploads/"},
		{"PATCH", "/blobs/uploads/x"},
		{"PUT", "/blobs/uploads/x"},
		{"GET", "/blobs/uploads/x"},
		{"PUT", "/manifests/v1"},
		{"DELETE", "/manifests/v1"},
		{"DELETE", "/blobs/" + d.String()},
	} {
		c.expect(403, "DENIED", request[0], "/v2/team/app"+request[1], nil, "Authorization", reader)
	}
	// A mount must not give what the other repository keeps, nor tell whether it has it.
	c.expect(202, "", "POST", "/v2/team/app/blobs/uploads/?from=other/app&mount="+d.String(), nil, "Authorization", teamWriter)
	c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/team/app/blobs/"+d.String(), nil, "Authorization", reader)

	closed := &client{t: t, handler: registry.NewHandler(newStore(t), registry.Options{})}
	closed.expect(401, "UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", writer)
}

// FuzzRequest sends any path and manifest. Whatever comes, the answer is one that the
// specification knows, and a manifest that is accepted is served as it was sent.
func FuzzRequest(f *testing.F) {
	c := newHandler(f, registry.Options{})
	image := c.artifact("team/app", "v1", "layer")
	config := c.blob("team/app", "{}")
	f.Add("PUT", "team/app/manifests/v1", string(manifest(f, nil, config)), imageType)
	f.Add("PUT", "team/app/manifests/"+image.Digest.String(), `{"schemaVersion":2,"config":{},"layers":[]}`, imageType)
	f.Add("PUT", "team/app/manifests/all", `{"schemaVersion":2,"manifests":[]}`, ocispec.MediaTypeImageIndex)
	f.Add("GET", "team/app/blobs/"+config.Digest.String(), "", "")
	f.Add("POST", "a/blobs/uploads/?mount=x&from=../b", "", "")
	f.Add("GET", "_catalog?n=5&last=x", "", "")
	f.Add("GET", "a/../../b/tags/list", "", "")
	f.Fuzz(func(t *testing.T, method, path, body, mediaType string) {
		r, err := http.NewRequest(method, "http://registry/v2/"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", mediaType)
		w := httptest.NewRecorder()
		c.handler.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%s %q: status %d: %s", method, path, w.Code, w.Body)
		}
		if w.Code != http.StatusCreated || r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/") {
			return
		}
		at := w.Header().Get("Location")
		w = httptest.NewRecorder()
		c.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, http.NoBody))
		if w.Code != http.StatusOK || w.Body.String() != body {
			t.Fatalf("%s was accepted and is %d %q", at, w.Code, w.Body)
		}
	})
}
