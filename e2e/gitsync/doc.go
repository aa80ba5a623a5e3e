// Package gitsync tests what it takes to bring content into git repositories and to propose it there, with the operator as a process
// of its own, against servers that run git itself: over HTTP, over TLS with an authority that nobody knows, and over SSH. Pull requests
// are made at a real Gitea, and at forges that answer as GitHub and GitLab do. Every test looks into the repository with git: what is
// there counts, and not what the operator says about it.
package gitsync
