package roundtrip_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
	"github.com/ocm-operator/ocm-operator/registry/roundtrip"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const repository = "ocm-system/helm-test/release"

// key is that of the registry's credentials.
var key = bytes.Repeat([]byte{7}, 32)

// world is a running registry, and the files that a pod would have.
type world struct {
	store    *store.Store
	issuer   *auth.Issuer
	server   *registry.Server
	key, ca  string
	anywhere []string
}

// start runs a registry, over TLS if asked to, that asks everybody or strangers for a credential.
func start(t *testing.T, secure, anonymous bool) *world {
	t.Helper()
	w := &world{}
	var err error
	if w.store, err = store.Open(t.TempDir(), store.Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	if w.issuer, err = auth.NewIssuer(key, nil); err != nil {
		t.Fatal(err)
	}
	guard := &auth.Guard{Issuer: w.issuer, Anonymous: anonymous, Limiter: auth.NewLimiter(nil), Metrics: auth.NewMetrics()}
	handler := registry.NewHandler(w.store, registry.Options{Authorizer: guard})
	w.server = &registry.Server{Addr: "127.0.0.1:0", Handler: handler, Probe: w.store.Check}
	w.key = file(t, "key", key)
	if secure {
		w.serveTLS(t)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		handler.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	<-w.server.Ready()
	w.anywhere = []string{"--registry=" + w.server.Address(), "--repository=" + repository, "--timeout=20s"}
	return w
}

func (w *world) serveTLS(t *testing.T) {
	t.Helper()
	bundle, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	dynamic := &certs.Dynamic{}
	if err := dynamic.Set(bundle); err != nil {
		t.Fatal(err)
	}
	w.server.TLS, w.ca = dynamic.Config(), file(t, "ca.crt", bundle.CACert)
}

// tags are those of the repository that was tested.
func (w *world) tags(t *testing.T) []string {
	t.Helper()
	tested, err := w.store.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	tags, _, err := tested.Tags(t.Context(), "", 10)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return tags
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run returns what the process would print, and its error.
func run(t *testing.T, arguments ...[]string) (string, error) {
	t.Helper()
	args := []string{"test-registry"}
	for _, some := range arguments {
		args = append(args, some...)
	}
	if !roundtrip.Requested(args) {
		t.Fatalf("%q is no request for a test", args)
	}
	var out bytes.Buffer
	err := roundtrip.Run(t.Context(), args, &out)
	return out.String(), err
}

func TestRequested(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--version"}, {"start"}, {"--registry-address=test-registry:1"}} {
		if roundtrip.Requested(args) {
			t.Errorf("%q starts the operator", args)
		}
	}
}

// TestRun proves what works: each line is said by a step that has succeeded, and nothing stays in the registry.
func TestRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		secure, anonymous bool
		args              func(t *testing.T, w *world) []string
		says, hides       string
		reason            string
	}{
		"over TLS": {
			secure: true, says: "refuses who has no credential", reason: "as the chart installs it",
			args: func(_ *testing.T, w *world) []string { return []string{"--key-file=" + w.key, "--ca-file=" + w.ca} },
		},
		"plain": {
			says: "refuses who has no credential", reason: "a registry without certificates has credentials nevertheless",
			args: func(_ *testing.T, w *world) []string { return []string{"--key-file=" + w.key, "--plain-http"} },
		},
		"for everybody": {
			anonymous: true, hides: "refuses", reason: "there is no one to refuse",
			args: func(_ *testing.T, w *world) []string {
				return []string{"--key-file=" + w.key, "--plain-http", "--anonymous-pull"}
			},
		},
		"with a docker config": {
			secure: true, says: "refuses who has no credential", reason: "other registries have other credentials",
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--docker-config=" + dockerConfig(t, w, w.server.Address(), auth.Scope{Push: true}), "--ca-file=" + w.ca}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, tc.secure, tc.anonymous)
			out, err := run(t, w.anywhere, tc.args(t, w))
			if err != nil {
				t.Fatalf("%v, want none: %s\n%s", err, tc.reason, out)
			}
			for _, want := range []string{tc.says, "takes the credential", "blob of 262144 bytes", "given back both", "deleted the manifest", "The registry works."} {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q: %s\n%s", want, tc.reason, out)
				}
			}
			if tc.hides != "" && strings.Contains(out, tc.hides) {
				t.Errorf("it says %q: %s", tc.hides, tc.reason)
			}
			if tags := w.tags(t); len(tags) > 0 {
				t.Errorf("tags %v stay", tags)
			}
		})
	}
}

// dockerConfig is a file with a credential for the address.
func dockerConfig(t *testing.T, w *world, address string, scope auth.Scope) string {
	t.Helper()
	credential, err := w.issuer.Issue(scope, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	type login struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]login{address: {credential.Username, credential.Password}}})
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "config.json", config)
}

// TestRunFails names the step and the registry, and what is wrong with them.
func TestRunFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		anonymous bool
		args      func(t *testing.T, w *world) []string
		want      []string
		reason    string
	}{
		"another key": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--key-file=" + file(t, "other", bytes.Repeat([]byte{8}, 32)), "--ca-file=" + w.ca}
			},
			want: []string{"wait for the registry: ", "/" + repository, "401"}, reason: "a credential that is refused is not tried again",
		},
		"nobody is refused": {
			anonymous: true,
			args:      func(_ *testing.T, w *world) []string { return []string{"--key-file=" + w.key, "--ca-file=" + w.ca} },
			want:      []string{"look without a credential: ", "to a stranger, want 401"}, reason: "this is an open door if nobody has said so",
		},
		"read only": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--docker-config=" + dockerConfig(t, w, w.server.Address(), auth.Scope{}), "--ca-file=" + w.ca}
			},
			want: []string{"push: ", "403"}, reason: "the credential is good, and not for this",
		},
		"certificates that are not known": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--key-file=" + w.key, "--ca-file=" + filepath.Join(t.TempDir(), "none"), "--timeout=1s"}
			},
			want: []string{"wait for the registry: ", "does not answer within 1s", "certificate"}, reason: "it may be about to change, and the message says what it is",
		},
		"no certificates": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--key-file=" + w.key, "--ca-file=" + file(t, "ca.crt", []byte("none"))}
			},
			want: []string{"holds no certificate in PEM"}, reason: "the file is there, and nothing in it",
		},
		"a short key": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--key-file=" + file(t, "key", []byte("short"))}
			},
			want: []string{"--key-file"}, reason: "nothing can be sealed with it",
		},
		"no key": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--key-file=" + filepath.Join(t.TempDir(), "none")}
			},
			want: []string{"--key-file: ", "no such file"}, reason: "nothing takes its place",
		},
		"no docker config": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--docker-config=" + file(t, "config.json", []byte("{"))}
			},
			want: []string{"--docker-config "}, reason: "half a file",
		},
		"a large file": {
			args: func(t *testing.T, w *world) []string {
				t.Helper()
				return []string{"--key-file=" + file(t, "key", make([]byte, 1<<20+1))}
			},
			want: []string{"has more than 1048576 bytes"}, reason: "no Secret has so much",
		},
		"no name":         {args: with("--repository="), want: []string{"--registry and --repository"}, reason: "there is nothing to test"},
		"a name of none":  {args: with("--repository=UPPER/case"), want: []string{`--repository "UPPER/case"`}, reason: "no repository has it"},
		"too much":        {args: with("now"), want: []string{`unexpected argument "now"`}, reason: "a flag was meant"},
		"two credentials": {args: with("--key-file=a", "--docker-config=b"), want: []string{"drop one of them"}, reason: "one would be ignored"},
		"unknown":         {args: with("--what"), want: []string{"-what"}, reason: "a typo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, true, tc.anonymous)
			out, err := run(t, w.anywhere, tc.args(t, w))
			if err == nil {
				t.Fatalf("no error: %s\n%s", tc.reason, out)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in the error: %s\n%v", want, tc.reason, err)
				}
			}
			if strings.Contains(out, "works") {
				t.Errorf("it says that the registry works: %s", out)
			}
		})
	}
}

func with(args ...string) func(*testing.T, *world) []string {
	return func(*testing.T, *world) []string { return args }
}

// TestWaits is for a registry that is about to start.
func TestWaits(t *testing.T) {
	t.Parallel()
	w := start(t, false, false)
	asked := 0
	front := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if asked++; asked <= 2 && request.URL.Path == "/v2/" {
			response.WriteHeader(http.StatusBadGateway)
			return
		}
		w.server.Handler.ServeHTTP(response, request)
	}))
	defer front.Close()
	out, err := run(t, w.anywhere, []string{"--registry=" + host(t, front), "--key-file=" + w.key, "--plain-http"})
	if err != nil || asked < 3 {
		t.Errorf("%v after %d questions\n%s", err, asked, out)
	}
}

// TestAbsent is nobody at all.
func TestAbsent(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = run(t, []string{"--registry=" + address, "--repository=" + repository, "--plain-http", "--timeout=1s"})
	if err == nil || !strings.Contains(err.Error(), "does not answer within 1s, look at the pods of the operator") {
		t.Errorf("error %v", err)
	}
}

// TestLies is a registry that gives back something else, keeps what is deleted, or has somebody else write to it.
func TestLies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lie  func(response http.ResponseWriter, request *http.Request) bool
		want string
	}{
		"another blob": {func(response http.ResponseWriter, request *http.Request) bool {
			if request.Method != http.MethodGet || !strings.Contains(request.URL.Path, "/blobs/") {
				return false
			}
			_, err := response.Write(make([]byte, 256<<10))
			return err == nil
		}, "pull: "},
		"it stays": {func(response http.ResponseWriter, request *http.Request) bool {
			if request.Method == http.MethodDelete {
				response.WriteHeader(http.StatusAccepted)
			}
			return request.Method == http.MethodDelete
		}, "is still there after it was deleted"},
		"another tag": {func(response http.ResponseWriter, request *http.Request) bool {
			tagged := request.Method == http.MethodHead && strings.HasSuffix(request.URL.Path, "/manifests/test")
			if tagged {
				response.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
				response.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				response.Header().Set("Content-Length", "2")
			}
			return tagged
		}, "does something else write to this repository?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, false, false)
			front := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
				if !tc.lie(response, request) {
					w.server.Handler.ServeHTTP(response, request)
				}
			}))
			defer front.Close()
			out, err := run(t, w.anywhere, []string{"--registry=" + host(t, front), "--key-file=" + w.key, "--plain-http"})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q\n%s", err, tc.want, out)
			}
		})
	}
}

// TestDeletesNothing is a registry that deletes nothing for its clients. That is fine if it is not the operator's own.
func TestDeletesNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		own    bool
		fails  string
		reason string
	}{
		"not allowed": {http.StatusMethodNotAllowed, "", false, "", "distribution without storage.delete.enabled"},
		"unsupported": {http.StatusBadRequest, `{"errors": [{"code": "UNSUPPORTED"}]}`, false, "", "it says the same in the words of the specification"},
		"forbidden":   {http.StatusForbidden, `{"errors": [{"code": "DENIED"}]}`, false, "delete: ", "the credential is not good for all that the operator does"},
		"our own":     {http.StatusMethodNotAllowed, "", true, "delete: ", "that one deletes, so something is between"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, false, false)
			front := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
				if request.Method != http.MethodDelete {
					w.server.Handler.ServeHTTP(response, request)
					return
				}
				response.WriteHeader(tc.status)
				_, _ = response.Write([]byte(tc.body))
			}))
			defer front.Close()
			address := host(t, front)
			credential := "--docker-config=" + dockerConfig(t, w, address, auth.Scope{Push: true})
			if tc.own {
				credential = "--key-file=" + w.key
			}
			out, err := run(t, w.anywhere, []string{"--registry=" + address, credential, "--plain-http"})
			if (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("error %v, want %q: %s\n%s", err, tc.fails, tc.reason, out)
			}
			if err == nil && (!strings.Contains(out, "deletes nothing") || !strings.Contains(out, "The registry works.")) {
				t.Errorf("it does not say that nothing is deleted: %s\n%s", tc.reason, out)
			}
		})
	}
}

func host(t *testing.T, server *httptest.Server) string {
	t.Helper()
	parsed, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Host
}
