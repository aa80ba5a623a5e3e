package giteaserver

import (
	"crypto/rand"
	"net/http"
	"testing"
)

// Scopes of tokens, as Gitea names them.
const (
	WriteRepository = "write:repository"
	ReadRepository  = "read:repository"
	WriteIssue      = "write:issue"
	ReadIssue       = "read:issue"
	ReadUser        = "read:user"
	ReadOrg         = "read:organization"
)

// User is somebody who can log in.
type User struct {
	// Name is also the owner in the URLs of repositories.
	Name string
	// Token is one with all scopes.
	Token string

	password string
	server   *Server
}

// Password is the user's, for git over HTTP.
func (u *User) Password() string { return u.password }

// NewUser makes a user, who owns nothing and has no rights in repositories of others, except to read those that are public.
func (s *Server) NewUser(t testing.TB, name string) *User {
	t.Helper()
	u := &User{Name: name, password: rand.Text(), server: s}
	s.Admin.do(t, call{
		method: http.MethodPost, path: "/admin/users", want: []int{http.StatusCreated},
		body: map[string]any{"username": name, "email": name + "@example.com", "password": u.password, "must_change_password": false},
	})
	u.Token = u.NewToken(t, "all")
	return u
}

// NewToken makes a token of the user with these scopes.
func (u *User) NewToken(t testing.TB, scopes ...string) string {
	t.Helper()
	byPassword := &User{Name: u.Name, password: u.password, server: u.server} // tokens can't make tokens
	var created struct {
		Token string `json:"sha1"`
	}
	byPassword.do(t, call{
		method: http.MethodPost, path: "/users/" + u.Name + "/tokens", want: []int{http.StatusCreated},
		body: map[string]any{"name": rand.Text(), "scopes": scopes}, into: &created,
	})
	return created.Token
}

// AddKey lets the holder of an SSH key act as the user. The key is a line of authorized_keys.
func (u *User) AddKey(t testing.TB, public []byte) {
	t.Helper()
	u.do(t, call{
		method: http.MethodPost, path: "/user/keys", want: []int{http.StatusCreated},
		body: map[string]any{"title": rand.Text(), "key": string(public)},
	})
}
