package forge

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAPIURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ provider, repository, want, reason string }{
		{GitHub, "https://github.com/acme/fleet", "https://api.github.com", "the API has a host of its own"},
		{GitHub, "git@github.com:acme/fleet.git", "https://api.github.com", "by SSH"},
		{GitHub, "ssh://git@ssh.github.com:443/acme/fleet.git", "https://api.github.com", "SSH through a firewall"},
		{GitHub, "https://acme.ghe.com/acme/fleet", "https://api.acme.ghe.com", "data residency"},
		{GitHub, "https://github.acme.org/acme/fleet", "https://github.acme.org/api/v3", "Enterprise Server"},
		{GitLab, "https://gitlab.com/acme/fleet", "https://gitlab.com/api/v4", ""},
		{GitLab, "ssh://git@altssh.gitlab.com:443/acme/fleet.git", "https://gitlab.com/api/v4", "SSH through a firewall"},
		{GitLab, "https://GitLab.acme.org:8443/a/b/c", "https://gitlab.acme.org:8443/api/v4", "a port of HTTP stays"},
		{Gitea, "http://127.0.0.1:3000/acme/fleet.git", "http://127.0.0.1:3000/api/v1", "the scheme stays"},
		{Gitea, "ssh://git@git.acme.org:2222/acme/fleet.git", "https://git.acme.org/api/v1", "the port of SSH is not that of the API"},
		{Gitea, "ssh://git@[::1]:2222/acme/fleet.git", "https://[::1]/api/v1", "an address in brackets"},
	} {
		if got, err := APIURL(c.provider, c.repository); err != nil || got != c.want {
			t.Errorf("%s of %s: %q, %v; want %q (%s)", c.provider, c.repository, got, err, c.want, c.reason)
		}
	}
}

func TestRepositoryPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ provider, repository, api, want, reason string }{
		{GitHub, "https://github.com/acme/fleet.git", "https://api.github.com", "acme fleet", ""},
		{GitHub, "https://github.com/acme/fleet/", "https://api.github.com", "acme fleet", "a slash at the end"},
		{GitHub, "git@github.com:acme/.github.git", "https://api.github.com", "acme .github", "names may begin with a dot"},
		{GitHub, "git@github.com:/acme/fleet", "https://api.github.com", "acme fleet", "a slash after the colon"},
		{GitLab, "https://gitlab.com/a/b/c/d.git", "https://gitlab.com/api/v4", "a b c d", "groups in groups"},
		{GitLab, "https://acme.org/gitlab/a/b", "https://acme.org/gitlab/api/v4", "a b", "served from a folder"},
		{GitLab, "https://acme.org/gitlab/a/b", "https://acme.org/api/v4", "gitlab a b", "a group with the name of a folder"},
		{GitLab, "ssh://git@acme.org/gitlab/b.git", "https://acme.org/gitlab/api/v4", "gitlab b", "SSH knows no folders"},
		{Gitea, "https://acme.org/git/a/b", "https://acme.org/git/api/v1/", "a b", "served from a folder"},
		{Gitea, "https://acme.org/a/b", "https://api.acme.org/forge", "a b", "an API at an address of its own"},
	} {
		got, err := repositoryPath(c.repository, c.api, c.provider)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s with %s: %q, %v; want %q (%s)", c.repository, c.api, got, err, c.want, c.reason)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Options{Provider: GitHub, RepositoryURL: "https://github.com/acme/fleet", Token: "ghp-1"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Options)
		say    string
	}{
		"provider":              {func(o *Options) { o.Provider = "git" }, "use github, gitlab or gitea"},
		"no provider, with API": {func(o *Options) { o.Provider, o.APIURL = "", "https://acme.org/api" }, "use github, gitlab or gitea"},
		"file":                  {func(o *Options) { o.RepositoryURL = "file:///etc/passwd" }, "repository.url"},
		"no host":               {func(o *Options) { o.RepositoryURL = "https:///a/b" }, "repository.url"},
		"one segment":           {func(o *Options) { o.RepositoryURL = "https://github.com/fleet" }, "owner/name"},
		"three segments":        {func(o *Options) { o.RepositoryURL = "https://github.com/a/b/c" }, "owner/name"},
		"dots":                  {func(o *Options) { o.RepositoryURL = "https://github.com/../admin" }, "repository.url"},
		"escaped slash":         {func(o *Options) { o.RepositoryURL = "https://github.com/a%2fb/c" }, "owner/name"},
		"query in a name":       {func(o *Options) { o.RepositoryURL = "https://github.com/a/b%3fc" }, "repository.url"},
		"groups without end":    {func(o *Options) { o.Provider, o.RepositoryURL = GitLab, "https://a.org/"+strings.Repeat("a/", 40)+"b" }, "group/project"},
		"API without host":      {func(o *Options) { o.APIURL = "https:///api" }, "repository.apiURL"},
		"API with a password":   {func(o *Options) { o.APIURL = "https://u:hunter2@acme.org/api" }, "repository.apiURL"},
		"API with a query":      {func(o *Options) { o.APIURL = "https://acme.org/api?x=1" }, "repository.apiURL"},
		"API of a file":         {func(o *Options) { o.APIURL = "file:///api" }, "repository.apiURL"},
		"no token":              {func(o *Options) { o.Token = " \n" }, "apiToken"},
		"two lines of token":    {func(o *Options) { o.Token = "hunter2\nX-Admin: 1" }, "characters"},
	} {
		o := good
		c.change(&o)
		if f, err := New(o); err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "hunter2") || f != nil {
			t.Errorf("%s: %v; want it to say %q", name, err, c.say)
		}
	}
}

// moving sends everything that is asked by http or of the old path elsewhere, and remembers who was asked with the token.
type moving struct {
	to    string
	asked []string
}

// RoundTrip implements http.RoundTripper.
func (m *moving) RoundTrip(r *http.Request) (*http.Response, error) {
	m.asked = append(m.asked, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("[]")), Request: r}
	if len(m.asked) == 1 {
		resp.StatusCode = http.StatusMovedPermanently
		resp.Header.Set("Location", m.to)
	}
	return resp, nil
}

// TestRedirects: the token stays with the host and never goes back to plain HTTP.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to string
		followed bool
		reason   string
	}{
		{"http://git.acme.org", "https://git.acme.org/api/v1/repos/a/b/pulls", true, "a server that wants TLS"},
		{"http://git.acme.org:3000", "https://git.acme.org/x", true, "the same on its usual port"},
		{"https://git.acme.org", "/api/v1/repos/a/c/pulls", true, "renamed"},
		{"https://git.acme.org", "https://GIT.acme.org/x", true, "names of hosts have no case"},
		{"https://git.acme.org", "http://git.acme.org/x", false, "the token would be readable on the way"},
		{"https://git.acme.org", "https://git.acme.org:8443/x", false, "another port can be another's"},
		{"https://git.acme.org", "https://sub.git.acme.org/x", false, "a sub domain is another host, although net/http takes headers there"},
		{"https://git.acme.org", "//evil.example.org/x", false, "another host without a scheme"},
		{"https://git.acme.org", "https://git.acme.org@evil.example.org/x", false, "a user that looks like a host"},
		{"https://git.acme.org", "https://user:password@git.acme.org/x", false, "credentials that are not ours"},
		{"https://git.acme.org", "https://git.acme.org.evil.example.org/x", false, "a host that begins like ours"},
	} {
		m := &moving{to: c.to}
		f, err := New(Options{Provider: Gitea, RepositoryURL: c.from + "/a/b", Token: "t", Client: &http.Client{Transport: m}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Open(t.Context(), "a")
		_, refused := errors.AsType[*RedirectError](err)
		if refused == c.followed || (len(m.asked) == 2) != c.followed {
			t.Errorf("%s to %s: %v, asked %v (%s)", c.from, c.to, err, m.asked, c.reason)
		}
		if refused && strings.Contains(err.Error(), "password") {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
}
