package gittest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// push clones from the address, changes a file and pushes that; the arguments stand before git's command.
func push(t *testing.T, address string, args ...string) (string, error) {
	t.Helper()
	work := filepath.Join(t.TempDir(), "work")
	command := func(dir string, more ...string) (string, error) {
		return gittest.TryGit(t, dir, slices.Concat(args, more)...)
	}
	if out, err := command(t.TempDir(), "clone", "--quiet", address, work); err != nil {
		return out, err
	}
	// Other bytes each time, and more than git sends in one piece.
	writeFile(t, filepath.Join(work, "pushed"), randomText())
	gittest.Git(t, work, "add", "pushed")
	gittest.Git(t, work, "commit", "--quiet", "--message=pushed")
	return command(work, "push", "--quiet", "origin", "HEAD")
}

func withLogin(t *testing.T, address, user, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func TestServerWithoutLogin(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{})
	gittest.NewRepository(t, s.Dir("team/site.git"), map[string]string{"a": "1"}, "main")
	// More than git keeps in memory: it then sends the body in chunks.
	if out, err := push(t, s.RepositoryURL("team/site.git"), "-c", "http.postBuffer=65536"); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	if files := gittest.Contents(t, s.Dir("team/site.git"), "main"); len(files) != 2 || files["a"] != "1" || files["pushed"] == "" {
		t.Errorf("got %d files, a has %q; want a and what was pushed", len(files), files["a"])
	}
	requests := s.Requests()
	last := requests[len(requests)-1]
	if last.Method != http.MethodPost || last.Path != "/team/site.git/git-receive-pack" || last.Status != http.StatusOK || last.Received == 0 || last.Sent == 0 {
		t.Errorf("the last request was %+v, want the push", last)
	}
	s.ForgetRequests()
	if out, err := gittest.TryGit(t, t.TempDir(), "ls-remote", s.RepositoryURL("absent.git")); err == nil || s.Requests()[0].Status != http.StatusNotFound {
		t.Errorf("a repository that is not there: %v, %+v\n%s", err, s.Requests(), out)
	}
}

func TestServerRights(t *testing.T) {
	t.Parallel()
	private := gittest.Options{Username: "dev", Password: "secret", Token: "writes", ReadOnlyToken: "reads"}
	public := private
	public.PublicRead = true
	for name, tc := range map[string]struct {
		reason         string
		options        gittest.Options
		user, password string
		bearer         string
		read, write    int
	}{
		"login":                    {options: private, user: "dev", password: "secret", read: 200, write: 200, reason: "it may do all"},
		"wrong password":           {options: private, user: "dev", password: "wrong", read: 401, write: 401, reason: "nobody knows who that is"},
		"another user":             {options: private, user: "ops", password: "secret", read: 401, write: 401, reason: "the password is dev's"},
		"token of any user":        {options: private, user: "x", password: "writes", read: 200, write: 200, reason: "forges look at the token only"},
		"bearer token":             {options: private, bearer: "writes", read: 200, write: 200, reason: "the other way to send a token"},
		"wrong bearer token":       {options: private, bearer: "wrong", read: 401, write: 401, reason: "nobody knows who that is"},
		"token that reads":         {options: private, user: "x", password: "reads", read: 200, write: 403, reason: "it is known but may not"},
		"bearer that reads":        {options: private, bearer: "reads", read: 200, write: 403, reason: "it is known but may not"},
		"nobody, private":          {options: private, read: 401, write: 401, reason: "a login is asked for"},
		"nobody, public":           {options: public, read: 200, write: 401, reason: "writing wants a login"},
		"wrong password, public":   {options: public, user: "dev", password: "wrong", read: 401, write: 401, reason: "a wrong login is worse than none"},
		"login, public":            {options: public, user: "dev", password: "secret", read: 200, write: 200, reason: "it may do all"},
		"only a token, a login":    {options: gittest.Options{Token: "writes"}, user: "", password: "", read: 401, write: 401, reason: "an empty login is none"},
		"nobody where no login is": {read: 200, write: 200, reason: "nothing is asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gittest.NewServer(t, tc.options)
			gittest.NewRepository(t, s.Dir("site.git"), nil, "main")
			for service, want := range map[string]int{"git-upload-pack": tc.read, "git-receive-pack": tc.write} {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.RepositoryURL("site.git")+"/info/refs?service="+service, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				if tc.user != "" {
					r.SetBasicAuth(tc.user, tc.password)
				}
				if tc.bearer != "" {
					r.Header.Set("Authorization", "Bearer "+tc.bearer)
				}
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if answer.StatusCode != want || (want == http.StatusUnauthorized) != (answer.Header.Get("WWW-Authenticate") != "") {
					t.Errorf("%s: got %s, want %d: %s", service, answer.Status, want, tc.reason)
				}
			}
		})
	}
}

func TestServerWithLogin(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{Username: "dev", Password: "secret", ReadOnlyToken: "reads"})
	gittest.NewRepository(t, s.Dir("site.git"), map[string]string{"a": "1"}, "main")
	if out, err := push(t, withLogin(t, s.RepositoryURL("site.git"), "dev", "secret")); err != nil {
		t.Errorf("push: %v\n%s", err, out)
	}
	if out, err := push(t, withLogin(t, s.RepositoryURL("site.git"), "dev", "reads")); err == nil || !strings.Contains(out, "403") {
		t.Errorf("push by a token that may only read: %v\n%s", err, out)
	}
	gittest.Protect(t, s.Dir("site.git"), "main")
	out, err := push(t, withLogin(t, s.RepositoryURL("site.git"), "dev", "secret"))
	if err == nil || !strings.Contains(out, "Not allowed to push to protected branch main") || !strings.Contains(out, "pre-receive hook declined") {
		t.Errorf("push to a protected branch: %v\n%s", err, out)
	}
	gittest.Hook(t, s.Dir("site.git"), "pre-receive", "")
	if out, err := push(t, withLogin(t, s.RepositoryURL("site.git"), "dev", "secret")); err != nil {
		t.Errorf("push without the hook: %v\n%s", err, out)
	}
}

func TestServerWithTLS(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{ClientCertificates: true})
	gittest.NewRepository(t, s.Dir("site.git"), map[string]string{"a": "1"}, "main")
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, string(content))
		return path
	}
	ca := "http.sslCAInfo=" + file("ca", s.CA)
	certificate, key := "http.sslCert="+file("certificate", s.ClientCertificate), "http.sslKey="+file("key", s.ClientKey)
	if out, err := push(t, s.RepositoryURL("site.git"), "-c", ca, "-c", certificate, "-c", key); err != nil {
		t.Errorf("push: %v\n%s", err, out)
	}
	if out, err := push(t, s.RepositoryURL("site.git"), "-c", certificate, "-c", key); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("without the authority: %v\n%s", err, out)
	}
	if out, err := push(t, s.RepositoryURL("site.git"), "-c", "http.sslCAInfo="+file("ca", gittest.NewCA(t)), "-c", certificate, "-c", key); err == nil {
		t.Errorf("with another authority: %s", out)
	}
	if out, err := push(t, s.RepositoryURL("site.git"), "-c", ca); err == nil {
		t.Errorf("without a certificate of the client: %s", out)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{})
	dir, address := s.Dir("site.git"), s.RepositoryURL("site.git")
	gittest.NewRepository(t, dir, map[string]string{"a": "1"}, "main")

	before := gittest.Tip(t, dir, "main")
	s.LoseAnswers(gittest.IsPush)
	if out, err := push(t, address); err == nil || gittest.Tip(t, dir, "main") == before {
		t.Errorf("push whose answer is lost: %v, and main moved: %t\n%s", err, gittest.Tip(t, dir, "main") != before, out)
	}
	s.LoseAnswers(nil)

	before = gittest.Tip(t, dir, "main")
	var foreign atomic.Value
	s.SetFault(gittest.Once(gittest.IsPush, gittest.Before(func() { foreign.Store(gittest.Commit(t, dir, "main", map[string]string{"b": "1"})) })))
	if out, err := push(t, address); err == nil || gittest.Tip(t, dir, "main") != foreign.Load() {
		t.Errorf("push after somebody else: %v, main is %s, it was %s, somebody's is %v\n%s", err, gittest.Tip(t, dir, "main"), before, foreign.Load(), out)
	}
	if out, err := push(t, address); err != nil {
		t.Errorf("the fault happens once only: %v\n%s", err, out)
	}

	s.SetFault(gittest.When(gittest.IsRefs, gittest.Status(http.StatusBadGateway, "out of order")))
	if out, err := push(t, address); err == nil || !strings.Contains(out, "502") {
		t.Errorf("bad gateway: %v\n%s", err, out)
	}
	s.SetFault(gittest.When(gittest.IsFetch, gittest.Disconnect()))
	if out, err := push(t, address); err == nil || s.Requests()[len(s.Requests())-1].Status != 0 {
		t.Errorf("disconnect: %v\n%s", err, out)
	}
	other := gittest.NewServer(t, gittest.Options{})
	s.SetFault(gittest.Redirect(http.StatusFound, other.URL))
	if out, err := push(t, address); err == nil || len(other.Requests()) == 0 || other.Requests()[0].Path != "/site.git/info/refs" {
		t.Errorf("redirect: %v, the other server got %+v\n%s", err, other.Requests(), out)
	}
	s.SetFault(nil)
	if out, err := push(t, address); err != nil {
		t.Errorf("after all faults: %v\n%s", err, out)
	}
}

func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{})
	s.SetFault(gittest.Endless("application/x-git-upload-pack-advertisement", []byte("0000"), []byte("0004")))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.RepositoryURL("site.git")+"/info/refs", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1<<20)
	if _, err := answer.Body.Read(head); err != nil || string(head[:8]) != "00000004" {
		t.Errorf("got %q, %v", head[:8], err)
	}
	_ = answer.Body.Close()
}

func TestProxy(t *testing.T) {
	t.Parallel()
	for name, tls := range map[string]bool{"forwarded": false, "tunnel": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gittest.NewServer(t, gittest.Options{TLS: tls})
			gittest.NewRepository(t, s.Dir("site.git"), map[string]string{"a": "1"}, "main")
			ca := filepath.Join(t.TempDir(), "ca")
			writeFile(t, ca, string(s.CA))
			proxy := gittest.NewProxy(t, "dev", "secret")
			arguments := []string{"-c", "http.proxy=" + proxy.URL.String()}
			if tls {
				arguments = append(arguments, "-c", "http.sslCAInfo="+ca)
			}
			if out, err := push(t, s.RepositoryURL("site.git"), arguments...); err != nil {
				t.Errorf("push: %v\n%s", err, out)
			}
			if hosts := proxy.Hosts(); len(hosts) == 0 || !strings.HasSuffix(s.URL, "://"+hosts[0]) {
				t.Errorf("the proxy was asked for %v, want %s", hosts, s.URL)
			}
			arguments[1] = fmt.Sprintf("http.proxy=http://dev:wrong@%s", proxy.URL.Host)
			if out, err := push(t, s.RepositoryURL("site.git"), arguments...); err == nil || !strings.Contains(out, "407") {
				t.Errorf("with a wrong password: %v\n%s", err, out)
			}
		})
	}
}
