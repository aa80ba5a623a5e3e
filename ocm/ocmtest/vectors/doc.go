// Package vectors has component versions that the two reference command-line
// tools of the Open Component Model made, signed and transferred, copies of them
// that were manipulated, the keys they are signed with, and the canonical texts
// that were signed. It is for tests, which put them into archives and registries.
//
// It imports ocm, so tests inside of package ocm and below need a package of
// their own (package ocm_test) to use it.
package vectors
