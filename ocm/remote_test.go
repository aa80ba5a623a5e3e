package ocm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// web is a server of files that remembers what it was asked.
type web struct {
	*httptest.Server

	mu       sync.Mutex
	requests []*http.Request
}

func (w *web) seen() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests
}

func serveWeb(t *testing.T, tls bool, files map[string]string) *web {
	t.Helper()
	w := &web{}
	handler := http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		w.mu.Lock()
		w.requests = append(w.requests, req)
		w.mu.Unlock()
		content, ok := files[req.URL.Path]
		switch {
		case strings.HasPrefix(content, "redirect:"):
			http.Redirect(rw, req, strings.TrimPrefix(content, "redirect:"), http.StatusFound)
		case strings.HasPrefix(content, "login:"):
			if _, _, given := req.BasicAuth(); !given {
				http.Error(rw, "", http.StatusUnauthorized)
				return
			}
			io.WriteString(rw, strings.TrimPrefix(content, "login:"))
		case !ok:
			http.NotFound(rw, req)
		default:
			rw.Header().Set("Content-Type", "text/x-web")
			io.WriteString(rw, content)
		}
	})
	if tls {
		w.Server = httptest.NewTLSServer(handler)
	} else {
		w.Server = httptest.NewServer(handler)
	}
	t.Cleanup(w.Close)
	return w
}

func index(entries ...string) string {
	return "entries:\n  web:\n" + strings.Join(entries, "")
}

func chartOf(version, url, content string) string {
	return fmt.Sprintf("  - {version: %s, urls: [%q], digest: %s}\n", version, url, digest.FromString(content).Encoded())
}

// TestWebAccess reads charts and files from web servers.
func TestWebAccess(t *testing.T) {
	t.Parallel()
	other := serveWeb(t, false, map[string]string{"/web-3.tgz": "chart 3", "/file": "other file"})
	site := serveWeb(t, false, map[string]string{
		"/file":     "file",
		"/login":    "login:file",
		"/moved":    "redirect:" + other.URL + "/file",
		"/loop":     "redirect:/loop",
		"/to-file":  "redirect:file:///etc/passwd",
		"/charts/x": "not an index",
		"/charts/index.yaml": index(
			chartOf("1.0.0", "web-1.tgz", "chart 1"),
			chartOf("2.0.0", "/charts/web-1.tgz", "chart 2"),
			chartOf("3.0.0", other.URL+"/web-3.tgz", "chart 3"),
			chartOf("4.0.0", "file:///etc/passwd", ""),
			chartOf("5.0.0", "none.tgz", ""),
			"  - {version: 6.0.0, urls: [web-1.tgz]}\n"),
		"/charts/web-1.tgz":  "chart 1",
		"/large/index.yaml":  strings.Repeat("#", 5000),
		"/broken/index.yaml": "a: [",
	})
	registry := ocmtest.Start(t)
	manifest := artifact(t, registry.URL+"/charts/web:1.0.0_b", ocmtest.Chart("web", "1.0.0+b", []byte("chart")))
	helm := func(repository, chart string) any {
		return access.Helm{Type: "helm", Repository: repository, Chart: chart}
	}
	wget := func(path string) any { return map[string]any{"type": "wget/v1", "url": site.URL + path} }
	blob := func(content string) *descriptor.Digest { return descriptor.NewBlobDigest(digest.FromString(content)) }
	charts := site.URL + "/charts"
	cases := map[string]struct {
		access any
		digest *descriptor.Digest
		want   string
		is     error
	}{
		"chart":                     {access: helm(charts, "web:1.0.0"), want: "chart 1"},
		"chart, slash":              {access: helm(charts+"/", "web:1.0.0"), want: "chart 1"},
		"chart, digest":             {access: helm(charts, "web:1.0.0"), digest: blob("chart 1"), want: "chart 1"},
		"chart, wrong digest":       {access: helm(charts, "web:1.0.0"), digest: blob("x"), is: errMismatch},
		"chart, digest of artifact": {access: helm(charts, "web:1.0.0"), digest: descriptor.NewArtifactDigest(manifest), is: ocm.ErrUnsupported},
		"chart, index disagrees":    {access: helm(charts, "web:2.0.0"), is: errMismatch},
		"chart elsewhere":           {access: helm(charts, "web:3.0.0"), want: "chart 3"},
		"chart in a file":           {access: helm(charts, "web:4.0.0"), is: errAny},
		"chart missing":             {access: helm(charts, "web:5.0.0"), is: ocm.ErrNotFound},
		"chart, not in the index":   {access: helm(charts, "web:9.0.0"), is: ocm.ErrNotFound},
		"chart, no digest anywhere": {access: helm(charts, "web:6.0.0"), want: "chart 1"},
		"no index":                  {access: helm(site.URL, "web:1.0.0"), is: ocm.ErrNotFound},
		"large index":               {access: helm(site.URL+"/large", "web:1.0.0"), is: ocm.ErrTooLarge},
		"broken index":              {access: helm(site.URL+"/broken", "web:1.0.0"), is: errAny},
		"chart without a version":   {access: helm(charts, "web"), is: errAny},
		"repository in a file":      {access: helm("file:///charts", "web:1.0.0"), is: errAny},
		"file":                      {access: wget("/file"), want: "file"},
		"file, digest":              {access: wget("/file"), digest: blob("file"), want: "file"},
		"file, wrong digest":        {access: wget("/file"), digest: blob("x"), is: errMismatch},
		"file, other spelling":      {access: map[string]any{"type": "Wget", "URL": site.URL + "/file"}, want: "file"},
		"file moved":                {access: wget("/moved"), want: "other file"},
		"file moved, not followed":  {access: map[string]any{"type": "wget", "url": site.URL + "/moved", "noRedirect": true}, is: errAny},
		"file missing":              {access: wget("/none"), is: ocm.ErrNotFound},
		"file behind a log-in":      {access: wget("/login"), is: ocm.ErrUnauthorized},
		"redirects without end":     {access: wget("/loop"), is: errAny},
		"redirect to a file":        {access: wget("/to-file"), is: errAny},
		"other verb":                {access: map[string]any{"type": "wget", "url": site.URL + "/file", "verb": "POST"}, is: ocm.ErrUnsupported},
		"with a body":               {access: map[string]any{"type": "wget", "url": site.URL + "/file", "body": "x"}, is: ocm.ErrUnsupported},
		"local file":                {access: map[string]any{"type": "wget", "url": "file:///etc/passwd"}, is: errAny},
		"chart in a registry":       {access: helm("oci://"+registry.Host+"/charts", "web:1.0.0+b"), want: "chart"},
		"registry, digest":          {access: helm("oci://"+registry.Host+"/charts", "web:1.0.0+b"), digest: blob("chart"), want: "chart"},
		"registry, artifact digest": {access: helm("oci://"+registry.Host+"/charts", "web:1.0.0+b"), digest: descriptor.NewArtifactDigest(manifest), want: "chart"},
		"registry, wrong digest":    {access: helm("oci://"+registry.Host+"/charts", "web:1.0.0+b"), digest: blob("x"), is: errMismatch},
		"registry, missing":         {access: helm("oci://"+registry.Host+"/charts", "web:1.0.0"), is: ocm.ErrNotFound},
		"s3":                        {access: map[string]any{"type": "s3", "bucket": "b"}, is: ocm.ErrUnsupported},
		"gitHub":                    {access: map[string]any{"type": "gitHub", "repoUrl": "x"}, is: ocm.ErrUnsupported},
	}
	publish(t, registry.URL, shopVersion("1.0.0"))
	get := func(o ocm.Options) *ocm.ComponentVersion {
		t.Helper()
		cv, err := open(t, registry.URL, o).Get(t.Context(), shop, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		return cv
	}
	closed := get(ocm.Options{})
	allowed := get(ocm.Options{Allow: []string{"helm", "wget"}, Limits: ocm.Limits{ChartIndexBytes: 4096}})
	for name, tc := range cases {
		res := build(t, ocmtest.Resource{Access: accessOf(t, tc.access), Digest: tc.digest})
		before := len(site.seen()) + len(other.seen())
		if _, err := content(t, closed, res); err == nil && !strings.Contains(string(res.Access.Raw), "oci://") {
			t.Errorf("%s: read although it is not allowed", name)
		}
		if after := len(site.seen()) + len(other.seen()); after != before {
			t.Errorf("%s: %d requests although it is not allowed", name, after-before)
		}
		t.Run(name, func(t *testing.T) {
			got, err := contentOf(t, allowed, res)
			outcome(t, got, err, tc.want, tc.is)
			if _, err := allowed.ImageReference(res); !errors.Is(err, ocm.ErrUnsupported) {
				t.Errorf("ImageReference = %v, want ErrUnsupported", err)
			}
		})
	}
}

// TestNotAllowed says what to do.
func TestNotAllowed(t *testing.T) {
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry.URL, shopVersion("1.0.0"))
	cv, err := open(t, registry.URL, ocm.Options{Allow: []string{"helm"}}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = cv.Open(t.Context(), build(t, ocmtest.Resource{Access: accessOf(t, map[string]any{"type": "wget", "url": "http://127.0.0.1:1/"})}), ocm.ReadOptions{})
	if !errors.Is(err, ocm.ErrUnsupported) || !strings.Contains(err.Error(), "by value") {
		t.Errorf("Open = %v, want ErrUnsupported and advice", err)
	}
}

// TestChartCredentials sends them to the chart repository only, and encrypted.
func TestChartCredentials(t *testing.T) {
	t.Parallel()
	other := serveWeb(t, true, map[string]string{"/web-2.tgz": "chart 2"})
	files := map[string]string{
		"/index.yaml": "login:" + index(chartOf("1.0.0", "web-1.tgz", "chart 1"), chartOf("2.0.0", other.URL+"/web-2.tgz", "chart 2"),
			chartOf("3.0.0", "moved.tgz", "chart 2"), chartOf("4.0.0", "http://127.0.0.1:1/web.tgz", "x")),
		"/web-1.tgz": "login:chart 1",
		"/moved.tgz": "redirect:" + other.URL + "/web-2.tgz",
	}
	secure, plain := serveWeb(t, true, files), serveWeb(t, false, files)
	config, err := json.Marshal(map[string]any{
		"type": "credentials.config.ocm.software",
		"consumers": []any{map[string]any{
			"identity":    map[string]string{"type": "HelmChartRepository", "hostname": "127.0.0.1"},
			"credentials": []any{map[string]any{"type": "Credentials", "properties": map[string]string{"username": "u", "password": "p"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := credentials.FromOCMConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	registry := ocmtest.Start(t)
	publish(t, registry.URL, shopVersion("1.0.0"))
	o := ocm.Options{Allow: []string{"helm"}, Credentials: store, Transport: secure.Client().Transport, Hosts: allowed(t, "127.0.0.1")}
	cv, err := open(t, registry.URL, o).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		repository, version, want string
		is                        error
	}{
		"chart":              {secure.URL, "1.0.0", "chart 1", nil},
		"chart elsewhere":    {secure.URL, "2.0.0", "chart 2", nil},
		"chart moved":        {secure.URL, "3.0.0", "chart 2", nil},
		"to a plain address": {secure.URL, "4.0.0", "", errAny},
		"plain repository":   {plain.URL, "1.0.0", "", ocm.ErrUnauthorized},
	} {
		res := build(t, ocmtest.Resource{Access: accessOf(t, access.Helm{Type: "helm/v1", Repository: tc.repository, Chart: "web:" + tc.version})})
		got, err := contentOf(t, cv, res)
		t.Run(name, func(t *testing.T) { outcome(t, got, err, tc.want, tc.is) })
	}
	for _, req := range append(other.seen(), plain.seen()...) {
		if req.Header.Get("Authorization") != "" {
			t.Errorf("%s%s got the credentials", req.Host, req.URL.Path)
		}
	}
}

// TestCertificateAuthorityOfAComponent trusts it where no credential is at
// stake: a component that was tampered with must not lead one astray.
func TestCertificateAuthorityOfAComponent(t *testing.T) {
	t.Parallel()
	secure := serveWeb(t, true, map[string]string{"/index.yaml": index(chartOf("1.0.0", "web.tgz", "chart")), "/web.tgz": "chart"})
	store, err := credentials.FromOCMConfig([]byte(`{"type":"credentials.config.ocm.software","consumers":[{"identity":{"type":"HelmChartRepository",
		"hostname":"127.0.0.1"},"credentials":[{"type":"Credentials","properties":{"username":"u","password":"p"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	registry := ocmtest.Start(t)
	publish(t, registry.URL, shopVersion("1.0.0"))
	res := build(t, ocmtest.Resource{Access: accessOf(t, access.Helm{Type: "helm", Repository: secure.URL, Chart: "web:1.0.0", CACert: pemOf(secure)})})
	for name, tc := range map[string]struct {
		store *credentials.Store
		works bool
	}{
		"without a credential": {nil, true},
		"with a credential":    {store, false},
	} {
		before := len(secure.seen())
		cv, err := open(t, registry.URL, ocm.Options{Allow: []string{"helm"}, Credentials: tc.store}).Get(t.Context(), shop, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		if err := drain(t, cv, res); (err == nil) != tc.works {
			t.Errorf("%s: error is %v, want that it works: %t", name, err, tc.works)
		}
		if seen := len(secure.seen()) > before; seen != tc.works {
			t.Errorf("%s: the server was asked: %t, want %t", name, seen, tc.works)
		}
	}
}
