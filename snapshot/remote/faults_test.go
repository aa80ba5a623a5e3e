package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// between is a registry with something before it that may answer in its place.
type between struct {
	registry http.Handler
	answer   atomic.Pointer[http.HandlerFunc]
}

func (b *between) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if answer := b.answer.Load(); answer != nil {
		(*answer)(w, req)
		return
	}
	b.registry.ServeHTTP(w, req)
}

func (b *between) set(answer http.HandlerFunc) { b.answer.Store(&answer) }

func (b *between) clear() { b.answer.Store(nil) }

func says(status int, mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestNothingIsMissingButWhatTheRegistryMisses lets something before the registry answer. Only an answer in the words of
// registries makes content be missing.
func TestNothingIsMissingButWhatTheRegistryMisses(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	r := snapshottest.Repository(t, serve(t, b), "team/app")
	result := snapshottest.Write(t, r, []byte("content"))
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		missing bool
	}{
		"no such manifest":   {says(404, "application/json", `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`), true},
		"no such blob":       {says(404, "application/json", `{"errors":[{"code":"BLOB_UNKNOWN"}]}`), true},
		"no such repository": {says(404, "application/json", `{"errors":[{"code":"NAME_UNKNOWN"}]}`), true},
		"no such, in short":  {says(404, "application/json", `{"errors":[{"code":"NOT_FOUND"}]}`), true},
		"bare":               {says(404, "text/plain", "404 page not found"), false},
		"page":               {says(404, "text/html", "<html>not found</html>"), false},
		"empty":              {says(404, "", ""), false},
		"other words":        {says(404, "application/json", `{"errors":[{"code":"ROUTE"}]}`), false},
		"page to log in":     {says(200, "text/html; charset=utf-8", "<html>who are you?</html>"), false},
		"text":               {says(200, "text/plain", "upstream is gone"), false},
		"json":               {says(200, "application/json", `{"error":"upstream is gone"}`), false},
		"forbidden":          {says(403, "application/json", `{"errors":[{"code":"DENIED"}]}`), false},
		"bad gateway":        {says(502, "text/html", "<html>bad gateway</html>"), false},
	} {
		b.set(c.answer)
		found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, "")
		if missing := err == nil; found || missing != c.missing {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
		for what, read := range map[string]func() error{
			"open":   func() error { _, err := snapshot.Open(t.Context(), r, result.ManifestDigest); return err },
			"delete": func() error { return r.DeleteManifest(t.Context(), digest.FromString("x")) },
			"stat":   func() error { _, err := r.StatBlob(t.Context(), digest.FromString("x")); return err },
		} {
			err := read()
			if got := errors.Is(err, snapshot.ErrNotFound); got != c.missing {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if mismatch := new(snapshot.DigestMismatchError); errors.As(err, &mismatch) {
				t.Errorf("%s, %s: what is no content is called damaged: %v", name, what, err)
			}
		}
	}
	b.clear()
	if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, result.LayerDigest); !found || err != nil {
		t.Errorf("afterwards: %v, %v", found, err)
	}
}

// TestPassingErrors lets requests fail as often as they are tried again for.
func TestPassingErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		header  string
		failing int32
		ok      bool
	}{
		"busy once":     {429, "0", 1, true},
		"broken thrice": {503, "0", 3, true},
		"broken":        {500, "0", 1 << 30, false},
		"long wait":     {429, "3600", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &between{registry: foreign(t)}
			var failing atomic.Int32
			failing.Store(c.failing)
			b.set(func(w http.ResponseWriter, req *http.Request) {
				if failing.Add(-1) >= 0 {
					w.Header().Set("Retry-After", c.header)
					w.WriteHeader(c.status)
					return
				}
				b.registry.ServeHTTP(w, req)
			})
			r := snapshottest.Repository(t, serve(t, b), "team/app")
			_, err := snapshot.Write(t.Context(), r, snapshot.Meta{Kind: snapshot.Opaque}, func(w io.Writer) error {
				_, err := io.WriteString(w, "content")
				return err
			})
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestUploadsAreTriedAgain breaks uploads after the registry has taken some of the content.
func TestUploadsAreTriedAgain(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	var broken atomic.Int32
	b.set(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/") && broken.Add(1) <= 2 {
			if _, err := io.CopyN(io.Discard, req.Body, 1<<10); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.registry.ServeHTTP(w, req)
	})
	r := snapshottest.Repository(t, serve(t, b), "team/app")
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	result := snapshottest.Write(t, r, content)
	opened, err := snapshot.Open(t.Context(), r, result.ManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(opened)
	if err := errors.Join(err, opened.Close()); err != nil || !bytes.Equal(got, content) || broken.Load() < 3 {
		t.Errorf("%d bytes after %d tries: %v", len(got), broken.Load(), err)
	}
}

// TestDamageIsWrittenAgain gives other bytes of a blob. Whoever reads it notices, the snapshot counts as damaged until it
// is written again, and that is not left out because the registry says that it has the blob.
func TestDamageIsWrittenAgain(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	r := snapshottest.Repository(t, serve(t, b), "team/app")
	result := snapshottest.Write(t, r, []byte("content"))
	blob := "/blobs/" + result.LayerDigest.String()
	var pushed atomic.Bool
	b.set(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/"):
			pushed.Store(true)
		case strings.HasSuffix(req.URL.Path, blob) && !pushed.Load():
			http.ServeContent(w, req, "", time.Time{}, strings.NewReader("CONTENT"))
			return
		}
		b.registry.ServeHTTP(w, req)
	})
	opened, err := snapshot.Open(t.Context(), r, result.ManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(opened)
	mismatch := new(snapshot.DigestMismatchError)
	if err := errors.Join(err, opened.Close()); !errors.As(err, &mismatch) {
		t.Errorf("read: %v", err)
	}
	if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, ""); found || !errors.As(err, &mismatch) {
		t.Errorf("damaged: %v, %v", found, err)
	}
	if again := snapshottest.Write(t, r, []byte("content")); again != result || !pushed.Load() {
		t.Errorf("written again: %+v, pushed %v", again, pushed.Load())
	}
	if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, ""); !found || err != nil {
		t.Errorf("written again: %v, %v", found, err)
	}
}

// TestHollowContent is a registry that has collected the content, and remembers that it has it.
func TestHollowContent(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	r := snapshottest.Repository(t, serve(t, b), "team/app")
	result := snapshottest.Write(t, r, []byte("content"))
	b.set(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasSuffix(req.URL.Path, result.LayerDigest.String()) {
			b.registry.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Docker-Content-Digest", result.LayerDigest.String())
		w.Header().Set("Content-Length", "7")
		w.WriteHeader(http.StatusOK)
	})
	found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, "")
	if mismatch := new(snapshot.DigestMismatchError); found || !errors.As(err, &mismatch) {
		t.Errorf("got %v, %v", found, err)
	}
}

// TestStalls stops in the middle of whatever the registry says. The store gives up, and says why.
func TestStalls(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	ended := make(chan struct{})
	s := serve(t, b, func(o *remote.Options) { o.Patience = 50 * time.Millisecond })
	t.Cleanup(func() { close(ended) })
	r := snapshottest.Repository(t, s, "team/app")
	result := snapshottest.Write(t, r, bytes.Repeat([]byte("c"), 1<<20))
	stall := func(req *http.Request) {
		select {
		case <-req.Context().Done():
		case <-ended:
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, req *http.Request) { stall(req) },
		"in the answer": func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", "1048576")
			_, _ = io.WriteString(w, "{")
			if flusher, ok := w.(http.Flusher); ok {
				flusher.Flush()
			}
			stall(req)
		},
	} {
		b.set(answer)
		if _, err := snapshot.Open(t.Context(), r, result.ManifestDigest); !errors.Is(err, remote.ErrUnreachable) {
			t.Errorf("%s, manifest: %v", name, err)
		}
		blob, _, err := r.OpenBlob(t.Context(), result.LayerDigest)
		if err == nil {
			_, err = io.ReadAll(blob)
			blob.Close()
		}
		if !errors.Is(err, remote.ErrUnreachable) || errors.Is(err, io.EOF) {
			t.Errorf("%s, content: %v", name, err)
		}
		if _, err := snapshot.Write(t.Context(), r, snapshot.Meta{}, func(w io.Writer) error { _, err := io.WriteString(w, name); return err }); !errors.Is(err, remote.ErrUnreachable) {
			t.Errorf("%s, write: %v", name, err)
		}
	}
}

// TestContextEnds ends the context of a request that the registry doesn't answer.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		cancel()
		<-req.Context().Done()
	}))
	if _, err := snapshot.Open(ctx, snapshottest.Repository(t, s, "a"), digest.FromString("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestBounds passes what is accepted, in both directions.
func TestBounds(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	dir := t.TempDir()
	s := serve(t, b, func(o *remote.Options) { o.MaxBlobBytes, o.MaxStagedBytes, o.Dir = 100, 150, dir })
	r := snapshottest.Repository(t, s, "a")
	one, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Write(make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if _, err := one.Write(make([]byte, 1)); !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("a large blob: %v", err)
	}
	if _, err := two.Write(make([]byte, 51)); !errors.Is(err, remote.ErrStagingFull) {
		t.Errorf("two blobs: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("on the way there are the files %v, %v: a crash would leave them", left, err)
	}
	if err := errors.Join(one.Close(), two.Close()); err != nil {
		t.Error(err)
	}
	snapshottest.Write(t, r, make([]byte, 100))

	b.set(says(200, "application/octet-stream", strings.Repeat("x", 101)))
	if _, _, err := r.OpenBlob(t.Context(), digest.FromString("x")); !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("a large blob is opened: %v", err)
	}
	b.set(says(200, "application/vnd.oci.image.manifest.v1+json", strings.Repeat(" ", 5<<20)))
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, remote.ErrTooLarge) {
		t.Errorf("a manifest of 5 MiB: %v", err)
	}
	b.set(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, req.URL.Path+"/again", http.StatusTemporaryRedirect)
	})
	if _, _, err := r.Manifest(t.Context(), "v1"); err == nil || errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("endless redirects: %v", err)
	}
}

// TestDeletionIsUpToTheRegistry asks registries that delete nothing.
func TestDeletionIsUpToTheRegistry(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"status": says(405, "", ""),
		"code":   says(400, "application/json", `{"errors":[{"code":"UNSUPPORTED"}]}`),
	} {
		r := snapshottest.Repository(t, serve(t, answer), "a")
		if err := r.DeleteManifest(t.Context(), digest.FromString("x")); !errors.Is(err, remote.ErrUndeletable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRedirectedContent keeps the content at another host, as many registries do. That doesn't get the password, and its
// address, which is a credential, is in no error.
func TestRedirectedContent(t *testing.T) {
	t.Parallel()
	b := &between{registry: foreign(t)}
	var gone atomic.Bool
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			t.Error("the storage got the password")
		}
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		b.registry.ServeHTTP(w, req)
	}))
	t.Cleanup(storage.Close)
	b.set(func(w http.ResponseWriter, req *http.Request) {
		if _, _, ok := req.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
			http.Redirect(w, req, storage.URL+req.URL.Path+"?signature=secret", http.StatusTemporaryRedirect)
			return
		}
		b.registry.ServeHTTP(w, req)
	})
	r := snapshottest.Repository(t, serve(t, b, func(o *remote.Options) {
		o.Access = func(context.Context) (remote.Access, error) { return remote.Access{Username: "a", Password: "b"}, nil }
	}), "team/app")
	result := snapshottest.Write(t, r, []byte("content"))
	opened, err := snapshot.Open(t.Context(), r, result.ManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(opened); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	opened.Close()
	gone.Store(true)
	_, err = r.StatBlob(t.Context(), result.LayerDigest)
	if err == nil || errors.Is(err, snapshot.ErrNotFound) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

// FuzzAnswers gives any answer to any question: nothing panics, nothing is read to its end that has not the digest that was
// asked for, and nothing is missing unless the answer has the form of a registry's.
func FuzzAnswers(f *testing.F) {
	d := digest.FromString("content")
	for _, seed := range []struct {
		status                    int
		mediaType, span, location string
		body                      string
	}{
		{200, "application/octet-stream", "", "", "content"},
		{206, "", "bytes 0-0/7", "", "c"},
		{206, "", "bytes 0-0/-1", "", ""},
		{404, "application/json", "", "", `{"errors":[{"code":"BLOB_UNKNOWN"}]}`},
		{404, "text/html", "", "", "<html>"},
		{200, "application/vnd.oci.image.manifest.v1+json", "", "", `{"config":{},"layers":[{}]}`},
		{202, "", "", "/v2/a/blobs/uploads/1", ""},
		{416, "", "bytes */0", "", ""},
		{307, "", "", "http://127.0.0.1:1/", ""},
		{401, "", "", "", ""},
		{429, "", "", "", "slow down"},
	} {
		f.Add(seed.status, seed.mediaType, seed.span, seed.location, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, mediaType, span, location string, body []byte) {
		if status < 200 || status > 599 || status >= 500 || status == 429 || status == 408 {
			return // these are asked again, which takes its time
		}
		answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for key, value := range map[string]string{"Content-Type": mediaType, "Content-Range": span, "Location": location} {
				if value != "" {
					w.Header().Set(key, value)
				}
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})
		r := snapshottest.Repository(t, serve(t, answer), "a")
		known := bytes.Contains(body, []byte("_UNKNOWN")) || bytes.Contains(body, []byte("NOT_FOUND")) || bytes.Contains(body, []byte(`\u`))
		for _, err := range reads(t, r, d) {
			if errors.Is(err, snapshot.ErrNotFound) && (status != http.StatusNotFound || !known) {
				t.Errorf("not found: %v", err)
			}
		}
		if _, err := snapshot.Write(t.Context(), r, snapshot.Meta{}, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err == nil {
			t.Errorf("a registry that gives answer %d to everything keeps content", status)
		}
	})
}

// reads asks everything, and returns what it ended with.
func reads(t *testing.T, r snapshot.Repository, d digest.Digest) []error {
	t.Helper()
	_, stat := r.StatBlob(t.Context(), d)
	blob, size, open := r.OpenBlob(t.Context(), d)
	if open == nil {
		var got []byte
		if got, open = io.ReadAll(blob); open == nil && (string(got) != "content" || size != int64(len(got))) {
			t.Errorf("%d wrong bytes are read to their end", len(got))
		}
		blob.Close()
	}
	desc, got, manifest := r.Manifest(t.Context(), d.String())
	if manifest == nil && (digest.FromBytes(got) != d || desc.Digest != d) {
		t.Error("a wrong manifest is read")
	}
	_, _, tag := r.Manifest(t.Context(), "v1")
	return []error{stat, open, manifest, tag, r.DeleteManifest(t.Context(), d)}
}

func BenchmarkPush(b *testing.B) {
	run(b, func(r snapshot.Repository, content []byte) { snapshottest.Write(b, r, content) }, false)
}

func BenchmarkPull(b *testing.B) {
	run(b, func(r snapshot.Repository, content []byte) {
		blob, _, err := r.OpenBlob(b.Context(), digest.FromBytes(content))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, blob); err != nil {
			b.Fatal(err)
		}
		blob.Close()
	}, true)
}

// run measures against a registry in the same process. What is not the same each time is pushed anew.
func run(b *testing.B, do func(r snapshot.Repository, content []byte), same bool) {
	b.Helper()
	for _, size := range []int{4 << 10, 16 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			r := snapshottest.Repository(b, serve(b, ours(b)), "a")
			content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			snapshottest.Write(b, r, content)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				if !same {
					content[0], content[1], content[2] = byte(i), byte(i>>8), byte(i>>16)
				}
				do(r, content)
			}
		})
	}
}
