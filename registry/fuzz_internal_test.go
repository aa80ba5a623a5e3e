package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// FuzzRoute proves that what a path is allowed for is what it is answered with: its parts give the path again, and only one way
// of reading it.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		"/v2/", "/v2", "/healthz", "/v2/_catalog", "/v2/a/tags/list", "/v2/a/b/manifests/v1", "/v2/a/blobs/sha256:x", "/v2/a/blobs/uploads/", "/v2/a/blobs/uploads",
		"/v2/a/blobs/uploads/id", "/v2/a/referrers/sha256:x", "/v2/blobs/uploads/blobs/uploads/", "/v2/a/manifests/tags/list", "/v2//tags/list", "/v2/../manifests/x", "//v2/", "/v2/a/blobs/uploads//",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := parseRoute(path)
		again := ""
		switch r.op {
		case opNone:
			return
		case opHealth:
			again = "/healthz"
		case opBase:
			again = "/v2"
			path = strings.TrimSuffix(path, "/")
		case opCatalog:
			again = "/v2/_catalog"
		case opTags:
			again = "/v2/" + r.name + "/tags/list"
		case opManifest:
			again = "/v2/" + r.name + "/manifests/" + r.ref
		case opBlob:
			again = "/v2/" + r.name + "/blobs/" + r.ref
		case opReferrers:
			again = "/v2/" + r.name + "/referrers/" + r.ref
		case opUpload:
			again = "/v2/" + r.name + "/blobs/uploads/" + r.ref
		case opUploads:
			again = "/v2/" + r.name + "/blobs/uploads"
			path = strings.TrimSuffix(path, "/")
		}
		if again != path {
			t.Errorf("%q is read as %+v", path, r)
		}
		if strings.Contains(r.ref, "/") {
			t.Errorf("%q has a reference with a slash: %q", path, r.ref)
		}
	})
}

// FuzzContentRange proves that a range that is accepted is one, and means what it says.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"0-0", "0-5", "5-4", "bytes 1-2/3", "bytes 1-2/*", "+1-2", "1--2", "99999999999999999999-1", "9223372036854775806-9223372036854775807", "-", "0-", " 0-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		first, last, err := parseRange(header)
		if err != nil {
			return
		}
		if first < 0 || last < first-1 || last-first+1 < 0 {
			t.Errorf("%q is %d to %d", header, first, last)
		}
		plain, _, _ := strings.Cut(strings.TrimPrefix(header, "bytes "), "/")
		from, to, _ := strings.Cut(plain, "-")
		if a, err := strconv.ParseInt(from, 10, 64); err != nil || a != first || strings.HasPrefix(from, "+") {
			t.Errorf("%q begins at %d", header, first)
		}
		if b, err := strconv.ParseInt(to, 10, 64); err != nil || b != last || strings.HasPrefix(to, "+") {
			t.Errorf("%q ends at %d", header, last)
		}
	})
}

// model is what an upload ought to be.
type model struct {
	at   string
	held []byte
	open bool
}

// FuzzUploads sends any order of requests to two uploads, and compares every answer with what a list of bytes would say.
func FuzzUploads(f *testing.F) {
	s, err := store.Open(f.TempDir(), store.Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	h := NewHandler(s, Options{Authorizer: auth.AllowAll()})
	f.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte{1, 17, 33, 6, 1, 3, 4, 0, 5})
	f.Add([]byte{2, 2, 18, 7, 7, 3, 1, 1, 1, 4, 3})
	f.Add([]byte{0x41, 0x52, 0x73, 0x04, 0x15, 0x86, 0x97, 0xff})
	f.Fuzz(func(t *testing.T, program []byte) {
		uploads := [2]model{}
		for i, step := range program[:min(len(program), 64)] {
			up := &uploads[step>>3&1]
			if up.at == "" {
				up.begin(t, h)
			}
			up.step(t, h, step&7, int(step>>4), byte(i))
		}
		for _, up := range uploads {
			if up.open {
				send(h, http.MethodDelete, up.at, "", "")
			}
		}
	})
}

func send(h http.Handler, method, path, body string, contentRange string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if contentRange != "" {
		r.Header.Set("Content-Range", contentRange)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (m *model) begin(t *testing.T, h http.Handler) {
	t.Helper()
	w := send(h, http.MethodPost, "/v2/a/blobs/uploads/", "", "")
	if w.Code != http.StatusAccepted {
		t.Fatalf("begin: %d", w.Code)
	}
	*m = model{at: w.Header().Get("Location"), open: true}
}

// step does one thing, with n bytes where bytes are sent.
func (m *model) step(t *testing.T, h http.Handler, what byte, n int, fill byte) {
	t.Helper()
	body := strings.Repeat(string(rune('a'+fill%26)), n)
	place := func(first int) string { return fmt.Sprintf("%d-%d", first, first+n-1) }
	var w *httptest.ResponseRecorder
	want := http.StatusAccepted
	switch what {
	case 0:
		w = send(h, http.MethodPatch, m.at, body, "")
	case 1:
		if n == 0 {
			return
		}
		w = send(h, http.MethodPatch, m.at, body, place(len(m.held)))
	case 2:
		w, want = send(h, http.MethodPatch, m.at, body, place(len(m.held)+1)), http.StatusRequestedRangeNotSatisfiable
		body = ""
	case 3:
		w, want = send(h, http.MethodGet, m.at, "", ""), http.StatusNoContent
		body = ""
	case 4:
		m.end(t, h, body)
		return
	case 5:
		w, want = send(h, http.MethodPut, m.at+"?digest="+digest.FromString("other").String(), body, ""), http.StatusBadRequest
	case 6:
		w, want = send(h, http.MethodDelete, m.at, "", ""), http.StatusNoContent
	default:
		w, want = send(h, http.MethodPut, m.at, body, ""), http.StatusBadRequest
		body = ""
	}
	if !m.open {
		want = http.StatusNotFound
	}
	if w.Code != want {
		t.Fatalf("step %d with %d bytes after %d: %d, want %d: %s", what, n, len(m.held), w.Code, want, w.Body)
	}
	if m.open = m.open && what != 5 && what != 6; !m.open {
		return
	}
	m.held = append(m.held, body...)
	if got, want := w.Header().Get("Range"), fmt.Sprintf("0-%d", max(0, len(m.held)-1)); what < 4 && got != want {
		t.Fatalf("step %d: the range is %q, want %q", what, got, want)
	}
}

// end ends the upload, and reads what came of it.
func (m *model) end(t *testing.T, h http.Handler, body string) {
	t.Helper()
	content := string(m.held) + body
	d := digest.FromString(content).String()
	w := send(h, http.MethodPut, m.at+"?digest="+d, body, "")
	if !m.open {
		if w.Code != http.StatusNotFound {
			t.Fatalf("end of what has ended: %d", w.Code)
		}
		return
	}
	m.open = false
	if w.Code != http.StatusCreated || w.Header().Get("Docker-Content-Digest") != d {
		t.Fatalf("end: %d %s", w.Code, w.Body)
	}
	if w = send(h, http.MethodGet, "/v2/a/blobs/"+d, "", ""); w.Code != http.StatusOK || w.Body.String() != content {
		t.Fatalf("pushed %q, got %d %q", content, w.Code, w.Body)
	}
}
