package artifact_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/artifact"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const repository = "team/app-abc"

var content = bytes.Repeat([]byte("content of an archive "), 1000)

// open returns a store with the content in one repository.
func open(t testing.TB) (*store.Store, digest.Digest) {
	t.Helper()
	return openWith(t, store.Options{NoSync: true})
}

func openWith(t testing.TB, options store.Options) (*store.Store, digest.Digest) {
	t.Helper()
	s, err := store.Open(t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	repo, err := s.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	stage, err := repo.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Write(content); err != nil {
		t.Fatal(err)
	}
	desc, err := stage.Commit(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return s, desc.Digest
}

func handler(t testing.TB, s *store.Store, key byte) *artifact.Handler {
	t.Helper()
	h, err := artifact.NewHandler(s, bytes.Repeat([]byte{key}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request and returns the answer.
func ask(t testing.TB, h http.Handler, method, path string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "http://x/", http.NoBody)
	request.URL.Path = path
	for key, value := range header {
		request.Header.Set(key, value)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	response := recorder.Result()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

// nothing are the roots of a store whose content nothing refers to.
type nothing struct{}

func (nothing) Roots(context.Context) (store.RootSet, error) {
	return store.RootSet{Complete: true, Managed: func(string) bool { return true }}, nil
}

// TestWhatIsFetchedStays: an object that is held back points to older content, and Flux fetches that again and again.
func TestWhatIsFetchedStays(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(time.Now().Unix())
	s, blob := openWith(t, store.Options{NoSync: true, LeaseTTL: time.Hour, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	h := handler(t, s, 1)
	path := "/" + h.Path(repository, blob)
	for i, step := range []struct {
		after time.Duration
		want  int
	}{{50 * time.Minute, http.StatusOK}, {50 * time.Minute, http.StatusOK}, {2 * time.Hour, http.StatusNotFound}} {
		now.Add(int64(step.after / time.Second))
		if _, err := s.Collect(t.Context(), nothing{}); err != nil {
			t.Fatal(err)
		}
		if response, _ := ask(t, h, http.MethodGet, path, nil); response.StatusCode != step.want {
			t.Errorf("request %d, %s after the one before: %s, want %d", i+1, step.after, response.Status, step.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s, blob := open(t)
	h := handler(t, s, 1)
	path := "/" + h.Path(repository, blob)
	if !strings.HasSuffix(path, "/sha256-"+blob.Encoded()+".tar.gz") {
		t.Errorf("path is %s", path)
	}
	whole := string(content)
	for name, tc := range map[string]struct {
		method, path string
		header       map[string]string
		status       int
		body         string
		reason       string
	}{
		"get":             {"GET", path, nil, 200, whole, "that is what it is for"},
		"head":            {"HEAD", path, nil, 200, "", "clients ask how much it is"},
		"a range":         {"GET", path, map[string]string{"Range": "bytes=3-9"}, 206, whole[3:10], "a client goes on where it was cut off"},
		"beyond the end":  {"GET", path, map[string]string{"Range": "bytes=999999-"}, 416, "", "there is nothing"},
		"had before":      {"GET", path, map[string]string{"If-None-Match": `"` + blob.String() + `"`}, 304, "", "the digest says that it is the same"},
		"put":             {"PUT", path, nil, 405, "", "nothing is written"},
		"delete":          {"DELETE", path, nil, 405, "", "nothing is deleted"},
		"the root":        {"GET", "/", nil, 404, "", "there is no list"},
		"a folder":        {"GET", "/" + repository + "/", nil, 404, "", "there is no list"},
		"no slash":        {"GET", path[1:], nil, 404, "", "that is no path"},
		"no seal":         {"GET", "/" + repository + "/sha256-" + blob.Encoded() + ".tar.gz", nil, 404, "", "who knows the digest may not have it"},
		"another's seal":  {"GET", "/" + handler(t, s, 2).Path(repository, blob), nil, 404, "", "it was made with another key"},
		"other place":     {"GET", strings.Replace(path, "team/", "other/", 1), nil, 404, "", "the seal is for one repository"},
		"other digest":    {"GET", strings.Replace(path, blob.Encoded(), digest.FromString("x").Encoded(), 1), nil, 404, "", "the seal is for one blob"},
		"not there":       {"GET", "/" + h.Path(repository, digest.FromString("x")), nil, 404, "", "it was collected"},
		"not there now":   {"GET", "/" + h.Path("team/web", blob), nil, 404, "", "another repository has it, this one hasn't"},
		"no extension":    {"GET", strings.TrimSuffix(path, ".tar.gz"), nil, 404, "", "one blob has one path"},
		"longer than any": {"GET", "/" + strings.Repeat("a/", 1000) + path, nil, 404, "", "nobody looks at that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := ask(t, h, tc.method, tc.path, tc.header)
			if response.StatusCode != tc.status {
				t.Fatalf("status is %d, want %d: %s", response.StatusCode, tc.status, tc.reason)
			}
			if tc.status < 300 && string(body) != tc.body {
				t.Errorf("got %d bytes, want %d: %s", len(body), len(tc.body), tc.reason)
			}
			if tc.status >= 400 && bytes.Contains(body, content[:20]) {
				t.Error("a refusal has the content in it")
			}
			if tc.status == 200 && (response.ContentLength != int64(len(content)) || response.Header.Get("ETag") != `"`+blob.String()+`"`) {
				t.Errorf("length %d, header %v", response.ContentLength, response.Header)
			}
			if tc.status == 405 && response.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("allowed is %q", response.Header.Get("Allow"))
			}
		})
	}
}

func TestDamagedStoreIsNotServed(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	h := handler(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	response, body := ask(t, h, http.MethodGet, "/"+h.Path(repository, digest.FromString("x")), nil)
	if response.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), "can't be read") {
		t.Errorf("status is %d, %q", response.StatusCode, body)
	}
}

// wire stands for a connection that can take a file by itself.
type wire struct {
	*httptest.ResponseRecorder
	files int
}

// ReadFrom implements io.ReaderFrom.
func (w *wire) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok {
		if _, file := limited.R.(*os.File); file {
			w.files++
		}
	}
	return io.Copy(w.ResponseRecorder, src)
}

// TestFileReachesTheWire: the kernel sends a file by itself, if nobody puts himself between.
func TestFileReachesTheWire(t *testing.T) {
	t.Parallel()
	s, blob := open(t)
	h := handler(t, s, 1)
	w := &wire{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+h.Path(repository, blob), http.NoBody))
	if w.files != 1 || !bytes.Equal(w.Body.Bytes(), content) {
		t.Errorf("%d parts of the answer are a file, %d bytes of %d", w.files, w.Body.Len(), len(content))
	}
}

func TestShortKey(t *testing.T) {
	t.Parallel()
	if _, err := artifact.NewHandler(nil, make([]byte, 31), nil); err == nil {
		t.Error("a key that can be guessed is accepted")
	}
}

// FuzzPath proves that no path leads anywhere but those that were made.
func FuzzPath(f *testing.F) {
	s, blob := open(f)
	h := handler(f, s, 1)
	path := "/" + h.Path(repository, blob)
	for _, seed := range []string{path, "/", "", "//", path + "/", "/.." + path, strings.ToUpper(path), strings.ReplaceAll(path, "/", "//"), "/a/b/sha256-.tar.gz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		response, _ := ask(t, h, http.MethodGet, given, nil)
		if response.StatusCode != http.StatusNotFound && given != path {
			t.Errorf("%q is answered with %d", given, response.StatusCode)
		}
	})
}

func BenchmarkServe(b *testing.B) {
	s, blob := open(b)
	h := handler(b, s, 1)
	path := "/" + h.Path(repository, blob)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		ask(b, h, http.MethodGet, path, nil)
	}
}
