package gitsync

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// host is a server of git repositories, which tests share; each has repositories of its own there.
type host struct {
	name string
	// url and dir tell where a repository is, for clients and on the disk.
	url, dir func(name string) string
	// good and wrong are what Secrets hold with which one may push, and not even look; certs is for TLS, and nil without.
	good, wrong, certs map[string]string
	// log returns what clients have asked for so far; it is nil where nobody tells.
	log func() []string
}

// The names of Secrets.
const (
	goodSecret = "git"
	certSecret = "git-certs"
)

// openSSH is the name of the host that is OpenSSH's.
const openSSH = "sshd"

const user, password = "robot", "correct horse"

// allHosts serves repositories in every way.
func allHosts(t *testing.T) []*host {
	t.Helper()
	hosts := []*host{plainHost(t), tlsHost(t), sshHost(t)}
	if h := openSSHHost(t); h != nil {
		hosts = append(hosts, h)
	}
	return hosts
}

// plainHost serves over HTTP to those who log in with a name and a password.
func plainHost(t *testing.T) *host {
	t.Helper()
	return webHost("http", gittest.NewServer(t, gittest.Options{Username: user, Password: password}),
		map[string]string{"username": user, "password": password}, map[string]string{"username": user, "password": "wrong"})
}

// tlsHost serves over TLS, by an authority that nobody knows, to those who have a token.
func tlsHost(t *testing.T) *host {
	t.Helper()
	server := gittest.NewServer(t, gittest.Options{TLS: true, Token: "a-token"})
	h := webHost("https", server, map[string]string{"bearerToken": "a-token"}, map[string]string{"bearerToken": "another-token"})
	h.certs = map[string]string{"ca.crt": string(server.CA)}
	return h
}

func webHost(name string, server *gittest.Server, good, wrong map[string]string) *host {
	return &host{name: name, url: server.RepositoryURL, dir: server.Dir, good: good, wrong: wrong, log: func() []string {
		var all []string
		for _, request := range server.Requests() {
			all = append(all, fmt.Sprintf("%s %s?%s %d", request.Method, request.Path, request.Query, request.Status))
		}
		return all
	}}
}

// sshHost serves over SSH.
func sshHost(t *testing.T) *host {
	t.Helper()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	server := gittest.NewSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
	h := keyHost(t, "ssh", server, key, nil)
	h.log = server.Commands
	return h
}

// openSSHHost serves by OpenSSH's own server, to a key with a passphrase. It is nil where that can't be run.
func openSSHHost(t *testing.T) *host {
	t.Helper()
	const passphrase = "open sesame"
	key := gittest.NewKey(t, gittest.ECDSA, passphrase)
	server, err := gittest.NewOpenSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}, HostKeys: []gittest.KeyKind{gittest.RSA, gittest.Ed25519}})
	if err != nil {
		t.Logf("without OpenSSH: %v", err)
		return nil
	}
	return keyHost(t, openSSH, server, key, map[string]string{"password": passphrase})
}

func keyHost(t *testing.T, name string, server *gittest.SSHServer, key gittest.Key, more map[string]string) *host {
	t.Helper()
	stranger := gittest.NewKey(t, gittest.Ed25519, "")
	known := map[string]string{"known_hosts": string(server.KnownHosts)}
	return &host{
		name: name, url: server.URL, dir: server.Dir,
		good:  merged(known, more, map[string]string{"identity": string(key.Private)}),
		wrong: merged(known, map[string]string{"identity": string(stranger.Private)}),
	}
}

// repository makes a repository for a test, with files in its branch main, and the Secrets that lead there. Without files it is empty.
func (h *host) repository(w *world, files map[string]string) *repository {
	w.t.Helper()
	r := h.missing(w)
	r.make(files)
	return r
}

// missing is a repository that is not there yet.
func (h *host) missing(w *world) *repository {
	w.t.Helper()
	name := path.Join("team", w.Namespace+".git")
	r := &repository{t: w.t, dir: h.dir(name), url: h.url(name), secret: goodSecret}
	w.secret(goodSecret, h.good)
	if h.certs != nil {
		r.certs = certSecret
		w.secret(certSecret, h.certs)
	}
	return r
}

// make makes the repository.
func (r *repository) make(files map[string]string) {
	r.t.Helper()
	gittest.NewRepository(r.t, r.dir, files, "main")
	// What a branch was is told by its log, also when it is gone.
	gittest.Config(r.t, r.dir, "core.logAllRefUpdates", "true")
}

// seen returns what was asked of the server about a repository; it is nil where nobody tells.
func (h *host) seen(r *repository) []string {
	if h.log == nil {
		return nil
	}
	var all []string
	for _, request := range h.log() {
		if strings.Contains(request, path.Base(r.dir)) {
			all = append(all, request)
		}
	}
	return all
}

// pushes returns how often something was pushed to a repository, as the server tells.
func (h *host) pushes(r *repository) int {
	n := 0
	for _, request := range h.seen(r) {
		if strings.HasPrefix(request, http.MethodPost) && strings.Contains(request, "/git-receive-pack?") || strings.HasPrefix(request, "git-receive-pack ") {
			n++
		}
	}
	return n
}

// redirecting returns a server that sends everybody to another one, which has what they look for, the other one, and the URL of a
// repository of the first.
func redirecting(t *testing.T) (from, to *gittest.Server, url string) {
	t.Helper()
	to = gittest.NewServer(t, gittest.Options{Username: user, Password: password, PublicRead: true})
	gittest.NewRepository(t, to.Dir("site.git"), own, "main")
	from = gittest.NewServer(t, gittest.Options{})
	from.SetFault(gittest.Redirect(http.StatusFound, to.URL))
	return from, to, from.RepositoryURL("site.git")
}
