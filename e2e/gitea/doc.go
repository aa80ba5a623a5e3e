// Package gitea pins Gitea and everything it needs, so that tests can propose changes to a forge that is real and not computed. The module
// has no code of its own: the tool directive of its go.mod makes "go mod tidy" keep the requirement, and the replacements are those of
// Gitea's own go.mod. See e2e/cluster for how the program is built, and e2e/giteaserver for how it is run.
//
// The version is the newest one that declares this module path. It is run on loopback, for tests, and nowhere else.
package gitea
