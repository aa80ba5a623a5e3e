package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// TestCopyBlob asks as little as possible.
func TestCopyBlob(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	from, to := source.repository(t, "a/b"), target.repository(t, "c")
	known(t, to, true)
	for name, size := range map[string]int{"empty": 0, "small": 5, "large": 3<<20 + 1, "larger than what is asked for first": askFirst + 1} {
		desc := source.put("a/b", some(size))
		var sent atomic.Int64
		o := CopyOptions{Report: func(n int64) { sent.Add(n) }}
		if got, err := CopyBlob(t.Context(), from, to, desc, o); got != Copied || err != nil {
			t.Fatalf("%s: CopyBlob = %q, %v, want copied", name, got, err)
		}
		if !target.has("c", desc) || sent.Load() != int64(size) {
			t.Errorf("%s: stored: %t, reported: %d bytes", name, target.has("c", desc), sent.Load())
		}
		source.want(t, "GET blob")
		target.want(t, "HEAD blob", "POST upload", "PUT upload")
		if got, err := CopyBlob(t.Context(), from, to, desc, o); got != Present || err != nil {
			t.Errorf("%s: CopyBlob again = %q, %v, want present", name, got, err)
		}
		source.want(t)
		target.want(t, "HEAD blob")
	}
}

// TestCopyBlobMounts within one registry, and nowhere else.
func TestCopyBlobMounts(t *testing.T) {
	t.Parallel()
	me, other := credentials.Credential{Username: "me", Password: "x"}, credentials.Credential{Username: "other", Password: "x"}
	for name, tc := range map[string]struct {
		mounts   bool
		from     credentials.Credential
		options  func(v *vault) CopyOptions
		instead  func(http.ResponseWriter, *http.Request) bool
		want     Outcome
		requests []string
	}{
		"same registry":    {mounts: true, from: me, want: Mounted, requests: []string{"HEAD blob", "POST upload"}},
		"no mounts":        {from: me, want: Copied, requests: []string{"HEAD blob", "POST upload", "GET blob", "PUT upload"}},
		"other credential": {mounts: true, from: other, want: Copied, requests: []string{"HEAD blob", "GET blob", "POST upload", "PUT upload"}},
		"another place": {mounts: true, from: other, want: Mounted, requests: []string{"HEAD blob", "POST upload"}, options: func(v *vault) CopyOptions {
			return CopyOptions{MountFrom: []Location{{Host: "elsewhere", Path: "x", PlainHTTP: true}, {Host: v.host, Path: "b"}, {Host: v.host, Path: "B", PlainHTTP: true}, {Host: v.host, Path: "b", PlainHTTP: true}}}
		}},
		"the second place": {mounts: true, from: other, want: Mounted, requests: []string{"HEAD blob", "POST upload", "POST upload", "DELETE upload"}, options: func(v *vault) CopyOptions {
			return CopyOptions{MountFrom: []Location{{Host: v.host, Path: "none", PlainHTTP: true}, {Host: v.host, Path: "b", PlainHTTP: true}}}
		}},
		"refused": {
			mounts: true, from: me, want: Copied, requests: []string{"HEAD blob", "POST upload", "GET blob", "POST upload", "PUT upload"},
			instead: times(1, http.MethodPost, status(http.StatusForbidden, "DENIED", "no")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			v.mounts, v.instead = tc.mounts, tc.instead
			desc := v.put("a", some(99))
			v.put("b", some(99))
			o := CopyOptions{}
			if tc.options != nil {
				o = tc.options(v)
			}
			if got, err := CopyBlob(t.Context(), v.as(t, "a", tc.from), v.as(t, "c", me), desc, o); got != tc.want || err != nil {
				t.Errorf("CopyBlob = %q, %v, want %q", got, err, tc.want)
			}
			if !v.has("c", desc) || v.open() != 0 {
				t.Errorf("stored: %t; %d uploads are open", v.has("c", desc), v.open())
			}
			v.want(t, tc.requests...)
		})
	}
}

func TestMount(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	desc := v.put("a", some(99))
	to, place := v.repository(t, "c"), Location{Host: v.host, Path: "a", PlainHTTP: true}
	if got, err := to.Mount(t.Context(), desc, place); got || err != nil || v.open() != 0 {
		t.Errorf("Mount without support = %t, %v, %d uploads are open", got, err, v.open())
	}
	v.want(t, "POST upload", "DELETE upload")
	v.mounts = true
	if got, err := to.Mount(t.Context(), desc, place); !got || err != nil || !v.has("c", desc) {
		t.Errorf("Mount = %t, %v", got, err)
	}
	v.asked()
	place.Host = "elsewhere.example"
	if got, err := to.Mount(t.Context(), desc, place); got || err != nil {
		t.Errorf("Mount from elsewhere = %t, %v", got, err)
	}
	v.want(t)
	v.instead = status(http.StatusInternalServerError, "UNKNOWN", "ill")
	if _, err := to.Mount(canceledSoon(t), desc, Location{Host: v.host, Path: "b", PlainHTTP: true}); err == nil {
		t.Error("no error of a registry that is ill")
	}
}

// TestCopyBlobWithoutMount uploads what cannot be mounted, whatever the reason.
func TestCopyBlobWithoutMount(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"refused": http.StatusForbidden, "no token": http.StatusUnauthorized, "ill": http.StatusInternalServerError, "busy": http.StatusTooManyRequests} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := newVault(t), newVault(t)
			target.mounts = true
			desc := source.put("a", some(99))
			target.put("b", some(99))
			to := target.as(t, "c", credentials.Credential{Username: "me", Password: "x"})
			target.instead = func(w http.ResponseWriter, req *http.Request) bool {
				switch {
				case req.URL.Path == "/token" && len(req.URL.Query()["scope"]) > 1:
					fail(w, code, "DENIED", "not both")
				case req.URL.Path == "/token":
					fmt.Fprint(w, `{"token":"x"}`)
				case req.Header.Get("Authorization") != "Bearer x":
					w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, target.URL))
					w.WriteHeader(http.StatusUnauthorized)
				default:
					return false
				}
				return true
			}
			got, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{MountFrom: []Location{{Host: target.host, Path: "b", PlainHTTP: true}}})
			if got != Copied || err != nil || !target.has("c", desc) || target.open() != 0 {
				t.Errorf("CopyBlob = %s, %v, want it uploaded; %d uploads are open", got, err, target.open())
			}
		})
	}
}

// canceledSoon returns a context for what would be tried again for seconds.
func canceledSoon(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(stop)
	return ctx
}

// TestCopyBlobAgain gets over what passes.
func TestCopyBlobAgain(t *testing.T) {
	t.Parallel()
	large := 5 << 20
	for name, tc := range map[string]struct {
		source, target func(http.ResponseWriter, *http.Request) bool
		compares       bool
		puts           int
	}{
		"unavailable":      {target: times(2, http.MethodPut, status(http.StatusServiceUnavailable, "UNAVAILABLE", "later")), puts: 3},
		"upload forgotten": {target: times(1, http.MethodPut, status(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "which")), compares: true, puts: 2},
		"token too old":    {target: times(1, http.MethodPut, status(http.StatusUnauthorized, "UNAUTHORIZED", "old")), puts: 2},
		"target cut":       {target: times(1, http.MethodPut, cut), puts: 2},
		"compared by it":   {target: times(1, http.MethodPut, cut), compares: true, puts: 2},
		"source cut": {source: times(2, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "5242880")
			_, _ = w.Write(make([]byte, 1<<20)) // it is cut anyway
			panic(http.ErrAbortHandler)
		}), compares: true, puts: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := newVault(t), newVault(t)
			source.instead, target.instead = tc.source, tc.target
			desc := source.put("a", some(large))
			var sent atomic.Int64
			to := target.repository(t, "c")
			known(t, to, tc.compares)
			got, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{Report: func(n int64) { sent.Add(n) }})
			if got != Copied || err != nil || !target.has("c", desc) {
				t.Fatalf("CopyBlob = %q, %v, stored: %t", got, err, target.has("c", desc))
			}
			if sent.Load() != int64(large) {
				t.Errorf("%d bytes were reported, want %d", sent.Load(), large)
			}
			asked := target.asked()
			puts := len(slices.DeleteFunc(asked, func(r string) bool { return r != "PUT upload" }))
			if puts != tc.puts {
				t.Errorf("content was sent %d times, want %d", puts, tc.puts)
			}
		})
	}
}

// TestCopyBlobAnswerLost finds what is stored already.
func TestCopyBlobAnswerLost(t *testing.T) {
	t.Parallel()
	source, target := newVault(t), newVault(t)
	target.instead = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut {
			return false
		}
		target.upload(httptest.NewRecorder(), req, "c", path.Base(req.URL.Path))
		return cut(w, req)
	}
	desc := source.put("a", some(99))
	if got, err := CopyBlob(t.Context(), source.repository(t, "a"), target.repository(t, "c"), desc, CopyOptions{}); got != Copied || err != nil {
		t.Errorf("CopyBlob = %q, %v, want copied", got, err)
	}
	target.want(t, "HEAD blob", "POST upload", "PUT upload", "HEAD blob")
}

// TestCopyBlobErrors says what is wrong with which side, and leaves no upload behind.
func TestCopyBlobErrors(t *testing.T) {
	t.Parallel()
	answer := func(method string, code int, name, message string) func(http.ResponseWriter, *http.Request) bool {
		return times(99, method, status(code, name, message))
	}
	mismatch := new(DigestMismatchError)
	for name, tc := range map[string]struct {
		source, target func(http.ResponseWriter, *http.Request) bool
		side           Side
		is             []error
		as             any
		not            []error
		says           string
	}{
		"no such blob":      {source: answer(http.MethodGet, 404, "BLOB_UNKNOWN", "which"), side: Source, is: []error{ErrNotFound}, not: []error{ErrUnsure}, says: "not found"},
		"no right to read":  {source: answer(http.MethodGet, 403, "DENIED", "no"), side: Source, is: []error{ErrUnauthorized}, not: []error{ErrReadOnly}, says: "wants a credential, and none was given"},
		"no log-in to read": {source: answer(http.MethodGet, 401, "UNAUTHORIZED", "no"), side: Source, is: []error{ErrUnauthorized}, not: []error{ErrReadOnly}},
		"wrong content": {source: times(99, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(make([]byte, 100_000))
			return true
		}), side: Source, as: &mismatch, says: "its digest promises"},
		"other size": {source: times(99, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(make([]byte, 99))
			return true
		}), side: Source, as: &mismatch, says: "100000 bytes"},
		"no log-in at the target": {target: answer(http.MethodHead, 401, "UNAUTHORIZED", "no"), side: Target, is: []error{ErrUnauthorized}, not: []error{ErrReadOnly}},
		"no log-in to write":      {target: answer(http.MethodPost, 401, "UNAUTHORIZED", "no"), side: Target, is: []error{ErrUnauthorized}, not: []error{ErrReadOnly}},
		"no right to write":       {target: answer(http.MethodPost, 403, "DENIED", "read only"), side: Target, is: []error{ErrUnauthorized, ErrReadOnly}, says: "403 Forbidden (denied: read only)"},
		"read-only":               {target: answer(http.MethodPost, 405, "UNSUPPORTED", "read only"), side: Target, is: []error{ErrReadOnly}, not: []error{ErrUnauthorized}, says: "is read-only"},
		"full":                    {target: answer(http.MethodPost, 507, "UNKNOWN", "the disk is full"), side: Target, is: []error{ErrFull}, says: "make room there"},
		"full while it is sent":   {target: answer(http.MethodPut, 507, "UNKNOWN", "the disk is full"), side: Target, is: []error{ErrFull}, says: "507 Insufficient Storage (unknown: the disk is full)"},
		"disk full":               {target: answer(http.MethodPut, 500, "UNKNOWN", "write /var: no space left on device"), side: Target, is: []error{ErrFull}, says: "no room"},
		"quota":                   {target: answer(http.MethodPut, 403, "DENIED", "will exceed the configured upper limit of 1.0 GiB"), side: Target, is: []error{ErrFull}, not: []error{ErrReadOnly}},
		"too large":               {target: answer(http.MethodPut, 413, "", ""), side: Target, is: []error{ErrFull}, says: "or a proxy before it"},
		"quota of requests":       {target: answer(http.MethodPut, 429, "TOOMANYREQUESTS", "quota of pushes"), side: Target, not: []error{ErrFull}},
		"refused for good":        {target: answer(http.MethodPut, 400, "SIZE_INVALID", "odd"), side: Target, not: []error{ErrFull, ErrReadOnly, ErrUnauthorized}, says: "odd"},
		"other content, it says":  {target: answer(http.MethodPut, 400, "DIGEST_INVALID", "odd"), side: Target, as: &mismatch},
		"digest of something else": {target: times(99, http.MethodPut, func(w http.ResponseWriter, req *http.Request) bool {
			_, _ = io.Copy(io.Discard, req.Body)
			w.Header().Set(digestHeader, digest.FromString("else").String())
			w.WriteHeader(http.StatusCreated)
			return true
		}), side: Target, as: &mismatch},
		"no address of an upload": {target: times(99, http.MethodPost, func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusAccepted)
			return true
		}), side: Target, says: "no address"},
		"another host": {target: times(99, http.MethodPost, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "http://elsewhere.example/v2/c/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
			return true
		}), side: Target, says: "elsewhere.example, which is not its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := newVault(t), newVault(t)
			source.instead, target.instead = tc.source, tc.target
			desc := source.put("a", some(100_000))
			var sent atomic.Int64
			got, err := CopyBlob(t.Context(), source.repository(t, "a"), target.repository(t, "c"), desc, CopyOptions{Report: func(n int64) { sent.Add(n) }})
			if got != "" || err == nil || SideOf(err) != tc.side || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("CopyBlob = %q, %v of %q, want an error of %q with %q", got, err, SideOf(err), tc.side, tc.says)
			}
			for _, want := range tc.is {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			for _, unwanted := range tc.not {
				if errors.Is(err, unwanted) {
					t.Errorf("%v is %v", err, unwanted)
				}
			}
			if tc.as != nil && !errors.As(err, tc.as) {
				t.Errorf("%v is no %T", err, tc.as)
			}
			if target.has("c", desc) || target.open() != 0 || sent.Load() != 0 {
				t.Errorf("stored: %t; %d uploads are open, %d bytes are reported", target.has("c", desc), target.open(), sent.Load())
			}
		})
	}
}

// TestCopyBlobUploadAddress takes nothing but the path from what a registry says.
func TestCopyBlobUploadAddress(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"%s", "http://127.0.0.1%s", "https://127.0.0.1:1%s", "http://me:secret@127.0.0.1:1%s"} {
		source, target := newVault(t), newVault(t)
		target.location = location
		desc := source.put("a", some(99))
		if got, err := CopyBlob(t.Context(), source.repository(t, "a"), target.repository(t, "c"), desc, CopyOptions{}); got != Copied || err != nil {
			t.Errorf("%s: CopyBlob = %q, %v, want copied", location, got, err)
		}
	}
}

// TestCopyBlobCanceled ends at once, on either side, and leaves no upload behind.
func TestCopyBlobCanceled(t *testing.T) {
	t.Parallel()
	for _, side := range []Side{Source, Target} {
		source, target := newVault(t), newVault(t)
		over := make(chan struct{})
		t.Cleanup(func() { close(over) })
		ctx, cancel := context.WithCancel(t.Context())
		hang := func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodGet {
				w.Header().Set("Content-Length", "20000000")
				_, _ = w.Write(make([]byte, 5000))
				_ = http.NewResponseController(w).Flush()
			} else {
				_, _ = io.ReadFull(req.Body, make([]byte, 5000))
			}
			cancel()
			<-over
			return true
		}
		if side == Source {
			source.instead = times(1, http.MethodGet, hang)
		} else {
			target.instead = times(1, http.MethodPut, hang)
		}
		desc := source.put("a", some(20_000_000))
		to := target.repository(t, "c")
		known(t, to, side == Source)
		_, err := CopyBlob(ctx, source.repository(t, "a"), to, desc, CopyOptions{})
		if !errors.Is(err, context.Canceled) || SideOf(err) != "" {
			t.Errorf("%s: CopyBlob = %v of side %q, want that it is canceled and nobody's fault", side, err, SideOf(err))
		}
		if target.open() != 0 {
			t.Errorf("%s: an upload is open", side)
		}
	}
}

// TestCopyBlobStalls says who keeps the other waiting.
func TestCopyBlobStalls(t *testing.T) {
	t.Parallel()
	for _, side := range []Side{Source, Target} {
		source, target := newVault(t), newVault(t)
		over := make(chan struct{})
		t.Cleanup(func() { close(over) })
		hang := func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodGet {
				w.Header().Set("Content-Length", "20000000")
				_, _ = w.Write(make([]byte, 5000))
				_ = http.NewResponseController(w).Flush()
			}
			<-over
			return true
		}
		if side == Source {
			source.instead = times(1, http.MethodGet, hang)
		} else {
			target.instead = times(1, http.MethodPut, hang)
		}
		desc := source.put("a", some(20_000_000))
		to := target.repository(t, "c")
		to.patience = 2 * time.Second // an upload begins within that on any machine
		known(t, to, side == Source)
		_, err := CopyBlob(t.Context(), source.repository(t, "a"), to, desc, CopyOptions{})
		if !errors.Is(err, ErrUnreachable) || SideOf(err) != side {
			t.Errorf("CopyBlob = %v of side %q, want ErrUnreachable of %q", err, SideOf(err), side)
		}
		if target.open() != 0 {
			t.Errorf("%s: an upload is open", side)
		}
	}
}

// TestCopyBlobRefused refuses what is no blob.
func TestCopyBlobRefused(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	for _, desc := range []ocispec.Descriptor{{}, {Digest: "sha256:x"}, {Digest: digest.FromString("x"), Size: -1}} {
		if _, err := CopyBlob(t.Context(), v.repository(t, "a"), v.repository(t, "c"), desc, CopyOptions{}); !errors.Is(err, ErrMalformed) || SideOf(err) != Source {
			t.Errorf("%+v: %v, want ErrMalformed of the source", desc, err)
		}
	}
	v.want(t)
}
