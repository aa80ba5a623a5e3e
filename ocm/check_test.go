package ocm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// checkable is a component version with a resource of each kind that has a
// digest, and what a registry needs to replace their contents.
type checkable struct {
	server  *ocmtest.Server
	version *ocm.ComponentVersion
	// evil is the manifest of another artifact that the registry has.
	evil []byte
}

func checkableVersion(t *testing.T) *checkable {
	t.Helper()
	server := ocmtest.Start(t)
	chart := ocmtest.Chart("web", "1.0.0", []byte("chart"))
	main := artifact(t, server.URL+"/charts/web:1.0.0", chart)
	other := ocmtest.Chart("web", "1.0.0", []byte("other"))
	artifact(t, server.URL+"/charts/web:other", other)
	evil, more, err := other.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	nested, blobs, nestedMain := nestedChart(t)
	split, parts := chunkedAccess(t, "text/plain", ",", []byte("split content"), 5)
	maps.Copy(blobs, parts)
	maps.Copy(blobs, more)
	archive, packed := pack(t, chart, ocmtest.Archive{})
	index := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, ocispec.MediaTypeImageIndex)
	site := serveWeb(t, false, map[string]string{
		"/file": "file", "/index.yaml": "entries:\n  web:\n" + chartOf("1.0.0", "web.tgz", "chart"), "/web.tgz": "chart",
	})
	charts, err := oci.NewClient(oci.Options{Home: server.Host}).Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "charts/web"})
	if err != nil {
		t.Fatal(err)
	}
	pinnedIndex, err := charts.PushManifest(t.Context(), ocispec.MediaTypeImageIndex, index, "multi")
	if err != nil {
		t.Fatal(err)
	}
	registry := "oci://" + server.Host + "/charts"
	helm := func(repository string) *descriptor.Access {
		return accessOf(t, access.Helm{Type: "helm", Repository: repository, Chart: "web:1.0.0"})
	}
	blob := func(content string) *descriptor.Digest { return descriptor.NewBlobDigest(digest.FromString(content)) }
	d, own, err := ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "local", Content: []byte("local")},
		{Name: "local-sha512", Content: []byte("local"), Digest: descriptor.NewBlobDigest(digest.SHA512.FromString("local"))},
		{Name: "split", Access: split, Digest: blob("split content")},
		{Name: "nested", Access: nested, Digest: descriptor.NewArtifactDigest(nestedMain)},
		{Name: "packed", Content: archive, MediaType: packedImage, Digest: descriptor.NewArtifactDigest(packed)},
		{Name: "packed-bytes", Content: archive, MediaType: packedImage},
		{Name: "image", Image: server.URL + "/charts/web:1.0.0", Digest: descriptor.NewArtifactDigest(main)},
		{Name: "image-other-name", Image: server.URL + "/charts/web:1.0.0", Digest: descriptor.NewBlobDigest(main)},
		{Name: "image-index", Image: server.URL + "/charts/web:multi", Digest: descriptor.NewArtifactDigest(pinnedIndex)},
		{Name: "relative", Access: accessOf(t, access.RelativeOCIReference{Type: "relativeOciReference", Reference: "charts/web:1.0.0"}), Digest: descriptor.NewArtifactDigest(main)},
		{Name: "remote", Access: accessOf(t, access.OCIBlob{Type: "ociBlob", Reference: server.URL + "/charts/web", Digest: digest.FromString("chart"), Size: 5}), Digest: blob("chart")},
		{Name: "helm-layer", Access: helm(registry), Digest: blob("chart")},
		{Name: "helm-layer-sha512", Access: helm(registry), Digest: descriptor.NewBlobDigest(digest.SHA512.FromString("chart"))},
		{Name: "helm-manifest", Access: helm(registry), Digest: descriptor.NewBlobDigest(main)},
		{Name: "helm-artifact", Access: helm(registry), Digest: descriptor.NewArtifactDigest(main)},
		{Name: "helm-web", Access: helm(site.URL), Digest: blob("chart")},
		{Name: "wget", Access: accessOf(t, map[string]any{"type": "wget", "url": site.URL + "/file"}), Digest: blob("file")},
	}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(own, blobs)
	repo := open(t, server.URL, ocm.Options{Allow: access.Guarded()})
	pinned, err := repo.Put(t.Context(), d, own, ocm.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cv, err := repo.GetPinned(t.Context(), shop, "1.0.0", pinned)
	if err != nil {
		t.Fatal(err)
	}
	server.ResetRequests()
	return &checkable{server: server, version: cv, evil: evil}
}

func (c *checkable) resources() []descriptor.Resource {
	return c.version.Descriptor().Component.Resources
}

// TestCheck compares contents of every kind with the right digest, and with
// another one.
func TestCheck(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	for i := range c.resources() {
		res := &c.resources()[i]
		if err := c.version.Check(t.Context(), res); err != nil {
			t.Errorf("%s: %v", res.Name, err)
		}
		wrong := *res
		changed := *res.Digest
		changed.Value = strings.Repeat("0", len(changed.Value))
		wrong.Digest = &changed
		err := c.version.Check(t.Context(), &wrong)
		var about *ocm.ResourceError
		if !errors.As(err, new(*ocm.DigestMismatchError)) || !errors.As(err, &about) || about.Resource.Name != res.Name {
			t.Errorf("%s: with another digest: %v, want a *DigestMismatchError about it", res.Name, err)
		}
	}
}

// TestCheckReadsManifestsOnly doesn't read layers of what a manifest pins.
func TestCheckReadsManifestsOnly(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	for i := range c.resources() {
		switch res := &c.resources()[i]; res.Name {
		case "nested", "image", "image-other-name", "image-index", "relative", "helm-manifest", "helm-artifact":
			if err := c.version.Check(t.Context(), res); err != nil {
				t.Error(err)
			}
		}
	}
	if got := c.server.Requests(); got["GET blobs"] != 0 || got["GET manifests"] != 7 {
		t.Errorf("requests are %v, want one manifest each", got)
	}
}

// TestNotChecked says why a resource can't be checked.
func TestNotChecked(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	local := c.resources()[0]
	excluded := &descriptor.Digest{HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest}
	d := func(hash, kind, value string) *descriptor.Digest {
		return &descriptor.Digest{HashAlgorithm: hash, NormalisationAlgorithm: kind, Value: value}
	}
	value := local.Digest.Value
	for name, tc := range map[string]struct {
		change func(*descriptor.Resource)
		is     error
	}{
		"no digest": {func(r *descriptor.Resource) { r.Digest = nil }, ocm.ErrNoDigest},
		"excluded":  {func(r *descriptor.Resource) { r.Digest = excluded }, ocm.ErrNoDigest},
		"in parts": {func(r *descriptor.Resource) {
			r.Digest = d("SHA-256", descriptor.GenericBlobDigest, descriptor.NoDigest)
		}, ocm.ErrMalformed},
		"unknown hash":   {func(r *descriptor.Resource) { r.Digest = d("MD5", descriptor.GenericBlobDigest, value) }, ocm.ErrMalformed},
		"unknown kind":   {func(r *descriptor.Resource) { r.Digest = d("SHA-256", "x/v1", value) }, ocm.ErrUnsupported},
		"of an artifact": {func(r *descriptor.Resource) { r.Digest = d("SHA-256", descriptor.OCIArtifactDigest, value) }, ocm.ErrUnsupported},
		"unknown access": {func(r *descriptor.Resource) { r.Access = *accessOf(t, map[string]string{"type": "s3"}) }, ocm.ErrUnsupported},
		"access none":    {func(r *descriptor.Resource) { r.Access = *accessOf(t, map[string]string{"type": "none"}) }, ocm.ErrUnsupported},
		"bad access": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, map[string]any{"type": "localBlob", "localReference": 1})
		}, ocm.ErrMalformed},
		"no local blob": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, map[string]any{"type": "localBlob", "localReference": "x"})
		}, ocm.ErrMalformed},
		"bad image": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, map[string]any{"type": "ociArtifact", "imageReference": "ftp://x/y"})
		}, ocm.ErrMalformed},
		"bad chart": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, map[string]any{"type": "helm", "helmChart": "web"})
		}, ocm.ErrMalformed},
		"no chart": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, access.Helm{Type: "helm", Repository: "oci://" + c.server.Host + "/none", Chart: "web:1"})
		}, ocm.ErrNotFound},
		"no archive": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, access.LocalBlob{Type: "localBlob", LocalReference: "sha256:" + value, MediaType: packedImage})
			r.Digest = d("SHA-256", descriptor.OCIArtifactDigest, value)
		}, ocm.ErrMalformed},
		"blob of others": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, access.LocalBlob{Type: "localBlob", LocalReference: c.version.ManifestDigest().String()})
		}, ocm.ErrNotFound},
		"nobody answers": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, access.OCIArtifact{Type: "ociArtifact", ImageReference: "http://127.0.0.1:1/x:1"})
		}, ocm.ErrUnreachable},
		"switched off": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, map[string]any{"type": "wget", "url": "http://127.0.0.1:1/"})
		}, ocm.ErrUnsupported},
		"off, and a host": {func(r *descriptor.Resource) {
			r.Access = *accessOf(t, access.Helm{Type: "helm", Repository: "http://127.0.0.1:1", Chart: "web:1"})
		}, ocm.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version := c.version
			if strings.Contains(name, "off") {
				cv, err := open(t, c.server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0")
				if err != nil {
					t.Fatal(err)
				}
				version = cv
			}
			res := local
			tc.change(&res)
			err := version.Check(t.Context(), &res)
			if !errors.Is(err, tc.is) || !strings.HasPrefix(err.Error(), "resource local:1.0.0 of "+shop+":1.0.0: ") {
				t.Errorf("Check = %v, want %v about the resource", err, tc.is)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("not needed any more")
	cancel(cause)
	if err := c.version.Check(ctx, &local); !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("Check = %v, want the cause of the end", err)
	}
}

// TestTimeOfCheck lets a registry serve the right bytes while they are checked,
// and others when they are read: as blob, by digest, and under the tag.
func TestTimeOfCheck(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	swap := func(b []byte) []byte {
		if bytes.HasPrefix(b, []byte("{")) {
			return c.evil
		}
		changed := bytes.Clone(b)
		changed[len(changed)-1] ^= 1
		return changed
	}
	for i := range c.resources() {
		if err := c.version.Check(t.Context(), &c.resources()[i]); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(server *ocmtest.Server) {
		var inside atomic.Bool
		server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
			if inside.Load() || req.Method != http.MethodGet || ocmtest.Class(req) != ocmtest.ClassManifests {
				return false
			}
			if strings.Contains(req.URL.Path, "sha256:") {
				http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`, http.StatusNotFound)
				return true
			}
			inside.Store(true)
			defer inside.Store(false)
			rec := httptest.NewRecorder()
			server.ServeHTTP(rec, req)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			_, _ = w.Write(c.evil)
			return true
		})
	}
	for name, attack := range map[string]func(*ocmtest.Server){
		"blobs":     func(s *ocmtest.Server) { rewrite(s, "GET blobs", "", swap) },
		"manifests": func(s *ocmtest.Server) { rewrite(s, "GET manifests", "", swap) },
		"tags":      gone,
	} {
		attack(c.server)
		for i := range c.resources() {
			res := &c.resources()[i]
			web := res.Name == "wget" || res.Name == "helm-web"
			local := strings.HasPrefix(res.Name, "local") || strings.HasPrefix(res.Name, "packed") || res.Name == "split"
			blob := local || res.Name == "remote"
			got, err := contentOf(t, c.version, res)
			switch {
			case res.Name == "image-index":
				// Images for several platforms have no content to read.
			case web, name != "blobs" && blob:
				if err != nil {
					t.Errorf("%s: %s: %v, but it was not replaced", name, res.Name, err)
				}
			case name == "tags" && res.Name == "nested":
				if !errors.Is(err, ocm.ErrNotFound) {
					t.Errorf("%s: %s: %q, %v, want ErrNotFound", name, res.Name, got, err)
				}
			case !errors.As(err, new(*ocm.DigestMismatchError)):
				t.Errorf("%s: %s: %q, %v, want a *DigestMismatchError", name, res.Name, got, err)
			}
			// In an archive the manifest is what is checked.
			if err := c.version.Check(t.Context(), res); err == nil && !web && (name == "blobs") == blob && res.Name != "packed" {
				t.Errorf("%s: %s passed the check", name, res.Name)
			}
		}
		c.server.Heal()
	}
}

// TestNotReadable tells contents that cannot be read from those that are wrong.
func TestNotReadable(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	for name, tc := range map[string]struct {
		fail func(*ocmtest.Server)
		is   error
	}{
		"no log-in": {func(s *ocmtest.Server) { s.RequireLogin("user", "password") }, ocm.ErrUnauthorized},
		"cut off":   {func(s *ocmtest.Server) { cutOff(s, true) }, io.ErrUnexpectedEOF},
		"no answer": {func(s *ocmtest.Server) { cutOff(s, false) }, ocm.ErrUnreachable},
	} {
		tc.fail(c.server)
		for i := range c.resources() {
			res := &c.resources()[i]
			if res.Name == "wget" || res.Name == "helm-web" {
				continue // they are elsewhere
			}
			_, read := contentOf(t, c.version, res)
			for _, err := range []error{c.version.Check(t.Context(), res), read} {
				if !errors.Is(err, tc.is) || errors.Is(err, ocm.ErrMalformed) || errors.As(err, new(*ocm.DigestMismatchError)) {
					t.Errorf("%s: %s: %v, want %v", name, res.Name, err, tc.is)
				}
			}
		}
		c.server.Heal()
		c.server.RequireLogin("", "")
	}
}

// TestChunkUnreachable doesn't take a registry that is gone for the end of the
// content.
func TestChunkUnreachable(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	first := digest.FromString("split").String()
	c.server.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, first) {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	split := &c.resources()[2]
	_, read := contentOf(t, c.version, split)
	for _, err := range []error{c.version.Check(t.Context(), split), read} {
		if !errors.Is(err, ocm.ErrUnreachable) || errors.As(err, new(*ocm.DigestMismatchError)) {
			t.Errorf("error = %v, want ErrUnreachable", err)
		}
	}
}

// cutOff lets answers end in the middle, or before they begin.
func cutOff(server *ocmtest.Server, begun bool) {
	var inside atomic.Bool
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if inside.Load() {
			return false
		}
		inside.Store(true)
		defer inside.Store(false)
		rec := httptest.NewRecorder()
		server.ServeHTTP(rec, req)
		maps.Copy(w.Header(), rec.Header())
		w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		if begun {
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})
}

// TestMovedTag reads what a digest pins, wherever the tag leads to.
func TestMovedTag(t *testing.T) {
	t.Parallel()
	c := checkableVersion(t)
	artifact(t, c.server.URL+"/charts/web:1.0.0", ocmtest.Chart("web", "1.0.0", []byte("moved")))
	for i := range c.resources() {
		res := &c.resources()[i]
		layer := strings.HasPrefix(res.Name, "helm-layer")
		err := c.version.Check(t.Context(), res)
		if layer != errors.As(err, new(*ocm.DigestMismatchError)) || !layer && err != nil {
			t.Errorf("%s: Check = %v", res.Name, err)
		}
		if res.Name == "image" || res.Name == "helm-manifest" {
			if got, err := contentOf(t, c.version, res); got != "chart" {
				t.Errorf("%s: content = %q, %v", res.Name, got, err)
			}
		}
	}
}

// TestPinnedImageReference puts the digest of the resource into references, and
// refuses those that have another one.
func TestPinnedImageReference(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	nested, blobs, main := nestedChart(t)
	hinted := accessOf(t, access.LocalBlob{
		Type: "localBlob", LocalReference: main.String(), MediaType: ocispec.MediaTypeImageManifest,
		GlobalAccess: accessOf(t, access.OCIArtifact{Type: "ociArtifact", ImageReference: "ghcr.io/acme/web:1.0"}),
	})
	cv := put(t, server.URL, blobs, ocmtest.Resource{Name: "nested", Access: nested}, ocmtest.Resource{Name: "hinted", Access: hinted})
	d, other := digest.FromString("x"), digest.FromString("y")
	image := func(reference string) *descriptor.Access {
		return accessOf(t, access.OCIArtifact{Type: "ociArtifact", ImageReference: reference})
	}
	local := func(mediaType string, global *descriptor.Access) *descriptor.Access {
		return accessOf(t, access.LocalBlob{Type: "localBlob", LocalReference: d.String(), MediaType: mediaType, GlobalAccess: global})
	}
	ociBlob := accessOf(t, access.OCIBlob{Type: "ociBlob", Reference: "reg:5000/web:1.0", Digest: d})
	at := "@" + d.String()
	for name, tc := range map[string]struct {
		access *descriptor.Access
		digest *descriptor.Digest
		// pinned and plain are what both kinds of references are, if not an error.
		pinned, plain string
		is            error
	}{
		"tag":               {access: image("ghcr.io/acme/web:1.0"), digest: descriptor.NewArtifactDigest(d), pinned: "ghcr.io/acme/web:1.0" + at, plain: "ghcr.io/acme/web:1.0"},
		"other name":        {access: image("ghcr.io/acme/web:1.0"), digest: descriptor.NewBlobDigest(d), pinned: "ghcr.io/acme/web:1.0" + at, plain: "ghcr.io/acme/web:1.0"},
		"nothing":           {access: image("http://reg:5000/web"), digest: descriptor.NewArtifactDigest(d), pinned: "reg:5000/web" + at, plain: "reg:5000/web"},
		"same digest":       {access: image("ghcr.io/acme/web:1.0" + at), digest: descriptor.NewArtifactDigest(d), pinned: "ghcr.io/acme/web:1.0" + at, plain: "ghcr.io/acme/web:1.0" + at},
		"another digest":    {access: image("ghcr.io/acme/web:1.0@" + other.String()), digest: descriptor.NewArtifactDigest(d), is: errMismatch},
		"another algorithm": {access: image("ghcr.io/acme/web@" + digest.SHA512.FromString("z").String()), digest: descriptor.NewArtifactDigest(d), pinned: "ghcr.io/acme/web" + at, plain: "ghcr.io/acme/web@" + digest.SHA512.FromString("z").String()},
		"no digest":         {access: image("ghcr.io/acme/web:1.0"), plain: "ghcr.io/acme/web:1.0", is: ocm.ErrNoDigest},
		"excluded": {access: image("ghcr.io/acme/web:1.0@" + other.String()), digest: &descriptor.Digest{
			HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest,
		}, plain: "ghcr.io/acme/web:1.0@" + other.String(), is: ocm.ErrNoDigest},
		"unknown digest":      {access: image("ghcr.io/acme/web:1.0"), digest: &descriptor.Digest{HashAlgorithm: "SHA-256", NormalisationAlgorithm: "x/v1", Value: d.Encoded()}, is: ocm.ErrUnsupported},
		"relative":            {access: accessOf(t, access.RelativeOCIReference{Type: "relativeOciReference", Reference: "x/web:1.0"}), digest: descriptor.NewArtifactDigest(d), pinned: server.Host + "/x/web:1.0" + at, plain: server.Host + "/x/web:1.0"},
		"blob":                {access: ociBlob, digest: descriptor.NewBlobDigest(d), pinned: "reg:5000/web" + at, plain: "reg:5000/web" + at},
		"another blob":        {access: ociBlob, digest: descriptor.NewBlobDigest(other), is: errMismatch},
		"nested":              {access: nested, digest: descriptor.NewArtifactDigest(main), pinned: server.Host + "/component-descriptors/" + shop + "@" + main.String(), plain: server.Host + "/component-descriptors/" + shop + "@" + main.String()},
		"another nested":      {access: nested, digest: descriptor.NewArtifactDigest(other), is: errMismatch},
		"hint":                {access: hinted, digest: descriptor.NewArtifactDigest(main), pinned: "ghcr.io/acme/web:1.0@" + main.String(), plain: "ghcr.io/acme/web:1.0"},
		"hint for a set":      {access: local(packedImage, image("ghcr.io/acme/web:1.0")), digest: descriptor.NewArtifactDigest(other), pinned: "ghcr.io/acme/web:1.0@" + other.String(), plain: "ghcr.io/acme/web:1.0"},
		"hint, wrong":         {access: local(packedImage, image("ghcr.io/acme/web@"+d.String())), digest: descriptor.NewArtifactDigest(other), is: errMismatch},
		"hint, digest of set": {access: local(packedImage, image("ghcr.io/acme/web@"+other.String())), digest: descriptor.NewBlobDigest(d), plain: "ghcr.io/acme/web@" + other.String(), is: ocm.ErrUnsupported},
		"hint, blank": {access: accessOf(t, access.LocalBlob{
			Type: "localBlob", LocalReference: " " + d.String(), MediaType: packedImage, GlobalAccess: image("ghcr.io/acme/web@" + other.String()),
		}), digest: descriptor.NewBlobDigest(d), plain: "ghcr.io/acme/web@" + other.String(), is: ocm.ErrUnsupported},
		"no hint": {access: local("text/plain", nil), digest: descriptor.NewArtifactDigest(d), is: ocm.ErrUnsupported},
		"chart":   {access: accessOf(t, access.Helm{Type: "helm", Repository: "https://x.example", Chart: "web:1"}), digest: descriptor.NewBlobDigest(d), is: ocm.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := build(t, ocmtest.Resource{Access: tc.access})
			res.Digest = tc.digest
			got, err := cv.PinnedImageReference(res)
			outcome(t, got, err, tc.pinned, tc.is)
			want := tc.is
			if tc.plain != "" {
				want = nil
			}
			got, err = cv.ImageReference(res)
			outcome(t, got, err, tc.plain, want)
		})
	}
}
