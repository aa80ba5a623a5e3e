package replication

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// embedded is the registry that the operator embeds, alone.
type embedded struct {
	*gate
	store  *store.Store
	issuer *auth.Issuer
}

// closed is for registries that want credentials.
type closed bool

// newEmbedded serves it until the test ends, with so many bytes of room; zero is what the disk has.
func newEmbedded(t *testing.T, locked closed, room int64) *embedded {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true, MaxBytes: room, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := auth.NewIssuer([]byte("a key that is long enough for one test"), nil)
	if err != nil {
		t.Fatal(err)
	}
	authorizer := auth.AllowAll()
	if locked {
		authorizer = issuer
	}
	h := registry.NewHandler(s, registry.Options{Authorizer: authorizer, Probe: s.Check})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() {
		_ = web.Close()
		h.Close()
		if err := s.Close(); err != nil {
			t.Errorf("close the registry's store: %v", err)
		}
	})
	return &embedded{gate: newGate(t, listener.Addr().String()), store: s, issuer: issuer}
}

// credential returns user and password for the repositories below a path.
func (e *embedded) credential(t *testing.T, below string, push bool) (user, password string) {
	t.Helper()
	c, err := e.issuer.Issue(auth.Scope{Prefix: below + "/", Push: push}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c.Username, c.Password
}

// user and password are the login of a distribution that wants one.
const user, password = "robot", "correct horse"

// newDistribution serves a distribution until the test ends.
func newDistribution(t *testing.T, locked closed) *gate {
	t.Helper()
	said := &complaints{except: "http.response.status=404"} // which is what it answers whoever looks before he sends
	o := server.Registry{Kind: server.Distribution, Dir: t.TempDir(), Delete: true, Log: said}
	if locked {
		o.User, o.Password = user, password
	}
	p, err := server.StartRegistry(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It is not asked: a client that has a connection which it never used would keep it waiting for longer than it waits.
		if err := p.Kill(); err != nil {
			t.Errorf("end distribution: %v", err)
		}
		if t.Failed() {
			t.Logf("the end of what distribution at %s has logged:\n%s", p.Address(), said.end())
		}
	})
	return newGate(t, p.Address())
}

// untag deletes a tag.
func untag(ctx context.Context, t *testing.T, host, repository, tag string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://"+host+"/v2/"+repository+"/manifests/"+tag, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("delete %s:%s: status %d", repository, tag, answer.StatusCode)
	}
}
