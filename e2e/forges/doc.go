// Package forges holds the test forge of git/forge/forgetest to the understanding of the official Go SDK of GitHub and of GitLab, and runs our own implementations against the same server.
//
// It is a module of its own, because the operator must not have the dependencies of two SDKs. It has nothing but tests. No real GitHub and no real GitLab was in the loop: what neither the
// documentation nor the types of the SDKs say is not proven here.
package forges
