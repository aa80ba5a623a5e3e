package ocm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const shop = "acme.org/shop"

// open lets components lead to other registries on this machine, as those of the
// tests are.
func open(t testing.TB, url string, o ocm.Options) *ocm.Repository {
	t.Helper()
	if o.Hosts == nil && o.Transport == nil {
		o.Hosts = allowed(t, "127.0.0.1")
	}
	r, err := ocm.Open(url, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t testing.TB, cv *ocm.ComponentVersion, res *descriptor.Resource) []byte {
	t.Helper()
	blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatalf("open %s: %v", &res.Element, err)
	}
	defer blob.Close()
	content, err := io.ReadAll(blob)
	if err != nil {
		t.Fatalf("read %s: %v", &res.Element, err)
	}
	return content
}

func publish(t testing.TB, url string, c ocmtest.Component) digest.Digest {
	t.Helper()
	d, err := c.Publish(t.Context(), url, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func shopVersion(version string) ocmtest.Component {
	return ocmtest.Component{
		Name: shop, Version: version,
		Resources: []ocmtest.Resource{
			{Name: "manifests", Content: []byte("kind: List"), MediaType: "application/yaml"},
			{Name: "same", Content: []byte("kind: List"), MediaType: "application/yaml"},
			{Name: "web", Image: "http://images.example:5000/acme/web:1.0"},
		},
		References: []ocmtest.Reference{{Name: "db", Component: "acme.org/db", Version: "2.0.0"}},
	}
}

func TestPutAndGet(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	repo := open(t, server.URL+"/a/b", ocm.Options{})
	want := publish(t, server.URL+"/a/b", shopVersion("1.0.0+build.7"))

	for name, get := range map[string]func() (*ocm.ComponentVersion, error){
		"by version": func() (*ocm.ComponentVersion, error) { return repo.Get(t.Context(), shop, "1.0.0+build.7") },
		"pinned":     func() (*ocm.ComponentVersion, error) { return repo.GetPinned(t.Context(), shop, "1.0.0+build.7", want) },
	} {
		t.Run(name, func(t *testing.T) {
			cv, err := get()
			if err != nil {
				t.Fatal(err)
			}
			if cv.ManifestDigest() != want || cv.Component() != shop || cv.Version() != "1.0.0+build.7" {
				t.Errorf("got %s:%s %s, want digest %s", cv.Component(), cv.Version(), cv.ManifestDigest(), want)
			}
			res := &cv.Descriptor().Component.Resources[1]
			if got := read(t, cv, res); string(got) != "kind: List" {
				t.Errorf("content = %q", got)
			}
			ref, err := cv.ImageReference(&cv.Descriptor().Component.Resources[2])
			if err != nil || ref != "images.example:5000/acme/web:1.0" {
				t.Errorf("ImageReference = %q, %v", ref, err)
			}
		})
	}
	if got, err := repo.Resolve(t.Context(), shop, "1.0.0+build.7"); err != nil || got != want {
		t.Errorf("Resolve = %s, %v, want %s", got, err, want)
	}
}

// TestPutIsIdempotent also proves that equal input gives equal bytes.
func TestPutIsIdempotent(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	repo := open(t, server.URL, ocm.Options{})
	first := publish(t, server.URL, shopVersion("1.0.0"))
	d, blobs, err := shopVersion("1.0.0").Build()
	if err != nil {
		t.Fatal(err)
	}
	server.ResetRequests()
	again, err := repo.Put(t.Context(), d, blobs, ocm.PutOptions{})
	if err != nil || again != first {
		t.Errorf("second Put = %s, %v, want %s", again, err, first)
	}
	if diff := cmp.Diff(map[string]int{"GET manifests": 1}, server.Requests()); diff != "" {
		t.Errorf("requests of the second Put (-want +got):\n%s", diff)
	}
	d.Component.Labels = []descriptor.Label{{Name: "new", Value: []byte(`"x"`)}}
	if _, err := repo.Put(t.Context(), d, blobs, ocm.PutOptions{}); !errors.Is(err, ocm.ErrExists) {
		t.Errorf("Put of other content = %v, want ErrExists", err)
	}
	if changed, err := repo.Put(t.Context(), d, blobs, ocm.PutOptions{Overwrite: true}); err != nil || changed == first {
		t.Errorf("Put with Overwrite = %s, %v", changed, err)
	}
}

func TestRequestsAreFew(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("1.0.0"))
	repo := open(t, server.URL, ocm.Options{})
	server.ResetRequests()
	cv, err := repo.Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Resolve(t.Context(), shop, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	read(t, cv, &cv.Descriptor().Component.Resources[0])
	want := map[string]int{"GET manifests": 1, "GET blobs": 3, "HEAD manifests": 1}
	if diff := cmp.Diff(want, server.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestTaggedIsWhatResolveSays: a version that is read first and resolved later must not look changed.
func TestTaggedIsWhatResolveSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stated func(manifest []byte) string
		want   func(manifest []byte) digest.Digest
		reason string
	}{
		"the usual digest":  {func(b []byte) string { return digest.FromBytes(b).String() }, digest.FromBytes, "it is that of the bytes"},
		"no digest":         {func([]byte) string { return "" }, digest.FromBytes, "only the bytes tell it"},
		"nonsense":          {func([]byte) string { return "sha256:nonsense" }, digest.FromBytes, "it is as good as none"},
		"another algorithm": {func(b []byte) string { return digest.SHA512.FromBytes(b).String() }, digest.SHA512.FromBytes, "the registry has the choice"},
		"that of others":    {func([]byte) string { return digest.FromString("other").String() }, nil, "the bytes are not what the registry means"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			pinned := publish(t, server.URL, shopVersion("1.0.0"))
			repo := open(t, server.URL, ocm.Options{})
			m, err := repo.Tagged(t.Context(), shop, "1.0.0")
			if err != nil || m.Digest != pinned {
				t.Fatalf("%s, %v, want %s", m.Digest, err, pinned)
			}
			server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
				if ocmtest.Class(req) != ocmtest.ClassManifests {
					return false
				}
				w.Header().Set("Content-Type", oci.MediaTypeManifest)
				w.Header()["Docker-Content-Digest"] = []string{tc.stated(m.Bytes)}
				_, _ = w.Write(m.Bytes)
				return true
			})
			cv, err := repo.Get(t.Context(), shop, "1.0.0")
			if tc.want == nil {
				if _, ok := errors.AsType[*ocm.DigestMismatchError](err); !ok {
					t.Errorf("got %v, want a mismatch: %s", err, tc.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			resolved, err := repo.Resolve(t.Context(), shop, "1.0.0")
			if want := tc.want(m.Bytes); err != nil || cv.ManifestDigest() != want || resolved != want {
				t.Errorf("read as %s and resolved to %s (%v), want %s: %s", cv.ManifestDigest(), resolved, err, want, tc.reason)
			}
		})
	}
}

func TestResolveWithoutDigestHeader(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"no header": http.StatusOK, "HEAD not allowed": http.StatusMethodNotAllowed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			want := publish(t, server.URL, shopVersion("1.0.0"))
			server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method == http.MethodHead {
					w.WriteHeader(status)
				}
				return req.Method == http.MethodHead
			})
			got, err := open(t, server.URL, ocm.Options{}).Resolve(t.Context(), shop, "1.0.0")
			if err != nil || got != want {
				t.Errorf("Resolve = %s, %v, want %s", got, err, want)
			}
		})
	}
}

// TestErrorsHelp checks that an error can be matched and says what to do.
func TestErrorsHelp(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("1.0.0"))
	publish(t, server.URL, shopVersion("1.1.0"))
	locked := ocmtest.Start(t)
	locked.RequireLogin("alice", "secret-word")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()

	cases := map[string]struct {
		url       string
		transport http.RoundTripper
		store     *credentials.Store
		component string
		is        error
		contains  []string
		reason    string
	}{
		"no such version":   {url: server.URL, is: ocm.ErrNotFound, contains: []string{"no version 9.9.9", "1.1.0, 1.0.0"}, reason: "lists what there is"},
		"no such component": {url: server.URL, component: "acme.org/shoe", is: ocm.ErrNotFound, contains: []string{"component acme.org/shoe not found", "spec.component"}, reason: "is told from a missing version"},
		"no credentials":    {url: locked.URL, is: ocm.ErrUnauthorized, contains: []string{"wants a credential, and none was given", "spec.repository.secretRef"}, reason: "says there were none"},
		"wrong password":    {url: locked.URL, store: credentials.FromBasic(locked.Host, "bob", "hidden"), is: ocm.ErrUnauthorized, contains: []string{`refuses the credential that was given, user "bob"`, "spec.repository.secretRef"}, reason: "says who was refused"},
		"refused":           {url: closed, is: ocm.ErrUnreachable, contains: []string{closed, "connection refused", "spec.repository.url"}, reason: "names the URL"},
		"unknown host": {
			url: "https://no-such-host.example", is: ocm.ErrUnreachable, contains: []string{"no-such-host.example", "cannot be resolved"}, reason: "is told from a refused connection",
			transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "no-such-host.example", IsNotFound: true}
			}),
		},
		"no TLS":  {url: "https://" + server.Host, is: ocm.ErrUnreachable, contains: []string{"http://"}, reason: "plain HTTP is never assumed"},
		"bad TLS": {url: tlsServer(t), is: ocm.ErrUnreachable, contains: []string{"certificate"}, reason: "an unknown CA is not a network problem"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.component == "" {
				tc.component = shop
			}
			repo := open(t, tc.url, ocm.Options{Credentials: tc.store, Transport: tc.transport})
			for what, call := range map[string]func() error{
				"Get":     func() error { _, err := repo.Get(t.Context(), tc.component, "9.9.9"); return err },
				"Resolve": func() error { _, err := repo.Resolve(t.Context(), tc.component, "9.9.9"); return err },
			} {
				err := call()
				if !errors.Is(err, tc.is) {
					t.Fatalf("%s: %v does not match %v (%s)", what, err, tc.is, tc.reason)
				}
				for _, text := range tc.contains {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("%s: %q does not contain %q (%s)", what, err, text, tc.reason)
					}
				}
				if strings.Contains(err.Error(), "hidden") {
					t.Errorf("%s: %q contains the password", what, err)
				}
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func tlsServer(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestListVersionsOfMissingComponent(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	_, err := open(t, server.URL, ocm.Options{}).ListVersions(t.Context(), "acme.org/none")
	var missing *ocm.NotFoundError
	if !errors.As(err, &missing) || missing.Component != "acme.org/none" || missing.Version != "" {
		t.Errorf("ListVersions = %v, want *NotFoundError of the component", err)
	}
}

func TestCancelledContext(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, server.URL, ocm.Options{}).Get(ctx, shop, "1.0.0"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want context.Canceled", err)
	}
}

func TestReadLimit(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	server := ocmtest.Start(t)
	publish(t, server.URL, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "big", Content: bytes.Repeat([]byte("0123456789abcdef"), size/16)},
	}})
	cv, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	res := &cv.Descriptor().Component.Resources[0]
	if got := read(t, cv, res); len(got) != size {
		t.Errorf("read %d bytes, want %d", len(got), size)
	}
	if _, err := cv.Open(t.Context(), res, ocm.ReadOptions{MaxBytes: size - 1}); !errors.Is(err, ocm.ErrTooLarge) {
		t.Errorf("Open with a smaller bound = %v, want ErrTooLarge", err)
	}
}

func BenchmarkReadBlob(b *testing.B) {
	const size = 16 << 20
	server := ocmtest.Start(b)
	publish(b, server.URL, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "big", Content: make([]byte, size)},
	}})
	cv, err := open(b, server.URL, ocm.Options{}).Get(b.Context(), shop, "1.0.0")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		blob, err := cv.Open(b.Context(), &cv.Descriptor().Component.Resources[0], ocm.ReadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, blob); err != nil {
			b.Fatal(err)
		}
		blob.Close()
	}
}
