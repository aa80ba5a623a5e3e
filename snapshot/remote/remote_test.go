package remote_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	own "github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// open is an Authorizer that lets everybody do everything.
type open struct{}

func (open) Authorize(context.Context, auth.Request) error { return nil }

// foreign is a registry that others have written.
func foreign(testing.TB) http.Handler {
	return registry.New(registry.Logger(log.New(io.Discard, "", 0)))
}

// ours is the embedded registry, reached as a foreign one.
func ours(tb testing.TB) http.Handler {
	tb.Helper()
	s, err := store.Open(tb.TempDir(), store.Options{NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	handler := own.NewHandler(s, own.Options{Authorizer: open{}})
	tb.Cleanup(func() {
		handler.Close()
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return handler
}

// serve returns a store that uses a handler as its registry, over plain HTTP.
func serve(tb testing.TB, handler http.Handler, adjust ...func(*remote.Options)) *remote.Store {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return connect(tb, server.URL, adjust...)
}

func connect(tb testing.TB, address string, adjust ...func(*remote.Options)) *remote.Store {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	o := remote.Options{Host: u.Host, Path: "cluster-a", PlainHTTP: u.Scheme == "http", Dir: tb.TempDir()}
	for _, f := range adjust {
		f(&o)
	}
	s, err := remote.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		snapshottest.Run(t, func(t *testing.T) snapshot.Store {
			t.Helper()
			return serve(t, ours(t))
		})
	})
	t.Run("go-containerregistry", func(t *testing.T) {
		t.Parallel()
		snapshottest.RunShared(t, func(t *testing.T) snapshot.Store {
			t.Helper()
			return serve(t, foreign(t))
		})
	})
}

// TestSameDigests writes the same content into a foreign registry and into the embedded one: who moves from the one to the
// other keeps all digests.
func TestSameDigests(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, content := range []string{"", "content"} {
		want := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(s), "team/app"), []byte(content))
		got := snapshottest.Write(t, snapshottest.Repository(t, serve(t, foreign(t)), "team/app"), []byte(content))
		if got != want {
			t.Errorf("%q: got %+v, want %+v", content, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]remote.Options{
		"no host": {}, "host with a path": {Host: "example.com/a"}, "path in upper case": {Host: "example.com", Path: "Team"},
		"path with empty segment": {Host: "example.com", Path: "a//b"},
	} {
		if _, err := remote.New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	s, err := remote.New(remote.Options{Host: "example.com:5000", Path: "a/b"})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.URL(); got != "https://example.com:5000/a/b" {
		t.Errorf("the URL is %s", got)
	}
}

// TestAccessIsNoticed changes the credentials and the authority between two operations.
func TestAccessIsNoticed(t *testing.T) {
	t.Parallel()
	passwords := make(chan string, 1)
	passwords <- "first"
	handler := foreign(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		want := <-passwords
		passwords <- want
		if user, password, _ := req.BasicAuth(); user != "writer" || password != want {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, req)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	ca := certificateOf(server)
	var access remote.Access
	s := connect(t, server.URL, func(o *remote.Options) {
		o.Access = func(context.Context) (remote.Access, error) { return access, nil }
	})
	r := snapshottest.Repository(t, s, "team/app")
	for _, step := range []struct {
		name   string
		access remote.Access
		want   error
	}{
		{"unknown authority", remote.Access{Username: "writer", Password: "first"}, remote.ErrUnreachable},
		{"no credentials", remote.Access{CertificateAuthority: ca}, remote.ErrUnauthorized},
		{"wrong password", remote.Access{Username: "writer", Password: "second", CertificateAuthority: ca}, remote.ErrUnauthorized},
		{"right password", remote.Access{Username: "writer", Password: "first", CertificateAuthority: ca}, nil},
		{"rotated password", remote.Access{Username: "writer", Password: "first", CertificateAuthority: ca}, remote.ErrUnauthorized},
		{"new password", remote.Access{Username: "writer", Password: "second", CertificateAuthority: ca}, nil},
	} {
		if step.name == "rotated password" {
			<-passwords
			passwords <- "second"
		}
		access = step.access
		_, err := snapshot.Write(t.Context(), r, snapshot.Meta{Kind: snapshot.Opaque}, func(w io.Writer) error {
			_, err := io.WriteString(w, step.name)
			return err
		})
		if !errors.Is(err, step.want) || errors.Is(err, snapshot.ErrNotFound) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
}
