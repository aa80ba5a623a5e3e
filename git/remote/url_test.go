package remote_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/remote"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		raw    string
		want   remote.URL
		String string
	}{
		"https":          {raw: "https://GitHub.com/acme/fleet", want: remote.URL{Scheme: "https", Host: "github.com", Port: "443", Path: "/acme/fleet"}, String: "https://github.com/acme/fleet"},
		"http and port":  {raw: "http://git:3000/a/b.git", want: remote.URL{Scheme: "http", Host: "git", Port: "3000", Path: "/a/b.git"}, String: "http://git:3000/a/b.git"},
		"IPv6":           {raw: "https://[::1]:8443/a", want: remote.URL{Scheme: "https", Host: "::1", Port: "8443", Path: "/a"}, String: "https://[::1]:8443/a"},
		"ssh":            {raw: "ssh://git@host:2222/a/b", want: remote.URL{Scheme: "ssh", User: "git", Host: "host", Port: "2222", Path: "/a/b"}, String: "ssh://git@host:2222/a/b"},
		"ssh, no user":   {raw: "ssh://host/a", want: remote.URL{Scheme: "ssh", User: "git", Host: "host", Port: "22", Path: "/a"}, String: "ssh://git@host/a"},
		"ssh, home":      {raw: "ssh://git@host/~bob/a", want: remote.URL{Scheme: "ssh", User: "git", Host: "host", Port: "22", Path: "~bob/a"}, String: "git@host:~bob/a"},
		"scp":            {raw: "git@github.com:acme/fleet.git", want: remote.URL{Scheme: "ssh", User: "git", Host: "github.com", Port: "22", Path: "acme/fleet.git"}, String: "git@github.com:acme/fleet.git"},
		"scp, absolute":  {raw: "git@host:/srv/a", want: remote.URL{Scheme: "ssh", User: "git", Host: "host", Port: "22", Path: "/srv/a"}, String: "ssh://git@host/srv/a"},
		"escaped":        {raw: "https://host/a%20b", want: remote.URL{Scheme: "https", Host: "host", Port: "443", Path: "/a b"}, String: "https://host/a%20b"},
		"slash and dot":  {raw: "https://host./a/", want: remote.URL{Scheme: "https", Host: "host", Port: "443", Path: "/a/"}, String: "https://host/a/"},
		"scp, odd chars": {raw: "git@host:a#b?c%20d", want: remote.URL{Scheme: "ssh", User: "git", Host: "host", Port: "22", Path: "a#b?c%20d"}, String: "git@host:a#b?c%20d"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := remote.ParseURL(c.raw)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.raw, diff)
			}
			if got.String() != c.String {
				t.Errorf("%s is written as %s, want %s", c.raw, got, c.String)
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"nothing": "", "file": "file:///etc", "path": "/srv/git", "git protocol": "git://host/a", "ext": "ext::sh -c true", "option": "-oProxyCommand=x", "ssh option": "ssh://-oProxyCommand=x/a",
		"ssh user option": "ssh://-l@host/a", "scp user option": "-l@host:a", "scp host option": "git@-host:a", "path option": "git@host:-a", "no host": "https:///a", "no path": "https://host", "root": "https://host/",
		"user": "https://ann@host/a", "password": "https://ann:secret@host/a", "ssh password": "ssh://git:secret@host/a", "query": "https://host/a?b=c", "fragment": "https://host/a#b",
		"space": "https://host/a b", "line": "https://host/a\nb", "NUL": "https://host/a%00b", "port 0": "https://host:0/a", "port": "https://host:99999/a", "long": "https://host/" + strings.Repeat("a", 2048),
		"host": "https://ho_st$/a", "host with command": "ssh://`x`/a", "opaque": "https:host/a", "upload-pack": "ssh://git@host/a\x00b",
	} {
		got, err := remote.ParseURL(raw)
		if err == nil {
			t.Errorf("%s: %q is taken as %+v, want an error", name, raw, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v tells the password", name, err)
		}
	}
}
