package remote_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

var oneFile = map[string]string{"README.md": "hello\n", "apps/web.yaml": "kind: Deployment\n"}

// TestCredentials goes through the ways to log in by HTTP.
func TestCredentials(t *testing.T) {
	t.Parallel()
	s, commit := serve(t, gittest.Options{Username: "ann", Password: "secret-of-ann", Token: "token-of-bot", ReadOnlyToken: "token-to-read"}, oneFile)
	cases := map[string]struct {
		reason string
		auth   remote.Auth
		path   string
		read   error
		write  error
	}{
		"basic":          {reason: "user and password log in", auth: remote.Auth{Username: "ann", Password: "secret-of-ann"}},
		"bearer":         {reason: "a bearer token does", auth: remote.Auth{BearerToken: "token-of-bot"}},
		"token":          {reason: "a token is the password of any user, so none is needed", auth: remote.Auth{Password: "token-of-bot"}},
		"wrong password": {reason: "a wrong password does not", auth: remote.Auth{Username: "ann", Password: "wrong-password"}, read: remote.ErrUnauthorized, write: remote.ErrUnauthorized},
		"wrong bearer":   {reason: "nor does a wrong token", auth: remote.Auth{BearerToken: "wrong-token"}, read: remote.ErrUnauthorized, write: remote.ErrUnauthorized},
		"none":           {reason: "nor does nothing", read: remote.ErrUnauthorized, write: remote.ErrUnauthorized},
		"read only":      {reason: "who may read may not push", auth: remote.Auth{Password: "token-to-read"}, write: remote.ErrForbidden},
		"missing":        {reason: "a repository that does not exist is not found", auth: remote.Auth{Password: "token-of-bot"}, path: "none.git", read: remote.ErrNotFound, write: remote.ErrNotFound},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "site.git"
			if c.path != "" {
				path = c.path
			}
			r := open(t, remote.Options{URL: s.RepositoryURL(path), Auth: c.auth})
			refs, err := r.Refs(within(t))
			if !errors.Is(err, c.read) {
				t.Errorf("%s: branches are listed with %v, want %v", c.reason, err, c.read)
			}
			if err == nil && refs.Branches["main"] != plumbing.NewHash(commit) {
				t.Errorf("%s: main is at %s, want %s", c.reason, refs.Branches["main"], commit)
			}
			commit, w := change(t, nil, "", "a", "a")
			err = r.Push(within(t), update("push-"+strings.ReplaceAll(name, " ", "/"), "", commit, w))
			if !errors.Is(err, c.write) {
				t.Errorf("%s: a branch is pushed with %v, want %v", c.reason, err, c.write)
			}
			for _, secret := range []string{"secret-of-ann", "token-of-bot", "token-to-read", "wrong-password", "wrong-token"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %q has the secret %s", c.reason, err, secret)
				}
			}
		})
	}
}

// TestEmptyRepository is filled by a first commit.
func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, gittest.Options{}, nil)
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	refs, err := r.Refs(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if !refs.Empty || len(refs.Branches) > 0 {
		t.Errorf("an empty repository has %v, want nothing", refs)
	}
	commit, w := change(t, nil, "", "first", "1")
	if err := r.Push(within(t), update("main", "", commit, w)); err != nil {
		t.Fatal(err)
	}
	refs, err = r.Refs(within(t))
	if err != nil {
		t.Fatal(err)
	}
	want := &remote.Refs{Default: "main", Branches: map[string]plumbing.Hash{"main": commit}}
	if diff := cmp.Diff(want, refs); diff != "" {
		t.Errorf("refs after the first push (-want +got):\n%s", diff)
	}
	gittest.Fsck(t, s.Dir("site.git"))
}

// TestTLS goes through what both ends have to show.
func TestTLS(t *testing.T) {
	t.Parallel()
	s, commit := serve(t, gittest.Options{TLS: true, ClientCertificates: true}, oneFile)
	cases := map[string]struct {
		reason  string
		options remote.Options
		ok      bool
		says    string
	}{
		"both":           {reason: "own authority and client certificate", options: remote.Options{CA: s.CA, Certificate: s.ClientCertificate, Key: s.ClientKey}, ok: true},
		"wrong CA":       {reason: "the authority of another", options: remote.Options{CA: gittest.NewCA(t), Certificate: s.ClientCertificate, Key: s.ClientKey}, says: "ca.crt"},
		"no CA":          {reason: "the authorities of the system", options: remote.Options{Certificate: s.ClientCertificate, Key: s.ClientKey}, says: "ca.crt"},
		"no certificate": {reason: "no client certificate", options: remote.Options{CA: s.CA}, says: "certificate"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.URL = s.RepositoryURL("site.git")
			r := open(t, c.options)
			refs, err := r.Refs(within(t))
			if c.ok {
				if err != nil || refs.Branches["main"].String() != commit {
					t.Errorf("%s: got %v and %v, want main at %s", c.reason, refs, err, commit)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %v, want an error that says %q", c.reason, err, c.says)
			}
		})
	}
}

// TestOptions refuses what cannot work, and says what to do.
func TestOptions(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "long secret")
	known := []byte("example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJ1RSiTBOsYyQvOYhhAvBhmMrlDLuzH3ZOPSJ1lLwCb\n")
	cases := map[string]struct {
		options remote.Options
		is      error
		says    string
	}{
		"bad CA":             {options: remote.Options{URL: "https://h/p", CA: []byte("none")}, says: "ca.crt"},
		"bad pair":           {options: remote.Options{URL: "https://h/p", Certificate: []byte("none")}, says: "tls.crt"},
		"bad name of client": {options: remote.Options{URL: "https://h/p", UserAgent: "two words"}, says: "name of the client"},
		"no identity":        {options: remote.Options{URL: "git@h:p"}, says: "identity"},
		"bad identity":       {options: remote.Options{URL: "git@h:p", Auth: remote.Auth{Identity: []byte("none")}}, says: "identity"},
		"no passphrase":      {options: remote.Options{URL: "git@h:p", Auth: remote.Auth{Identity: key.Private}}, says: "password"},
		"wrong passphrase":   {options: remote.Options{URL: "git@h:p", Auth: remote.Auth{Identity: key.Private, Passphrase: "wrong secret"}}, says: "password"},
		"no known_hosts":     {options: remote.Options{URL: "git@h:p", Auth: remote.Auth{Identity: key.Private, Passphrase: "long secret"}}, is: remote.ErrHostKey, says: "ssh-keyscan -p 22 h"},
		"unknown host":       {options: remote.Options{URL: "git@h:p", Auth: remote.Auth{Identity: key.Private, Passphrase: "long secret", KnownHosts: known}}, is: remote.ErrHostKey, says: "ssh-keyscan -p 22 h"},
		"other port":         {options: remote.Options{URL: "ssh://git@example.org:2222/p", Auth: remote.Auth{Identity: key.Private, Passphrase: "long secret", KnownHosts: known}}, is: remote.ErrHostKey, says: "port 2222"},
		"bad known_hosts":    {options: remote.Options{URL: "git@h:p", Auth: remote.Auth{Identity: key.Private, Passphrase: "long secret", KnownHosts: []byte("\nh ssh-ed25519 no-base64\n")}}, says: "line :2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.TempDir = t.TempDir()
			_, err := remote.Open(c.options)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want an error that says %q", err, c.says)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v", err, c.is)
			}
			for _, secret := range []string{"long secret", "wrong secret", c.options.TempDir} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q tells %q", err, secret)
				}
			}
		})
	}
}

// TestProxy goes through one by a tunnel, and plainly.
func TestProxy(t *testing.T) {
	t.Parallel()
	for name, withTLS := range map[string]bool{"tunnel": true, "plain": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, commit := serve(t, gittest.Options{TLS: withTLS, Username: "ann", Password: "secret-of-ann"}, oneFile)
			p := gittest.NewProxy(t, "proxy-user", "proxy-secret")
			o := remote.Options{URL: s.RepositoryURL("site.git"), CA: s.CA, Proxy: p.URL, Auth: remote.Auth{Username: "ann", Password: "secret-of-ann"}}
			l := loopback{asked: make(chan string, 8)}
			o.Dial = l.dial
			r := open(t, o)
			store := fetch(t, r, commit)
			next, w := change(t, entries(t, store, commit), commit, "more", "1")
			if err := r.Push(within(t), update("main", commit, next, w)); err != nil {
				t.Fatal(err)
			}
			if len(p.Hosts()) == 0 {
				t.Error("nothing went through the proxy")
			}
			if asked := <-l.asked; asked != p.URL.Host {
				t.Errorf("connected to %s, want the proxy %s, by the dialer of the options", asked, p.URL.Host)
			}
			o.Proxy = &url.URL{Scheme: "http", Host: p.URL.Host, User: url.UserPassword("proxy-user", "wrong-secret")}
			_, err := open(t, o).Refs(within(t))
			if err == nil || errors.Is(err, remote.ErrUnauthorized) || !strings.Contains(strings.ToLower(err.Error()), "prox") || strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("a proxy that refuses gives %v, want an error about the proxy without its password", err)
			}
		})
	}
}

// TestRedirect follows redirects of one host, and shows nothing to another.
func TestRedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s, commit := serve(t, gittest.Options{Username: "ann", Password: "secret-of-ann"}, oneFile)
		s.SetFault(func(w httpWriter, r *httpRequest) bool {
			rest, old := strings.CutPrefix(r.URL.RequestURI(), "/old.git")
			if old {
				w.Header().Set("Location", "/site.git"+rest)
				w.WriteHeader(status)
			}
			return old
		})
		o := remote.Options{URL: s.URL + "/old.git", Auth: remote.Auth{Username: "ann", Password: "secret-of-ann"}}
		refs, err := open(t, o).Refs(within(t))
		if err != nil || refs.Branches["main"].String() != commit {
			t.Errorf("%d: got %v and %v, want main at %s", status, refs, err, commit)
		}
		store := fetch(t, open(t, o), commit)
		next, w := change(t, entries(t, store, commit), commit, "more", strings.Repeat("more", 100_000))
		if err := open(t, o).Push(within(t), update("main", commit, next, w)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestRedirectOfPost follows redirects that come as late as with the pack.
func TestRedirectOfPost(t *testing.T) {
	t.Parallel()
	for _, status := range []int{302, 307} {
		s, commit := serve(t, gittest.Options{}, oneFile)
		s.SetFault(func(w httpWriter, r *httpRequest) bool {
			rest, old := strings.CutPrefix(r.URL.Path, "/old.git")
			if old && r.Method == http.MethodPost {
				w.Header().Set("Location", "/site.git"+rest)
				w.WriteHeader(status)
				return true
			}
			r.URL.Path = strings.Replace(r.URL.Path, "/old.git", "/site.git", 1)
			return false
		})
		r := open(t, remote.Options{URL: s.URL + "/old.git"})
		store := fetch(t, r, commit)
		next, w := change(t, entries(t, store, commit), commit, "more", strings.Repeat("more", 100_000))
		if err := open(t, remote.Options{URL: s.URL + "/old.git"}).Push(within(t), update("main", commit, next, w)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		if tip := gittest.Tip(t, s.Dir("site.git"), "main"); tip != next.String() {
			t.Errorf("%d: main is at %s, want %s", status, tip, next)
		}
	}
}

// TestRedirectElsewhere shows that another host gets no request at all.
func TestRedirectElsewhere(t *testing.T) {
	t.Parallel()
	s, commit := serve(t, gittest.Options{Username: "ann", Password: "secret-of-ann"}, oneFile)
	other := gittest.NewServer(t, gittest.Options{})
	secure := gittest.NewServer(t, gittest.Options{TLS: true})
	o := remote.Options{URL: s.RepositoryURL("site.git"), Auth: remote.Auth{Username: "ann", Password: "secret-of-ann"}}
	store := fetch(t, open(t, o), commit)
	next, w := change(t, entries(t, store, commit), commit, "more", "1")
	for name, to := range map[string]string{
		"another port": other.URL, "another port with TLS": secure.URL, "another name": strings.Replace(s.URL, "127.0.0.1", "localhost", 1),
		"with a user": strings.Replace(s.URL, "http://", "http://eve:eve@", 1), "another scheme": "file://",
	} {
		for _, match := range []func(*httpRequest) bool{gittest.IsRefs, gittest.IsPush} {
			s.SetFault(gittest.When(match, gittest.Redirect(307, to)))
			err := open(t, o).Push(within(t), update("main", commit, next, w))
			if _, ok := errors.AsType[*remote.RedirectError](err); !ok || strings.Contains(err.Error(), "eve") {
				t.Errorf("%s: got %v, want a *RedirectError that names hosts only", name, err)
			}
			if errors.Is(err, remote.ErrInterrupted) {
				t.Errorf("%s: %v, want an error that says that nothing was pushed", name, err)
			}
		}
	}
	if got := append(other.Requests(), secure.Requests()...); len(got) > 0 {
		t.Errorf("the other hosts got %v, want nothing", got)
	}
}

// TestRedirectInCircles ends.
func TestRedirectInCircles(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, gittest.Options{}, oneFile)
	s.SetFault(func(w httpWriter, r *httpRequest) bool {
		w.Header().Set("Location", "/again"+r.URL.RequestURI())
		w.WriteHeader(http.StatusFound)
		return true
	})
	if _, err := open(t, remote.Options{URL: s.RepositoryURL("site.git")}).Refs(within(t)); !errors.Is(err, remote.ErrProtocol) {
		t.Errorf("got %v, want %v", err, remote.ErrProtocol)
	}
	s.SetFault(func(w httpWriter, _ *httpRequest) bool {
		w.Header().Set("Location", "/login")
		w.WriteHeader(http.StatusFound)
		return true
	})
	_, err := open(t, remote.Options{URL: s.RepositoryURL("site.git")}).Refs(within(t))
	if !errors.Is(err, remote.ErrProtocol) || !strings.Contains(err.Error(), "log-in") {
		t.Errorf("got %v, want one that speaks of a log-in", err)
	}
}
