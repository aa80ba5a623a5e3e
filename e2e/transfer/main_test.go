package transfer_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// namespace begins the names of all repositories.
const namespace = "team"

// Makes of registries.
const (
	ours         = measure.Ours
	distribution = measure.Distribution
	gcr          = measure.ContainerRegistry
)

// servers are the registries that the tests share; each test has a path of its own.
var servers struct {
	world measure.World

	mu    sync.Mutex
	begun bool
	byes  map[string]*measure.Contestant
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == measure.ServeCommand {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err := measure.Serve(ctx, os.Args[2:])
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if servers.begun {
		if err := servers.world.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the registries:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// registry returns the registry of a make.
func registry(t *testing.T, name string) *measure.Contestant {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if !servers.begun {
		servers.world = measure.World{Progress: os.Stderr, Namespace: namespace, Idle: 8}
		if err := servers.world.Prepare(""); err != nil {
			t.Fatal(err)
		}
		servers.begun, servers.byes = true, map[string]*measure.Contestant{}
	}
	if servers.byes[name] == nil {
		// It outlives the test that happens to be first.
		started, err := servers.world.Start(context.WithoutCancel(t.Context()), name, false)
		if err != nil {
			t.Fatal(err)
		}
		servers.byes[name] = started
	}
	return servers.byes[name]
}

// place is where component versions are kept.
type place struct {
	*ocm.Repository

	name string
	host string // empty for an archive
}

// pathOf returns the path of a test in a registry.
func pathOf(t *testing.T) string {
	t.Helper()
	return namespace + "/" + strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return '-'
	}, strings.NewReplacer("-SHA-", "sha", "_", "").Replace(t.Name())), "-")
}

// in returns a place in the registry of a make that only this test has.
func in(t *testing.T, name string, transport http.RoundTripper) place {
	t.Helper()
	c := registry(t, name)
	return inAt(t, c, c.URL, transport)
}

// inAt returns it with the registry reached at another URL, such as that of a proxy.
func inAt(t *testing.T, c *measure.Contestant, url string, transport http.RoundTripper) place {
	t.Helper()
	repository, err := ocm.Open(url+"/"+pathOf(t), access(t, url, transport))
	if err != nil {
		t.Fatal(err)
	}
	return place{Repository: repository, name: c.Name, host: strings.TrimPrefix(url, "http://")}
}

// access is how a place at a URL is reached, and what lies at other places on this machine. Only ours wants a log-in.
func access(t *testing.T, url string, transport http.RoundTripper) ocm.Options {
	t.Helper()
	hosts, err := oci.ParseHosts([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	own, store := registry(t, ours), &credentials.Store{}
	for _, where := range []string{own.URL, url} {
		store.Add(where, credentials.Credential{Username: own.Username, Password: own.Password})
	}
	return ocm.Options{Transport: transport, Hosts: hosts, Credentials: store, TempDir: t.TempDir()}
}

// archive returns a new transport archive: a folder, unless the name has the ending of a file.
func archive(t *testing.T, name string) (path string, open func() place) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	return path, func() place {
		repository, err := ocm.CreateCTF(path, access(t, "", nil))
		if err != nil {
			t.Fatal(err)
		}
		return place{Repository: repository, name: name}
	}
}

// closed closes an archive, which writes it.
func (p place) closed(t *testing.T) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
