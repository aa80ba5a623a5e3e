package oci

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// listing is a registry that lists tags in pages of two and knows conditions.
type listing struct {
	mu       sync.Mutex
	tags     []string
	manifest string
	quiet    bool // no tags of content
	asked    map[int]int
}

// ServeHTTP implements http.Handler.
func (l *listing) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	user, _, _ := req.BasicAuth()
	if user == "" {
		w.Header().Set("Www-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body := l.manifest
	if strings.HasSuffix(req.URL.Path, "/tags/list") {
		rest := l.tags
		for len(rest) > 0 && rest[0] <= req.URL.Query().Get("last") {
			rest = rest[1:]
		}
		if len(rest) > 2 {
			rest = rest[:2]
			w.Header().Set("Link", fmt.Sprintf(`</v2/a/tags/list?n=2&last=%s>; rel="next"`, rest[1]))
		}
		body = fmt.Sprintf(`{"tags":["%s"]}`, strings.Join(rest, `","`))
	}
	etag := `"` + digest.FromString(body+w.Header().Get("Link")).String() + `"`
	code := http.StatusOK
	if !l.quiet {
		w.Header().Set("ETag", etag)
		if req.Header.Get("If-None-Match") == etag {
			code = http.StatusNotModified
		}
	}
	l.asked[code]++
	w.WriteHeader(code)
	if code == http.StatusOK {
		_, _ = w.Write([]byte(body)) // the client is gone if this fails
	}
}

// counts returns how many answers of a status there were, and forgets them.
func (l *listing) counts() map[int]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = map[int]int{}
	return asked
}

// TestMemory sends nothing again that is known, to nobody else.
func TestMemory(t *testing.T) {
	t.Parallel()
	l := &listing{tags: []string{"1.0.0", "1.1.0", "2.0.0"}, manifest: `{"layers":[]}`, asked: map[int]int{}}
	server := httptest.NewServer(l)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	same := map[string]int{}
	memory := NewMemory(MemoryOptions{Answered: func(kind string, s bool) { same[fmt.Sprintf("%s %t", kind, s)]++ }})
	as := func(user string) *Repository {
		r, err := NewClient(Options{Home: host, Memory: memory, Credentials: credentials.FromBasic(host, user, "x")}).Repository(Location{Host: host, Path: "a", PlainHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	read := func(r *Repository, wantTags int, want map[int]int) {
		t.Helper()
		tags, err := r.Tags(t.Context())
		if err != nil || len(tags) != wantTags || tags[0] != "1.0.0" {
			t.Errorf("Tags = %v, %v, want %d", tags, err, wantTags)
		}
		m, err := r.Manifest(t.Context(), "1.0.0")
		if err != nil || string(m.Bytes) != l.manifest || m.Digest != digest.FromString(l.manifest) {
			t.Errorf("Manifest = %+v, %v", m, err)
		} else {
			m.Digest, m.MediaType = "", "" // is the caller's
		}
		if got := l.counts(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("answers %v, want %v", got, want)
		}
	}
	me := as("me")
	read(me, 3, map[int]int{200: 3})
	read(me, 3, map[int]int{304: 3})
	read(as("me"), 3, map[int]int{304: 3})
	read(as("other"), 3, map[int]int{200: 3})
	l.tags = append(l.tags, "2.1.0", "2.2.0")
	read(me, 5, map[int]int{200: 2, 304: 2})
	l.manifest = `{"manifests":[]}`
	read(me, 5, map[int]int{200: 1, 304: 3})
	if fmt.Sprint(same) != fmt.Sprint(map[string]int{"tags false": 6, "tags true": 8, "manifest false": 3, "manifest true": 3}) {
		t.Errorf("told %v", same)
	}
	l.quiet = true
	read(me, 5, map[int]int{200: 4})
	l.quiet = false
	read(me, 5, map[int]int{200: 4})
}

// TestMemoryBounds forgets what was not asked for longest.
func TestMemoryBounds(t *testing.T) {
	t.Parallel()
	memory := NewMemory(MemoryOptions{Bytes: 8 << 10})
	r := &Repository{memory: memory}
	for i := range 100 {
		r.remember(fmt.Sprint("address", i), `"x"`, i, 1000)
		if i > 0 && r.recall("address0", http.Header{}) != 0 {
			t.Fatalf("what is asked for all the time was forgotten after %d others", i)
		}
	}
	if len(memory.known) != memory.order.Len() || memory.bytes > 8<<10 || len(memory.known) < 4 {
		t.Errorf("%d and %d are known, %d bytes", len(memory.known), memory.order.Len(), memory.bytes)
	}
	r.remember("large", `"x"`, 1, 4<<10)
	r.remember("none", "", 1, 1)
	r.remember("odd", strings.Repeat("x", 300), 1, 1)
	for _, address := range []string{"large", "none", "odd", "never"} {
		header := http.Header{}
		if got := r.recall(address, header); got != nil || len(header) > 0 {
			t.Errorf("%s: recalled %v", address, got)
		}
	}
	r.remember("address0", "", 1, 1)
	if got := r.recall("address0", http.Header{}); got != nil {
		t.Errorf("recalled %v, whose content has no tag by now", got)
	}
}

// TestTags bounds what is listed, and follows links to nowhere else.
func TestTags(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		link, body string
		limits     Limits
		is         error
		says       string
	}{
		"endless":      {link: `</v2/a/tags/list?n=1>; rel="next"`, body: `{"tags":["x"]}`, limits: Limits{TagPages: 3}, is: ErrTooLarge, says: "3 pages"},
		"many":         {body: `{"tags":["x","y","z"]}`, limits: Limits{Tags: 2}, is: ErrTooLarge, says: "--max-tags"},
		"large":        {body: `{"tags":["` + strings.Repeat("x", 5000) + `"]}`, limits: Limits{ManifestBytes: 1000}, is: ErrTooLarge},
		"elsewhere":    {link: `<http://169.254.169.254/v2/a/tags/list>; rel="next"`, body: `{}`, says: "which is not its own"},
		"odd link":     {link: `/v2/a/tags/list`, body: `{}`, says: "cannot be read"},
		"odd link too": {link: `<:>`, body: `{}`, says: "no address"},
		"no JSON":      {body: `<html>`, says: "cannot be read"},
		"list of none": {body: `{"tags":null}`},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if tc.link != "" {
				w.Header().Set("Link", tc.link)
			}
			_, _ = w.Write([]byte(tc.body)) // the client is gone if this fails
		}))
		t.Cleanup(server.Close)
		host := strings.TrimPrefix(server.URL, "http://")
		r, err := NewClient(Options{Home: host, Limits: tc.limits}).Repository(Location{Host: host, Path: "a", PlainHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Tags(t.Context())
		if wrong := tc.is != nil || tc.says != ""; wrong != (err != nil) || tc.is != nil && !errors.Is(err, tc.is) || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: Tags = %v, %v, want %v with %q", name, got, err, tc.is, tc.says)
		}
	}
}

// FuzzNext follows links to nowhere but the registry itself.
func FuzzNext(f *testing.F) {
	for _, link := range []string{
		"", `</v2/a/tags/list?n=1&last=x>; rel="next"`, `<?n=1>`, `<http://registry.example/v2/>`, `<//elsewhere.example/x>`,
		`<http://registry.example@elsewhere.example/>`, `<https://registry.example:444/x>`, `<http://registry.example\\@elsewhere/>`, `<:>`, `<`,
	} {
		f.Add(link)
	}
	r := &Repository{location: Location{Host: "registry.example:5000", Path: "a"}}
	asked, err := http.NewRequest(http.MethodGet, "https://registry.example:5000/v2/a/tags/list", http.NoBody)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, link string) {
		got, err := r.next(&http.Response{Request: asked, Header: http.Header{"Link": {link}}})
		if err != nil || got == "" {
			return
		}
		to, err := url.Parse(got)
		if err != nil || to.Scheme != "https" || to.Host != "registry.example:5000" || to.User != nil {
			t.Errorf("%q leads to %q, %v", link, got, err)
		}
	})
}
