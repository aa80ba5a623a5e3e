// Package forge opens, updates and closes pull requests of GitHub and GitHub Enterprise, of GitLab, where they are called merge requests, and of Gitea and Forgejo.
//
// It speaks the REST API of each with net/http, and knows no more of them than what a branch that is proposed to another needs. What a server sends is bounded in size, depth, pages
// and time, its texts are shortened and printable, and the token goes to the host of the API and to no other. It knows nothing about commits and branches; those are pushed with git.
//
// The implementations for GitHub and GitLab were never run against the real services: they are held to the official Go SDK of each, by the test forge in forgetest that both drive. The one
// for Gitea is run against a real Gitea.
package forge
