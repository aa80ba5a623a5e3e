package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// ImageHost is where the registry of the reference tools was. Component versions
// refer to their images there, by plain HTTP.
const ImageHost = "127.0.0.1:5077"

// CTF writes a transport archive as a directory and returns its path.
func CTF(tb testing.TB, name string) string {
	tb.Helper()
	folder := tb.TempDir()
	for path, content := range Files(tb, name) {
		target := filepath.Join(folder, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, content, 0o600)); err != nil {
			tb.Fatal(err)
		}
	}
	return folder
}

// Packed returns the names of the transport archives that there is a file of as
// a reference tool wrote it.
func Packed() []string {
	var out []string
	for name := range all().files {
		if name, ok := strings.CutSuffix(name, ".tgz"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// PackedCTF writes one of the files of Packed and returns its path.
func PackedCTF(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), filepath.Base(name)+".tgz")
	if err := os.WriteFile(path, file(tb, name+".tgz"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Serve serves an archive, or a part of the registry, and returns the URL that
// its component versions are at. Images that it refers to are not served.
func Serve(tb testing.TB, place string) (string, *ocmtest.Server) {
	tb.Helper()
	server := ocmtest.Start(tb)
	if form, ok := strings.CutPrefix(place, RegistryPrefix); ok {
		StoreRegistry(tb, server.Registry)
		return server.URL + "/" + form, server
	}
	Store(tb, server.Registry, "vectors", place)
	return server.URL + "/vectors", server
}

// Images serves everything that was at ImageHost and returns the registry. Reach
// it through the transport that Redirect returns.
func Images(tb testing.TB) *ocmtest.Server {
	tb.Helper()
	server := ocmtest.Start(tb)
	StoreRegistry(tb, server.Registry)
	return server
}

// Store puts the component versions of an archive into repositories below a
// path. Contents that are not what their digest says, which registries refuse,
// are served in place of what they should be. Requests count from then on.
func Store(tb testing.TB, r *ocmtest.Registry, path, name string) {
	tb.Helper()
	for _, a := range Artifacts(tb, name) {
		// What was overwritten is still listed, without a tag.
		if a.Tag != "" {
			store(tb, r, path+"/"+a.Repository, a.Tag, a.Digest)
		}
	}
	for d, content := range all().Swapped[name] {
		r.Inject(swap("/v2/"+path+"/", d, content))
	}
	r.ResetRequests()
}

// StoreRegistry puts everything into a registry that the one of the tools had.
// Requests count from then on.
func StoreRegistry(tb testing.TB, r *ocmtest.Registry) {
	tb.Helper()
	for _, a := range all().Registry {
		store(tb, r, a.Repository, a.Tag, a.Digest)
	}
	r.ResetRequests()
}

// store puts an artifact with all it leads to into a registry. It asks the
// handler and not the network, because that is faster.
func store(tb testing.TB, r *ocmtest.Registry, repository, reference string, d digest.Digest) {
	tb.Helper()
	content := Blob(d)
	var m manifest
	if err := json.Unmarshal(content, &m); err != nil {
		tb.Fatalf("manifest %s: %v", d, err)
	}
	for _, part := range m.Manifests {
		store(tb, r, repository, part.Digest.String(), part.Digest)
	}
	if len(m.Manifests) == 0 {
		for _, child := range children(content) {
			send(tb, r, http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+child.String(), "application/octet-stream", Blob(child))
		}
	}
	if m.MediaType == "" {
		m.MediaType = "application/vnd.oci.image.manifest.v1+json"
	}
	send(tb, r, http.MethodPut, "/v2/"+repository+"/manifests/"+reference, m.MediaType, content)
}

func send(tb testing.TB, r *ocmtest.Registry, method, path, mediaType string, content []byte) {
	tb.Helper()
	req := httptest.NewRequestWithContext(tb.Context(), method, path, bytes.NewReader(content))
	req.Header.Set("Content-Type", mediaType)
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, req)
	if answer.Code != http.StatusCreated {
		tb.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
}

// swap serves other content in place of a blob.
func swap(prefix string, d digest.Digest, content []byte) ocmtest.Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasPrefix(req.URL.Path, prefix) || !strings.HasSuffix(req.URL.Path, "/blobs/"+d.String()) {
			return false
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Docker-Content-Digest", d.String())
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(content))
		return true
	}
}

// Redirect returns a transport that sends what is for ImageHost to another host.
func Redirect(host string) http.RoundTripper { return redirect{to: host} }

type redirect struct{ to string }

// RoundTrip implements http.RoundTripper.
func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == ImageHost {
		req = req.Clone(req.Context())
		req.URL.Host = r.to
	}
	return http.DefaultTransport.RoundTrip(req)
}
