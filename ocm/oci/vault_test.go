package oci

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// vault is a registry whose repositories have nothing in common, as those of real
// ones, and that does what a test wants instead.
type vault struct {
	*httptest.Server

	host string
	// instead may answer a request.
	instead func(w http.ResponseWriter, req *http.Request) bool
	// mounts allows them.
	mounts bool
	// location is what the address of an upload is made of, %s being its path.
	location string

	mu        sync.Mutex
	blobs     map[string][]byte // by repository@digest
	manifests map[string][]byte
	sessions  map[string]bool
	last      int
	requests  []string // method and kind
}

func newVault(t testing.TB) *vault {
	t.Helper()
	v := &vault{blobs: map[string][]byte{}, manifests: map[string][]byte{}, sessions: map[string]bool{}, location: "%s"}
	v.Server = httptest.NewServer(v)
	v.host = strings.TrimPrefix(v.URL, "http://")
	t.Cleanup(v.Close)
	return v
}

// repository returns one of the repositories.
func (v *vault) repository(t testing.TB, path string) *Repository {
	t.Helper()
	return v.as(t, path, credentials.Credential{})
}

// as returns one of the repositories, used with a credential.
func (v *vault) as(t testing.TB, path string, credential credentials.Credential) *Repository {
	t.Helper()
	store := &credentials.Store{}
	if !credential.IsZero() {
		store.Add("http://"+v.host, credential)
	}
	r, err := NewClient(Options{Home: v.host, Credentials: store}).Repository(Location{Host: v.host, Path: path, PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put stores a blob.
func (v *vault) put(path string, content []byte) ocispec.Descriptor {
	v.mu.Lock()
	defer v.mu.Unlock()
	desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(content), Size: int64(len(content))}
	v.blobs[path+"@"+desc.Digest.String()] = content
	return desc
}

// has reports whether a blob is stored.
func (v *vault) has(path string, desc ocispec.Descriptor) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.blobs[path+"@"+desc.Digest.String()]
	return ok
}

// asked returns what was asked for since it was last called.
func (v *vault) asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.requests
	v.requests = nil
	return asked
}

// open returns how many uploads have not ended.
func (v *vault) open() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.sessions)
}

// ServeHTTP implements http.Handler.
func (v *vault) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	for _, between := range []string{"/blobs/uploads/", "/manifests/", "/blobs/"} {
		repo, rest, ok := strings.Cut(path, between)
		if !ok {
			continue
		}
		kind := strings.TrimPrefix(strings.Trim(between, "/"), "blobs/")
		v.mu.Lock()
		v.requests = append(v.requests, req.Method+" "+strings.TrimSuffix(kind, "s"))
		v.mu.Unlock()
		if v.instead == nil || !v.instead(w, req) {
			v.serve(w, req, kind, repo, rest)
		}
		return
	}
	if v.instead == nil || !v.instead(w, req) {
		http.NotFound(w, req)
	}
}

func (v *vault) serve(w http.ResponseWriter, req *http.Request, kind, repo, ref string) {
	switch {
	case kind == "uploads":
		v.upload(w, req, repo, ref)
	case req.Method == http.MethodPut:
		body, _ := io.ReadAll(req.Body) // the client is gone if this fails
		v.mu.Lock()
		defer v.mu.Unlock()
		v.manifests[repo+"@"+ref], v.manifests[repo+"@"+digest.FromBytes(body).String()] = body, body
		w.WriteHeader(http.StatusCreated)
	default:
		v.read(w, req, kind, repo+"@"+ref)
	}
}

func (v *vault) read(w http.ResponseWriter, req *http.Request, kind, key string) {
	v.mu.Lock()
	content, ok := v.blobs[key]
	if kind == "manifests" {
		content, ok = v.manifests[key]
	}
	v.mu.Unlock()
	if !ok {
		fail(w, http.StatusNotFound, "BLOB_UNKNOWN", "no such thing")
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	if req.Method == http.MethodGet {
		_, _ = w.Write(content) // the client is gone if this fails
	}
}

func (v *vault) upload(w http.ResponseWriter, req *http.Request, repo, id string) {
	var body []byte
	if req.Method == http.MethodPut {
		body, _ = io.ReadAll(req.Body) // the digest tells if this fails
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	query := req.URL.Query()
	switch want := digest.Digest(query.Get("digest")); {
	case req.Method == http.MethodPost:
		if content, ok := v.blobs[query.Get("from")+"@"+query.Get("mount")]; ok && v.mounts {
			v.blobs[repo+"@"+query.Get("mount")] = content
			w.WriteHeader(http.StatusCreated)
			return
		}
		v.last++
		id = strconv.Itoa(v.last)
		v.sessions[id] = true
		w.Header().Set("Location", fmt.Sprintf(v.location, "/v2/"+repo+"/blobs/uploads/"+id+"?_state=a%2Fb"))
		w.WriteHeader(http.StatusAccepted)
	case !v.sessions[id] || query.Get("_state") != "a/b":
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
	case req.Method == http.MethodDelete:
		delete(v.sessions, id)
		w.WriteHeader(http.StatusNoContent)
	case digest.FromBytes(body) != want:
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "other content")
	default:
		delete(v.sessions, id)
		v.blobs[repo+"@"+want.String()] = body
		w.Header().Set(digestHeader, want.String())
		w.WriteHeader(http.StatusCreated)
	}
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// times returns what answers the first requests of a kind.
func times(n int, method string, answer func(w http.ResponseWriter, req *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	return func(w http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		hit := req.Method == method && n > 0
		if hit {
			n--
		}
		mu.Unlock()
		return hit && answer(w, req)
	}
}

// status answers with an error.
func status(code int, name, message string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		_, _ = io.Copy(io.Discard, req.Body) // the client is gone if this fails
		fail(w, code, name, message)
		return true
	}
}

// cut closes the connection.
func cut(w http.ResponseWriter, _ *http.Request) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
	return true
}

// some is content that does not compress.
func some(n int) []byte {
	out := make([]byte, 0, n+digest.SHA256.Size())
	for seed := []byte("seed"); len(out) < n; seed = out[len(out)-32:] {
		sum := digest.SHA256.Hash()
		sum.Write(seed)
		out = sum.Sum(out)
	}
	return bytes.Clone(out[:n])
}

// want compares what was asked for.
func (v *vault) want(t *testing.T, requests ...string) {
	t.Helper()
	if got := v.asked(); !slices.Equal(got, requests) {
		t.Errorf("%s was asked %q, want %q", v.host, got, requests)
	}
}
