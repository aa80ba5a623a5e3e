package ocm_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// spy records the Authorization headers a registry gets.
func spy(server *ocmtest.Server) func() []string {
	var mu sync.Mutex
	var seen []string
	server.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if h := req.Header.Get("Authorization"); h != "" {
			seen = append(seen, h)
		}
		return false
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// TestCredentialsStayAtTheirHost lets a component refer to an artifact at
// another registry, which asks for a log-in.
func TestCredentialsStayAtTheirHost(t *testing.T) {
	t.Parallel()
	home, away := ocmtest.Start(t), ocmtest.Start(t)
	artifact(t, away.URL+"/x/y:1", ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}})
	publish(t, home.URL, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "artifact", Image: away.URL + "/x/y:1"},
		{Name: "remote", Access: accessOf(t, access.OCIBlob{Type: "ociBlob", Reference: away.URL + "/x/y", Digest: digest.FromString("x"), Size: 1})},
	}})
	home.RequireLogin("alice", "at-home")
	away.RequireLogin("alice", "elsewhere")
	seen := spy(away)

	only := credentials.FromBasic(home.Host, "alice", "at-home")
	cv, err := open(t, home.URL, ocm.Options{Credentials: only}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cv.Descriptor().Component.Resources {
		res := &cv.Descriptor().Component.Resources[i]
		if _, err := cv.Open(t.Context(), res, ocm.ReadOptions{}); !errors.Is(err, ocm.ErrUnauthorized) || !strings.Contains(err.Error(), "none was given") {
			t.Errorf("Open %s = %v, want ErrUnauthorized without credentials", res.Name, err)
		}
	}
	if got := seen(); len(got) > 0 {
		t.Errorf("the other registry got %q", got)
	}

	secure := credentials.Merge(only, credentials.FromBasic(away.Host, "alice", "elsewhere"))
	cv, err = open(t, home.URL, ocm.Options{Credentials: secure}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cv.Descriptor().Component.Resources {
		if _, err := cv.Open(t.Context(), &cv.Descriptor().Component.Resources[i], ocm.ReadOptions{}); !errors.Is(err, ocm.ErrUnauthorized) {
			t.Errorf("Open = %v, want ErrUnauthorized: the descriptor asks for plain HTTP, the credential was not given for it", err)
		}
	}
	if got := seen(); len(got) > 0 {
		t.Errorf("the other registry got %q unencrypted", got)
	}

	both := credentials.Merge(only, credentials.FromBasic(away.URL, "alice", "elsewhere"))
	cv, err = open(t, home.URL, ocm.Options{Credentials: both}).Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cv.Descriptor().Component.Resources {
		if got, err := content(t, cv, &cv.Descriptor().Component.Resources[i]); err != nil || got != "x" {
			t.Errorf("content = %q, %v", got, err)
		}
	}
}

// TestRedirectLosesCredentials sends blobs to another host, as registries with
// an object store do.
func TestRedirectLosesCredentials(t *testing.T) {
	t.Parallel()
	home, store := ocmtest.Start(t), ocmtest.Start(t)
	publish(t, home.URL, shopVersion("1.0.0"))
	publish(t, store.URL, shopVersion("1.0.0"))
	home.RequireLogin("alice", "at-home")
	seen := spy(store)
	home.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || ocmtest.Class(req) != ocmtest.ClassBlobs {
			return false
		}
		http.Redirect(w, req, store.URL+req.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	repo := open(t, home.URL, ocm.Options{Credentials: credentials.FromBasic(home.Host, "alice", "at-home")})
	cv, err := repo.Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	read(t, cv, &cv.Descriptor().Component.Resources[0])
	if got := seen(); len(got) > 0 {
		t.Errorf("the redirect carried %q", got)
	}
	if store.Requests()["GET blobs"] < 3 {
		t.Errorf("blobs were not redirected: %v", store.Requests())
	}
}

func TestRedirectsAreBounded(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		http.Redirect(w, req, req.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	_, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0")
	if err == nil || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("Get = %v, want an error about redirects", err)
	}
	if n := server.Requests()["GET manifests"]; n > 6 {
		t.Errorf("%d requests", n)
	}
}

// withToken puts a token service in front of a registry.
func withToken(server *ocmtest.Server, realm string) {
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.URL.Path == "/token":
			user, password, _ := req.BasicAuth()
			if user != "alice" || password != "at-home" {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			fmt.Fprint(w, `{"token":"let-me-in"}`)
			return true
		case req.Header.Get("Authorization") == "Bearer let-me-in":
			return false
		}
		w.Header().Set("Www-Authenticate", fmt.Sprintf("Bearer realm=%q,service=\"test\"", realm))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
}

func TestTokenService(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("1.0.0"))
	withToken(server, server.URL+"/token")
	for name, tc := range map[string]struct {
		password string
		is       error
	}{
		"right password": {"at-home", nil},
		"wrong password": {"guess", ocm.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := open(t, server.URL, ocm.Options{Credentials: credentials.FromBasic(server.Host, "alice", tc.password)})
			if _, err := repo.Get(t.Context(), shop, "1.0.0"); !errors.Is(err, tc.is) {
				t.Errorf("Get = %v, want %v", err, tc.is)
			}
		})
	}
}

// TestTokenServiceOfAnotherDomain lets a registry ask for its credentials to be
// sent to somebody else.
func TestTokenServiceOfAnotherDomain(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got <- req.Header.Get("Authorization")
	}))
	t.Cleanup(thief.Close)
	server := ocmtest.Start(t)
	withToken(server, "https://token.thief.example/token")
	transport := roundTrip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == "token.thief.example" {
			req = req.Clone(req.Context())
			req.URL.Scheme, req.URL.Host = "http", strings.TrimPrefix(thief.URL, "http://")
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	store := credentials.FromBasic(server.Host, "alice", "at-home")
	_, err := open(t, server.URL, ocm.Options{Credentials: store, Transport: transport}).Get(t.Context(), shop, "1.0.0")
	if !errors.Is(err, ocm.ErrUnauthorized) || !strings.Contains(err.Error(), "token.thief.example") {
		t.Errorf("Get = %v, want ErrUnauthorized that names the token service", err)
	}
	if len(got) > 0 {
		t.Errorf("the credentials %q were sent to another domain", <-got)
	}
}

// TestSizesAreBounded lets the registry answer with more than is accepted.
func TestSizesAreBounded(t *testing.T) {
	t.Parallel()
	big := strings.Repeat(" ", 5<<20)
	for name, class := range map[string]string{"manifest": "GET manifests", "tags": "GET tags"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			publish(t, server.URL, shopVersion("1.0.0"))
			server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method+" "+ocmtest.Class(req) != class {
					return false
				}
				fmt.Fprint(w, "{"+big+"}")
				return true
			})
			repo := open(t, server.URL, ocm.Options{})
			var err error
			if name == "tags" {
				_, err = repo.ListVersions(t.Context(), shop)
			} else {
				_, err = repo.Get(t.Context(), shop, "1.0.0")
			}
			if err == nil || (name == "manifest" && !errors.Is(err, ocm.ErrTooLarge)) {
				t.Errorf("error = %v, want ErrTooLarge", err)
			}
		})
	}
	t.Run("config", func(t *testing.T) {
		t.Parallel()
		server := ocmtest.Start(t)
		publish(t, server.URL, shopVersion("1.0.0"))
		_, err := open(t, server.URL, ocm.Options{Limits: ocm.Limits{ConfigBytes: 10}}).Get(t.Context(), shop, "1.0.0")
		if !errors.Is(err, ocm.ErrTooLarge) {
			t.Errorf("Get = %v, want ErrTooLarge", err)
		}
	})
}

func TestRetries(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		status, n int
		fails     bool
		reason    string
	}{
		"overloaded once":   {http.StatusTooManyRequests, 1, false, "waits as long as the registry says"},
		"unavailable twice": {http.StatusServiceUnavailable, 2, false, ""},
		"broken for good":   {http.StatusInternalServerError, 100, true, "retries are bounded"},
		"teapot":            {http.StatusTeapot, 1, true, "asking again would not help"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			publish(t, server.URL, shopVersion("1.0.0"))
			server.ResetRequests()
			server.Inject(ocmtest.FailWith(tc.status, tc.n, "GET manifests"))
			_, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0")
			if (err != nil) != tc.fails {
				t.Errorf("Get = %v (%s)", err, tc.reason)
			}
			if n := server.Requests()["GET manifests"]; n > 4 {
				t.Errorf("%d requests, want at most 4", n)
			}
		})
	}
}

// TestPushRetries fails the upload itself, whose content has to be opened again.
func TestPushRetries(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	server.Inject(ocmtest.FailWith(http.StatusServiceUnavailable, 1, "PUT uploads"))
	pinned := publish(t, server.URL, shopVersion("1.0.0"))
	if err := readFirst(t, open(t, server.URL, ocm.Options{}), pinned); err != nil {
		t.Error(err)
	}
}

// TestFailedPutLeavesNoTag breaks off in the middle of Put.
func TestFailedPutLeavesNoTag(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	server.Inject(ocmtest.FailWith(http.StatusForbidden, 1, "PUT uploads"))
	if _, err := shopVersion("1.0.0").Publish(t.Context(), server.URL, ocm.Options{}); !errors.Is(err, ocm.ErrUnauthorized) {
		t.Errorf("Publish = %v, want ErrUnauthorized", err)
	}
	if n := server.Requests()["PUT manifests"]; n != 0 {
		t.Errorf("%d manifests were written", n)
	}
}
