package auth_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

func key(c byte) []byte { return bytes.Repeat([]byte{c}, 32) }

// issuer returns an issuer and the time it lives in.
func issuer(t testing.TB) (*auth.Issuer, *time.Time) {
	t.Helper()
	now := time.Unix(1_700_000_000, 0)
	i, err := auth.NewIssuer(key(1), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return i, &now
}

func issue(t testing.TB, i *auth.Issuer, s auth.Scope) auth.Credential {
	t.Helper()
	c, err := i.Issue(s, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScopes(t *testing.T) {
	t.Parallel()
	i, _ := issuer(t)
	reader, writer := auth.Scope{Prefix: "team/"}, auth.Scope{Push: true}
	cases := map[string]struct {
		scope      auth.Scope
		action     auth.Action
		repository string
		want       error
		reason     string
	}{
		"read own":           {reader, auth.Pull, "team/app", nil, "that is what it is for"},
		"ping":               {reader, auth.Pull, "", nil, "clients ask whether they may log in"},
		"read other":         {reader, auth.Pull, "other/app", auth.ErrDenied, "another namespace"},
		"read neighbour":     {reader, auth.Pull, "team-b/app", auth.ErrDenied, "the slash is part of the prefix"},
		"read namespace":     {reader, auth.Pull, "team", nil, "a prefix covers the repository that it names"},
		"read repository":    {auth.Scope{Prefix: "team/app/"}, auth.Pull, "team/app", nil, "a prefix covers the repository that it names"},
		"read below":         {auth.Scope{Prefix: "team/app/"}, auth.Pull, "team/app/x", nil, "and those below it"},
		"read beside":        {auth.Scope{Prefix: "team/app/"}, auth.Pull, "team/app-2", auth.ErrDenied, "another repository"},
		"read above":         {auth.Scope{Prefix: "team/app/"}, auth.Pull, "team", auth.ErrDenied, "another repository"},
		"write own":          {reader, auth.Push, "team/app", auth.ErrDenied, "a reader"},
		"delete own":         {reader, auth.Delete, "team/app", auth.ErrDenied, "a reader"},
		"catalog":            {reader, auth.Catalog, "", auth.ErrDenied, "names of other namespaces"},
		"writer writes":      {writer, auth.Push, "team/app", nil, "a writer"},
		"writer deletes":     {writer, auth.Delete, "team/app", nil, "a writer"},
		"writer lists":       {writer, auth.Catalog, "", nil, "covers everything"},
		"scoped writer":      {auth.Scope{Prefix: "team/", Push: true}, auth.Push, "team/app", nil, "a writer"},
		"scoped writer else": {auth.Scope{Prefix: "team/", Push: true}, auth.Push, "other/app", auth.ErrDenied, "another namespace"},
	}
	for name, c := range cases {
		cred := issue(t, i, c.scope)
		err := i.Authorize(t.Context(), auth.Request{Username: cred.Username, Password: cred.Password, Action: c.action, Repository: c.repository})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v (%s)", name, err, c.want, c.reason)
		}
	}
}

func TestForgery(t *testing.T) {
	t.Parallel()
	i, now := issuer(t)
	reader, writer := issue(t, i, auth.Scope{Prefix: "team/"}), issue(t, i, auth.Scope{Push: true})
	stranger, err := auth.NewIssuer(key(9), func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	foreign := issue(t, stranger, auth.Scope{Push: true})
	upgraded := strings.Replace(reader.Username, ".r.", ".w.", 1)
	cases := map[string][2]string{
		"nothing":         {"", ""},
		"no password":     {reader.Username, ""},
		"other password":  {writer.Username, reader.Password},
		"reader as write": {upgraded, reader.Password},
		"other scope":     {strings.TrimSuffix(reader.Username, "dGVhbS8") + "b3RoZXIv", reader.Password},
		"later end":       {strings.Replace(reader.Username, ".17", ".27", 1), reader.Password},
		"foreign key":     {foreign.Username, foreign.Password},
		"more text":       {writer.Username + ".", writer.Password},
		"padded password": {writer.Username, writer.Password + "="},
		"cut password":    {writer.Username, writer.Password[:20]},
		"long name":       {strings.Repeat("a", 100_000), writer.Password},
	}
	for name, c := range cases {
		for _, action := range []auth.Action{auth.Pull, auth.Push, auth.Catalog} {
			err := i.Authorize(t.Context(), auth.Request{Username: c[0], Password: c[1], Repository: "team/app", Action: action})
			if !errors.Is(err, auth.ErrUnauthenticated) {
				t.Errorf("%s, %s: got %v", name, action, err)
			}
		}
	}
	if err := i.Authorize(t.Context(), auth.Request{Bearer: writer.Password, Action: auth.Pull}); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("bearer: got %v", err)
	}
}

func TestExpiryAndRotation(t *testing.T) {
	t.Parallel()
	i, now := issuer(t)
	allowed := func(c auth.Credential) error {
		return i.Authorize(t.Context(), auth.Request{Username: c.Username, Password: c.Password, Repository: "a/b"})
	}
	old := issue(t, i, auth.Scope{})
	if err := i.SetKeys(key(2), key(1)); err != nil {
		t.Fatal(err)
	}
	fresh := issue(t, i, auth.Scope{})
	if err := errors.Join(allowed(old), allowed(fresh)); err != nil {
		t.Errorf("both keys are there: %v", err)
	}
	if err := i.SetKeys(key(2)); err != nil {
		t.Fatal(err)
	}
	if err := allowed(old); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("retired key: %v", err)
	}
	*now = fresh.Expires.Add(-time.Second)
	if err := allowed(fresh); err != nil {
		t.Errorf("just before the end: %v", err)
	}
	*now = fresh.Expires
	if err := allowed(fresh); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("at the end: %v", err)
	}
	for name, keys := range map[string][][]byte{"none": nil, "short": {key(1)[:31]}, "second short": {key(1), nil}} {
		if err := i.SetKeys(keys...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := allowed(issue(t, i, auth.Scope{})); err != nil {
		t.Errorf("refused keys replaced the good ones: %v", err)
	}
	if _, err := i.Issue(auth.Scope{Prefix: "team"}, time.Hour); err == nil {
		t.Error("a prefix without a slash was accepted")
	}
}

// FuzzAuthorize looks for a credential that the issuer did not make.
func FuzzAuthorize(f *testing.F) {
	i, _ := issuer(f)
	reader := issue(f, i, auth.Scope{Prefix: "team/"})
	f.Add(reader.Username, reader.Password, "team/app")
	f.Add(reader.Username, "", "other/app")
	f.Add("ocm1.....", "AAAA", "team/app")
	f.Add(strings.Replace(reader.Username, ".r.", ".w.", 1), reader.Password, "")
	f.Fuzz(func(t *testing.T, username, password, repository string) {
		for _, action := range []auth.Action{auth.Pull, auth.Push, auth.Delete, auth.Catalog} {
			err := i.Authorize(context.Background(), auth.Request{Username: username, Password: password, Repository: repository, Action: action})
			genuine := username == reader.Username && password == reader.Password
			allowed := genuine && action == auth.Pull && (repository == "" || repository == "team" || strings.HasPrefix(repository, "team/"))
			if (err == nil) != allowed {
				t.Fatalf("%q %q may %s %q: %v", username, password, action, repository, err)
			}
			if err != nil && !errors.Is(err, auth.ErrUnauthenticated) && !errors.Is(err, auth.ErrDenied) {
				t.Fatalf("no verdict: %v", err)
			}
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	i, _ := issuer(b)
	c := issue(b, i, auth.Scope{Prefix: "team/"})
	r := auth.Request{Username: c.Username, Password: c.Password, Repository: "team/app"}
	for b.Loop() {
		if err := i.Authorize(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
