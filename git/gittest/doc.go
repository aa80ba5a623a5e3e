// Package gittest serves git repositories to tests: the real git command behind HTTP (with logins, tokens, TLS, redirects and faults) and
// behind SSH, on loopback, until the test ends. Its helpers make bare repositories and look at them with the git command as well, so that
// what is tested is never judged by the library that it uses.
//
// It is not a forge: pull requests are in package forgetest, and in a real Gitea that e2e/giteaserver starts.
package gittest
