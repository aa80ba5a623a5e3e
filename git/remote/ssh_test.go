package remote_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

// overSSH serves a repository by SSH to one key, by the server of OpenSSH where that runs.
func overSSH(t *testing.T, o gittest.SSHOptions) (s *gittest.SSHServer, commit string) {
	t.Helper()
	s, err := gittest.NewOpenSSH(t, o)
	if err != nil {
		t.Logf("a server in Go is used, as OpenSSH does not run here: %v", err)
		s = gittest.NewSSH(t, o)
	}
	return s, gittest.NewRepository(t, s.Dir("team/site.git"), oneFile, "main")
}

// TestSSH pushes with each kind of key.
func TestSSH(t *testing.T) {
	t.Parallel()
	keys := make(map[string]gittest.Key)
	var authorized [][]byte
	for _, kind := range []gittest.KeyKind{gittest.Ed25519, gittest.ECDSA, gittest.RSA} {
		for _, passphrase := range []string{"", "long-secret"} {
			key := gittest.NewKey(t, kind, passphrase)
			keys[string(kind)+"/"+passphrase] = key
			authorized = append(authorized, key.Public)
		}
	}
	// Most tests are against OpenSSH, which takes its time for each connection.
	s := gittest.NewSSH(t, gittest.SSHOptions{Authorized: authorized})
	first := gittest.NewRepository(t, s.Dir("team/site.git"), oneFile, "main")
	for name, key := range keys {
		kind, passphrase, _ := strings.Cut(name, "/")
		l := loopback{asked: make(chan string, 8)}
		r := open(t, remote.Options{
			URL: s.URL("team/site.git"), Dial: l.dial,
			Auth: remote.Auth{Identity: key.Private, Passphrase: passphrase, KnownHosts: s.KnownHosts},
		})
		refs, err := r.Refs(within(t))
		if err != nil || refs.Branches["main"].String() != first || refs.Default != "main" {
			t.Fatalf("%s: got %v and %v, want main at %s", name, refs, err, first)
		}
		if asked := <-l.asked; asked != s.Address {
			t.Errorf("%s: connected to %s, want %s, by the dialer of the options", name, asked, s.Address)
		}
		commit, w := change(t, entries(t, fetch(t, r, first), first), first, "ours", strings.Repeat(name, 1<<18))
		branch := kind + "-" + passphrase + "x"
		if err := r.Push(within(t), update(branch, "", commit, w)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := r.Push(within(t), update(branch, "", commit, w)); !errors.Is(err, remote.ErrMoved) {
			t.Errorf("%s: a push that comes too late gives %v, want %v", name, err, remote.ErrMoved)
		}
	}
	gittest.Fsck(t, s.Dir("team/site.git"))
}

// TestSSHBlob asks for files one by one, and finds that a server does not give them.
func TestSSHBlob(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	for name, anyObject := range map[string]string{"any object": "true", "tips only": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, commit := overSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
			gittest.Config(t, s.Dir("team/site.git"), "uploadpack.allowFilter", "true")
			gittest.Config(t, s.Dir("team/site.git"), "uploadpack.allowAnySHA1InWant", anyObject)
			r := open(t, remote.Options{URL: s.URL("team/site.git"), Auth: remote.Auth{Identity: key.Private, KnownHosts: s.KnownHosts}})
			store := fetch(t, r, commit)
			for _, e := range entries(t, store, commit) {
				if e.Name != "README.md" {
					continue
				}
				content, err := store.Blob(within(t), e.Hash, 100)
				if err != nil || string(content) != oneFile[e.Name] {
					t.Errorf("%s is %q (%v), want %q", e.Name, content, err, oneFile[e.Name])
				}
			}
			if _, err := r.Fetch(within(t), plumbing.NewHash(strings.Repeat("1", 40))); !errors.Is(err, remote.ErrNoSuchCommit) {
				t.Errorf("a commit that there is not gives %v, want %v", err, remote.ErrNoSuchCommit)
			}
		})
	}
}

// TestSSHRefused goes through what is wrong on either side.
func TestSSHRefused(t *testing.T) {
	t.Parallel()
	key, reader, foreign := gittest.NewKey(t, gittest.Ed25519, ""), gittest.NewKey(t, gittest.Ed25519, ""), gittest.NewKey(t, gittest.ECDSA, "")
	s := gittest.NewSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}, ReadOnly: [][]byte{reader.Public}, HostKeys: []gittest.KeyKind{gittest.Ed25519, gittest.RSA}})
	first := gittest.NewRepository(t, s.Dir("team/site.git"), oneFile, "main")
	line := func(key ssh.PublicKey) []byte { return []byte(knownhosts.Line([]string{s.Address}, key) + "\n") }
	lines := strings.SplitAfter(string(s.KnownHosts), "\n")
	_, revoked, _ := strings.Cut(lines[0], " ")
	hashed := []byte(knownhosts.HashHostname(knownhosts.Normalize(s.Address)) + " " + revoked)
	cases := map[string]struct {
		reason string
		key    gittest.Key
		known  []byte
		path   string
		read   error
		write  error
	}{
		"all known":      {reason: "all keys of the host", key: key, known: s.KnownHosts},
		"first known":    {reason: "one of its keys, whichever the client prefers", key: key, known: []byte(lines[0])},
		"second known":   {reason: "the other", key: key, known: []byte(lines[1])},
		"hashed":         {reason: "a host that is written as a hash", key: key, known: hashed},
		"read only":      {reason: "a key that may read", key: reader, known: s.KnownHosts, write: remote.ErrForbidden},
		"unknown key":    {reason: "a key that the server does not know", key: foreign, known: s.KnownHosts, read: remote.ErrUnauthorized, write: remote.ErrUnauthorized},
		"missing":        {reason: "a repository that there is not", key: key, known: s.KnownHosts, path: "none.git", read: remote.ErrNotFound, write: remote.ErrNotFound},
		"another key":    {reason: "the key of another host, of the same kind", key: key, known: line(foreign25519(t)), read: remote.ErrHostKey, write: remote.ErrHostKey},
		"another kind":   {reason: "a key of a kind that the host does not have", key: key, known: line(foreign.Signer.PublicKey()), read: remote.ErrHostKey, write: remote.ErrHostKey},
		"revoked":        {reason: "a key that is known and revoked", key: key, known: append([]byte("@revoked * "+revoked), lines[0]...), read: remote.ErrHostKey, write: remote.ErrHostKey},
		"shell commands": {reason: "a path that a shell must not read", key: key, known: s.KnownHosts, path: "$(touch x)'; true '", read: remote.ErrNotFound, write: remote.ErrNotFound},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "team/site.git"
			if c.path != "" {
				path = c.path
			}
			r := open(t, remote.Options{URL: strings.ReplaceAll(s.URL(path), " ", "%20"), Auth: remote.Auth{Identity: c.key.Private, KnownHosts: c.known}})
			if _, err := r.Refs(within(t)); !errors.Is(err, c.read) {
				t.Errorf("%s: branches are listed with %v, want %v", c.reason, err, c.read)
			}
			commit, w := change(t, nil, first, "ours", "1")
			if err := r.Push(within(t), update("push/"+strings.ReplaceAll(name, " ", "-"), "", commit, w)); !errors.Is(err, c.write) {
				t.Errorf("%s: a branch is pushed with %v, want %v", c.reason, err, c.write)
			}
		})
	}
}

func foreign25519(t *testing.T) ssh.PublicKey {
	t.Helper()
	return gittest.NewKey(t, gittest.Ed25519, "").Signer.PublicKey()
}

// TestSSHProtected hears what a hook says.
func TestSSHProtected(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	s, first := overSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
	gittest.Protect(t, s.Dir("team/site.git"), "main")
	r := open(t, remote.Options{URL: s.URL("team/site.git"), Auth: remote.Auth{Identity: key.Private, KnownHosts: s.KnownHosts}})
	commit, w := change(t, nil, first, "ours", "1")
	err := r.Push(within(t), update("main", first, commit, w))
	if rejected, ok := errors.AsType[*remote.RejectedError](err); !ok || !rejected.Protected || !strings.Contains(rejected.Message, "rotected branch") {
		t.Errorf("got %v, want a *RejectedError about a protected branch", err)
	}
}

// TestSSHGivenUp connects to a host that says nothing.
func TestSSHGivenUp(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	gone := errors.New("given up by the test")
	ctx, cancel := context.WithCancelCause(within(t))
	address := silent.Addr().String()
	r := open(t, remote.Options{
		URL:  "ssh://git@" + address + "/site.git",
		Auth: remote.Auth{Identity: key.Private, KnownHosts: []byte(knownhosts.Line([]string{address}, key.Signer.PublicKey()) + "\n")},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			cancel(gone)
			return conn, err
		},
	})
	if _, err := r.Refs(ctx); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}

// TestSSHProxy goes through a proxy of SOCKS5, and past one of HTTP, which is for the API of the forge.
func TestSSHProxy(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	s, first := overSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
	socks := newSOCKS(t, "proxy-user", "proxy-secret")
	o := remote.Options{URL: s.URL("team/site.git"), Auth: remote.Auth{Identity: key.Private, KnownHosts: s.KnownHosts}}
	o.Proxy = &url.URL{Scheme: "socks5", Host: socks, User: url.UserPassword("proxy-user", "proxy-secret")}
	l := loopback{asked: make(chan string, 8)}
	o.Dial = l.dial
	fetch(t, open(t, o), first)
	if asked := <-l.asked; asked != socks {
		t.Errorf("connected to %s, want the proxy %s", asked, socks)
	}
	o.Proxy = &url.URL{Scheme: "socks5", Host: socks, User: url.UserPassword("proxy-user", "wrong-secret")}
	if _, err := open(t, o).Refs(within(t)); err == nil || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("a proxy that refuses gives %v, want an error without its password", err)
	}
	o.Proxy = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	fetch(t, open(t, o), first)
}
