package registry_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// rule is something that the distribution specification demands, or that it allows and clients rely on.
type rule struct {
	section, name string
	reason        string
	check         func(s *spec)
}

// TestConformance holds a running registry against the rules of the distribution specification 1.1, over plain HTTP and TLS.
// Every rule has a repository of its own, and every answer is held against what is true of all of them.
func TestConformance(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		t.Helper()
		base := &spec{t: t, w: w, client: &http.Client{Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		base.writer = base.credential(auth.Scope{Push: true})
		// Rules may run at once; the clients of a server that stops must have ended.
		t.Run("rules", func(t *testing.T) {
			for _, r := range slices.Concat(pullRules(), uploadRules(), mountRules(), manifestRules(), listRules(), referrerRules(), deletionRules(), commonRules()) {
				t.Run(r.section+"/"+r.name, func(t *testing.T) {
					t.Parallel()
					s := *base
					s.t, s.reason = t, r.reason
					s.repo = "spec/" + strings.ToLower(strings.NewReplacer(", ", "-", " ", "-", "=", "-", "'", "-").Replace(r.section+"/"+r.name))
					r.check(&s)
				})
			}
		})
	})
}

// spec is a client in a repository of its own.
type spec struct {
	t      testing.TB
	w      *world
	client *http.Client
	writer string
	repo   string
	reason string
}

func (s *spec) credential(scope auth.Scope) string {
	s.t.Helper()
	c := s.w.credential(s.t, scope)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://x", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(c.Username, c.Password)
	return r.Header.Get("Authorization")
}

// reply is an answer that was read.
type reply struct {
	*http.Response
	body []byte
}

// in is a path of the rule's own repository.
func (s *spec) in(path string) string { return "/v2/" + s.repo + path }

// do sends a request with the credential of the writer, unless the headers have another one; a header with an empty value is
// left out. A path may also be the whole URL that an answer gave.
func (s *spec) do(method, path string, body []byte, headers ...string) reply {
	s.t.Helper()
	at, err := url.Parse(s.w.url() + "/")
	if err != nil {
		s.t.Fatal(err)
	}
	if at, err = at.Parse(path); err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, at.String(), bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", s.writer)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
		if headers[i] == "Transfer-Encoding" {
			r.ContentLength, r.Body = -1, io.NopCloser(bytes.NewReader(body))
			r.Header.Del(headers[i])
		}
	}
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	got := reply{resp, content}
	s.always(got)
	return got
}

// expect sends a request and checks the status and, of an error that has a body, its code.
func (s *spec) expect(status int, code, method, path string, body []byte, headers ...string) reply {
	s.t.Helper()
	got := s.do(method, path, body, headers...)
	if got.StatusCode != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s (%s)", method, path, got.StatusCode, status, s.reason, got.body)
	}
	if method != http.MethodHead && got.code() != code {
		s.t.Errorf("%s %s: code %q, want %q: %s", method, path, got.code(), code, s.reason)
	}
	return got
}

func (r reply) code() string {
	var answer struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if r.StatusCode < 400 || json.Unmarshal(r.body, &answer) != nil || len(answer.Errors) != 1 || answer.Errors[0].Message == "" {
		return ""
	}
	return answer.Errors[0].Code
}

var knownCodes = []string{
	"BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN",
	"NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
}

// always is true of every answer.
func (s *spec) always(r reply) {
	s.t.Helper()
	what := r.Request.Method + " " + r.Request.URL.Path
	if got := r.Header.Get("Docker-Distribution-Api-Version"); got != "registry/2.0" {
		s.t.Errorf("%s: the version is %q", what, got)
	}
	if r.StatusCode >= 400 && r.Request.Method != http.MethodHead {
		if !slices.Contains(knownCodes, r.code()) || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			s.t.Errorf("%s: %s without an error of the specification: %v %s", what, r.Status, r.Header, r.body)
		}
	}
	for status, header := range map[int]string{401: "Www-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After", 507: "Retry-After"} {
		if r.StatusCode == status && r.Header.Get(header) == "" {
			s.t.Errorf("%s: %s without %s", what, r.Status, header)
		}
	}
	if r.StatusCode == http.StatusNoContent && (r.Header.Get("Content-Length") != "" || len(r.body) > 0) {
		s.t.Errorf("%s: no content has a length: %v", what, r.Header)
	}
	if got := r.Header.Get("Docker-Content-Digest"); got != "" && digest.Digest(got).Validate() != nil {
		s.t.Errorf("%s: the digest is %q", what, got)
	}
	if r.StatusCode == http.StatusCreated && (r.Header.Get("Location") == "" || r.Header.Get("Docker-Content-Digest") == "") {
		s.t.Errorf("%s: created, and nobody knows what and where: %v", what, r.Header)
	}
}

// has checks headers, given as name and value.
func (s *spec) has(r reply, headers ...string) {
	s.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		if got := r.Header.Get(headers[i]); got != headers[i+1] {
			s.t.Errorf("%s %s: %s is %q, want %q: %s", r.Request.Method, r.Request.URL.Path, headers[i], got, headers[i+1], s.reason)
		}
	}
}

func (s *spec) is(r reply, body string) {
	s.t.Helper()
	if string(r.body) != body {
		s.t.Errorf("%s %s: the body is %q, want %q: %s", r.Request.Method, r.Request.URL.Path, r.body, body, s.reason)
	}
}

// blob pushes a blob and describes it.
func (s *spec) blob(content string) ocispec.Descriptor {
	s.t.Helper()
	return s.blobTo(s.repo, content)
}

func (s *spec) blobTo(repo, content string) ocispec.Descriptor {
	s.t.Helper()
	d := digest.FromString(content)
	s.expect(201, "", "POST", "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), []byte(content))
	return ocispec.Descriptor{MediaType: octets, Digest: d, Size: int64(len(content))}
}

const octets = "application/octet-stream"

// image makes a manifest whose blobs are pushed.
func (s *spec) image(layers ...string) (ocispec.Descriptor, []byte) {
	s.t.Helper()
	var all []ocispec.Descriptor
	for _, layer := range layers {
		all = append(all, s.blob(layer))
	}
	body := manifest(s.t, nil, s.blob("{}"), all...)
	return ocispec.Descriptor{MediaType: imageType, Digest: digest.FromBytes(body), Size: int64(len(body))}, body
}

// put pushes a manifest.
func (s *spec) put(ref string, body []byte) reply {
	s.t.Helper()
	return s.expect(201, "", "PUT", s.in("/manifests/"+ref), body, "Content-Type", imageType)
}

// begin opens an upload and returns where it goes on.
func (s *spec) begin() string {
	s.t.Helper()
	r := s.expect(202, "", "POST", s.in("/blobs/uploads/"), nil)
	s.has(r, "Range", "0-0", "Content-Length", "0")
	return r.Header.Get("Location")
}

// end is the URL that ends an upload.
func (s *spec) end(at string, d digest.Digest) string {
	s.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		s.t.Fatal(err)
	}
	q := u.Query()
	q.Set("digest", d.String())
	u.RawQuery = q.Encode()
	return u.String()
}

// same holds HEAD against GET: status and headers are the same, and there is no body.
func (s *spec) same(path string, headers ...string) {
	s.t.Helper()
	get, head := s.do("GET", path, nil, headers...), s.do("HEAD", path, nil, headers...)
	if get.StatusCode != head.StatusCode || len(head.body) > 0 {
		s.t.Errorf("%s: GET %s, HEAD %s with %d bytes", path, get.Status, head.Status, len(head.body))
	}
	for _, r := range []reply{get, head} {
		r.Header.Del("Date")
	}
	if diff := cmp.Diff(get.Header, head.Header); diff != "" {
		s.t.Errorf("%s: headers of GET and HEAD (-GET +HEAD):\n%s", path, diff)
	}
}

// commonRules are those of the base and of every endpoint.
func commonRules() []rule {
	return []rule{
		{"base", "known", "a client looks here whether this is a registry", func(s *spec) {
			s.has(s.expect(200, "", "GET", "/v2/", nil), "Content-Type", "application/json")
			s.expect(200, "", "GET", "/v2", nil)
		}},
		{"base", "challenge", "a client learns here how to prove who it is; of two challenges it may take the wrong one", func(s *spec) {
			r := s.expect(401, "UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", "")
			if got := r.Header.Values("Www-Authenticate"); len(got) != 1 || !strings.HasPrefix(got[0], `Basic realm="`) || strings.Contains(strings.ToLower(got[0]), "bearer") {
				s.t.Errorf("challenges %q", got)
			}
			for _, bad := range []string{"Basic eDp5", "Bearer x", "Basic %", "Negotiate x", "Basic"} {
				s.expect(401, "UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", bad)
				s.expect(401, "UNAUTHORIZED", "HEAD", s.in("/blobs/"+digest.FromString("x").String()), nil, "Authorization", bad)
			}
		}},
		{"base", "denied", "who is known and may not is told so", func(s *spec) {
			s.blob("secret")
			other := s.credential(auth.Scope{Prefix: "elsewhere/"})
			for _, path := range []string{"/blobs/" + digest.FromString("secret").String(), "/manifests/v1", "/tags/list", "/referrers/" + digest.FromString("x").String()} {
				s.expect(403, "DENIED", "GET", s.in(path), nil, "Authorization", other)
			}
			s.expect(403, "DENIED", "GET", "/v2/_catalog", nil, "Authorization", other)
			reader := s.credential(auth.Scope{Prefix: s.repo + "/"})
			s.expect(200, "", "GET", s.in("/blobs/"+digest.FromString("secret").String()), nil, "Authorization", reader)
			for _, change := range [][2]string{{"POST", "/blobs/uploads/"}, {"PUT", "/manifests/v1"}, {"DELETE", "/manifests/v1"}, {"DELETE", "/blobs/" + digest.FromString("secret").String()}} {
				s.expect(403, "DENIED", change[0], s.in(change[1]), nil, "Authorization", reader)
			}
		}},
		{"base", "methods", "405 says what may be asked instead", func(s *spec) {
			d := digest.FromString("x").String()
			for path, allow := range map[string]string{
				"/v2/": "GET, HEAD", "/v2/_catalog": "GET, HEAD", s.in("/tags/list"): "GET, HEAD", s.in("/referrers/" + d): "GET, HEAD",
				s.in("/manifests/v1"): "DELETE, GET, HEAD, PUT", s.in("/blobs/" + d): "DELETE, GET, HEAD", s.in("/blobs/uploads/"): "POST",
				s.in("/blobs/uploads/x"): "DELETE, GET, HEAD, PATCH, PUT",
			} {
				for _, method := range []string{"TRACE", "OPTIONS", "POST", "PATCH", "PUT", "DELETE"} {
					if !strings.Contains(allow, method) {
						s.has(s.expect(405, "UNSUPPORTED", method, path, nil), "Allow", allow)
					}
				}
			}
		}},
		{"base", "names", "the grammar has no room for paths of the file system", func(s *spec) {
			for _, good := range []string{"a", "a/b/c/d/e/f", "a.b", "a__b", "a---b", "0/1", strings.Repeat("a", 255), "blobs/uploads", "manifests", "tags/list"} {
				s.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/"+good+"/manifests/v1", nil)
				s.expect(404, "BLOB_UNKNOWN", "GET", "/v2/"+good+"/blobs/"+digest.FromString("x").String(), nil)
			}
			for _, bad := range []string{"A", "a..b", "a___b", "-a", "a-", "a/", "a//b", ".a", "a.", "_a", "a b", "a%00b", "ä", strings.Repeat("a", 256)} {
				s.expect(400, "NAME_INVALID", "GET", "/v2/"+strings.ReplaceAll(bad, " ", "%20")+"/manifests/v1", nil)
				s.expect(400, "NAME_INVALID", "POST", "/v2/"+strings.ReplaceAll(bad, " ", "%20")+"/blobs/uploads/", nil)
			}
		}},
		{"base", "elsewhere", "what is not the API is nothing", func(s *spec) {
			for _, path := range []string{"/", "/v1/", "/v2x", "/v2/x", "/v2/x/y", "/v3/", "/healthzz", "/metrics"} {
				s.expect(404, "NAME_UNKNOWN", "GET", path, nil)
			}
		}},
	}
}
