package credentials_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	s := &credentials.Store{}
	for _, key := range []string{
		"ghcr.io", "ghcr.io/acme", "ghcr.io/acme/private", "https://index.docker.io/v1/", "reg:5000", "http://plain.example/a",
		"https://upper.example:443/", "quay.io/only/this",
	} {
		s.Add(key, credentials.Credential{Username: key, Password: "x"})
	}
	cases := []struct{ host, path, want, reason string }{
		{"ghcr.io", "other/x", "ghcr.io", "the host alone"},
		{"ghcr.io", "acme/component-descriptors/x", "ghcr.io/acme", "a longer path wins"},
		{"ghcr.io", "acme/private", "ghcr.io/acme/private", "the whole path"},
		{"ghcr.io", "acme/privateer", "ghcr.io/acme", "prefixes end at slashes"},
		{"GHCR.io:443", "x", "ghcr.io", "other spellings of the host"},
		{"ghcr.io:8443", "x", "", "another port is another registry"},
		{"docker.io", "library/nginx", "https://index.docker.io/v1/", "the old key of Docker Hub"},
		{"registry-1.docker.io", "x", "https://index.docker.io/v1/", "the host that answers for Docker Hub"},
		{"reg:5000", "x", "reg:5000", "a port"},
		{"reg", "x", "", "no port is another registry"},
		{"upper.example", "x", "https://upper.example:443/", "port 443 may be left out"},
		{"plain.example", "a/b", "http://plain.example/a", "the scheme of a key does not matter"},
		{"plain.example", "b", "", "not below the path"},
		{"quay.io", "only/this/repo", "quay.io/only/this", "a path"},
		{"quay.io", "only", "", "above the path"},
		{"evilghcr.io", "x", "", "hosts are compared as a whole"},
		{"ghcr.io.evil.example", "x", "", "hosts are compared as a whole"},
	}
	for _, tc := range cases {
		got, ok := s.Lookup(tc.host, tc.path)
		if got.Username != tc.want || ok != (tc.want != "") {
			t.Errorf("Lookup(%q, %q) = %q, %v, want %q (%s)", tc.host, tc.path, got.Username, ok, tc.want, tc.reason)
		}
	}
	var none *credentials.Store
	if _, ok := none.Lookup("ghcr.io", "x"); ok || none.Len() != 0 {
		t.Error("a nil store has a credential")
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	s := credentials.Merge(credentials.FromBasic("a", "first", "x"), nil, credentials.FromBasic("a", "second", "x"), credentials.FromBasic("b", "third", "x"))
	for host, want := range map[string]string{"a": "first", "b": "third", "c": ""} {
		if got, _ := s.Lookup(host, ""); got.Username != want {
			t.Errorf("Lookup(%q) = %q, want %q", host, got.Username, want)
		}
	}
	if s.Len() != 3 {
		t.Errorf("Len = %d, want 3", s.Len())
	}
}

func TestFromDockerConfigJSON(t *testing.T) {
	t.Parallel()
	auth := base64.StdEncoding.EncodeToString([]byte("alice:pass:word"))
	cases := map[string]struct {
		config string
		want   credentials.Credential
	}{
		"user and password": {`{"auths":{"h":{"username":"alice","password":"p"}}}`, credentials.Credential{Username: "alice", Password: "p"}},
		"auth":              {`{"auths":{"h":{"auth":"` + auth + `"}}}`, credentials.Credential{Username: "alice", Password: "pass:word"}},
		"auth, no padding":  {`{"auths":{"h":{"auth":"` + strings.TrimRight(auth, "=") + `"}}}`, credentials.Credential{Username: "alice", Password: "pass:word"}},
		"identity token":    {`{"auths":{"h":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("<token>:")) + `","identitytoken":"t"}}}`, credentials.Credential{RefreshToken: "t"}},
		"registry token":    {`{"auths":{"h":{"registrytoken":"t"}}}`, credentials.Credential{AccessToken: "t"}},
		"helper only":       {`{"auths":{"h":{}},"credsStore":"desktop"}`, credentials.Credential{}},
		"nothing":           {`{}`, credentials.Credential{}},
	}
	for name, tc := range cases {
		s, err := credentials.FromDockerConfigJSON([]byte(tc.config))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _ := s.Lookup("h", "")
		if !cmp.Equal(got, tc.want) {
			t.Errorf("%s: got a different credential: %s", name, got)
		}
	}
}

func TestFromDockerConfigJSONErrors(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"no JSON":      `secret-word`,
		"wrong type":   `{"auths":{"h":{"auth":["secret-word"]}}}`,
		"no base64":    `{"auths":{"h":{"auth":"secret-word!"}}}`,
		"no colon":     `{"auths":{"h":{"auth":"c2VjcmV0LXdvcmQ="}}}`,
		"no host":      `{"auths":{"":{"auth":"c2VjcmV0LXdvcmQ="}}}`,
		"too large":    `{"auths":{"secret-word":"` + strings.Repeat("x", credentials.MaxConfigBytes) + `"}}`,
		"auths a list": `{"auths":["secret-word"]}`,
	} {
		_, err := credentials.FromDockerConfigJSON([]byte(config))
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "secret-word") || strings.Contains(err.Error(), "c2Vj") {
			t.Errorf("%s: %q contains the secret", name, err)
		}
	}
}

func TestCredentialHidesSecrets(t *testing.T) {
	t.Parallel()
	c := credentials.Credential{Username: "alice", Password: "secret-word", RefreshToken: "secret-word", AccessToken: "secret-word"}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "secret-word") {
			t.Errorf("%s prints %q", verb, text)
		}
	}
}

func FuzzFromDockerConfigJSON(f *testing.F) {
	f.Add([]byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}`))
	f.Add([]byte(`{"auths":{"reg:5000/a":{"username":"u","password":"p","identitytoken":"t"}}}`))
	f.Add([]byte(`{"auths":{"://":{"auth":"YTpi"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := credentials.FromDockerConfigJSON(data)
		if err != nil {
			return
		}
		if c, ok := s.Lookup("", "x"); ok {
			t.Errorf("a credential for no host: %s", c)
		}
	})
}
