// Package forgetest holds what every implementation of forge.Forge has to do, and a test forge that answers as GitHub and as GitLab do.
//
// The test forge is computed from real bare repositories with the git command, 2.38 or later: what can be merged, which commits a request has, whether there is something to propose, and
// merges, squashes and rebases are really done. Its answers have the documented form, and the official Go SDK of GitHub and of GitLab drives it in e2e/forges, so that it is held to their
// understanding. No real GitHub and no real GitLab was in the loop: where documentation and SDK say nothing, it does what is known from reports of users. Gitea is not imitated; the
// conformance suite is run against a real one.
package forgetest
