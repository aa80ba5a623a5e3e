package oci

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestPushManifest stores bytes as they are, with their media type, by tag or digest.
func TestPushManifest(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	to := v.repository(t, "c")
	body := []byte("{ \"layers\": [] }\n")
	var mediaType string
	v.instead = func(_ http.ResponseWriter, req *http.Request) bool {
		mediaType = req.Header.Get("Content-Type")
		return false
	}
	sum := digest.SHA512.FromBytes(body)
	for _, tag := range []string{"1.0.0", digest.FromBytes(body).String(), sum.String()} {
		got, err := to.PushManifest(t.Context(), dockerManifest, body, tag)
		if err != nil || got.Algorithm().FromBytes(body) != got || mediaType != dockerManifest || !bytes.Equal(v.manifests["c@"+tag], body) {
			t.Errorf("%s: %s, %v, stored %q as %s", tag, got, err, v.manifests["c@"+tag], mediaType)
		}
		v.want(t, "PUT manifest")
	}
	if _, err := to.PushManifest(t.Context(), dockerManifest, body, digest.FromString("x").String()); !errors.As(err, new(*DigestMismatchError)) {
		t.Errorf("other digest: %v", err)
	}
	if _, err := to.PushManifest(t.Context(), dockerManifest, body, "no tag"); err == nil {
		t.Error("no error of what is no tag")
	}
	v.want(t)
	for code, want := range map[int]error{405: ErrReadOnly, 403: ErrReadOnly, 507: ErrFull, 413: ErrFull, 401: ErrUnauthorized} {
		v.instead = status(code, "UNKNOWN", "no")
		if _, err := to.PushManifest(t.Context(), dockerManifest, body, "1.0.0"); !errors.Is(err, want) || SideOf(err) != Target {
			t.Errorf("%d: %v of side %q, want %v of the target", code, err, SideOf(err), want)
		}
	}
	v.instead = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set(digestHeader, digest.FromString("else").String())
		w.WriteHeader(http.StatusCreated)
		return true
	}
	if _, err := to.PushManifest(t.Context(), dockerManifest, body, "1.0.0"); !errors.As(err, new(*DigestMismatchError)) {
		t.Errorf("stored something else: %v", err)
	}
}

func TestHas(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	r := v.repository(t, "c")
	desc := v.put("c", some(9))
	for name, tc := range map[string]struct {
		desc ocispec.Descriptor
		want bool
	}{
		"there":      {desc, true},
		"some size":  {ocispec.Descriptor{Digest: desc.Digest, Size: -1}, true},
		"other size": {ocispec.Descriptor{Digest: desc.Digest, Size: 8}, false},
		"not there":  {ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}, false},
	} {
		if got, err := r.Has(t.Context(), tc.desc); got != tc.want || err != nil {
			t.Errorf("%s: %t, %v, want %t", name, got, err, tc.want)
		}
	}
	if _, err := r.Has(t.Context(), ocispec.Descriptor{Digest: "x"}); err == nil {
		t.Error("no error of what is no digest")
	}
	d, err := r.PushManifest(t.Context(), dockerManifest, []byte(`{"layers":[]}`), "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	// Some registries answer no HEAD for manifests.
	for _, heads := range []bool{true, false} {
		if !heads {
			v.instead = times(99, http.MethodHead, status(http.StatusMethodNotAllowed, "UNSUPPORTED", "GET it"))
		}
		if has, err := r.HasManifest(t.Context(), d); !has || err != nil {
			t.Errorf("HasManifest = %t, %v", has, err)
		}
		if has, err := r.HasManifest(t.Context(), digest.FromString("x")); has || err != nil {
			t.Errorf("HasManifest of none = %t, %v", has, err)
		}
	}
	v.instead = times(99, http.MethodHead, status(http.StatusUnauthorized, "UNAUTHORIZED", "who"))
	if _, err := r.HasManifest(t.Context(), d); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("HasManifest without a log-in: %v", err)
	}
	if _, err := r.Has(t.Context(), desc); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("Has without a log-in: %v", err)
	}
}

// TestVerifyOnce compares content once, however often that is asked for.
func TestVerifyOnce(t *testing.T) {
	t.Parallel()
	content := some(99)
	d := digest.FromBytes(content)
	rc, err := Verify(io.NopCloser(bytes.NewReader(content)), "x", 99, d)
	if err != nil {
		t.Fatal(err)
	}
	_, f := newFlow(t.Context(), Patience, nil)
	f.over(rc, 99)
	for name, tc := range map[string]struct {
		size int64
		want []digest.Digest
		same bool
	}{
		"the same":     {99, []digest.Digest{d}, true},
		"any size":     {-1, []digest.Digest{d}, true},
		"other size":   {98, []digest.Digest{d}, false},
		"other digest": {99, []digest.Digest{digest.FromString("x")}, false},
		"two digests":  {99, []digest.Digest{d, digest.SHA512.FromBytes(content)}, false},
		"no digest":    {99, nil, false},
	} {
		again, err := Verify(f, "y", tc.size, tc.want...)
		if err != nil || (again == io.ReadCloser(f)) != tc.same {
			t.Errorf("%s: the same reader: %t, %v, want %t", name, again == io.ReadCloser(f), err, tc.same)
		}
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	f.stop(nil)
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

func TestExplainDisk(t *testing.T) {
	t.Parallel()
	for errno, want := range map[syscall.Errno]error{syscall.ENOSPC: ErrFull, syscall.EDQUOT: ErrFull, syscall.EROFS: ErrReadOnly, syscall.EACCES: ErrReadOnly} {
		if got := ExplainDisk(errno); !errors.Is(got, want) || !errors.Is(got, errno) {
			t.Errorf("%v: %v, want %v", errno, got, want)
		}
	}
	if got := ExplainDisk(syscall.EIO); got != syscall.EIO { //nolint:errorlint // it is left alone
		t.Errorf("%v, want it as it was", got)
	}
}
