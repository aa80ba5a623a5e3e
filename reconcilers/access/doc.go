// Package access opens the component repositories that ComponentVersions name, with the credentials that their namespaces
// hold, and remembers what was read by digest.
//
// Secrets are read when they are needed and are never cached. What was read from a repository is remembered under its
// address and the credentials it was read with, so nobody gets content through this memory that its own credentials would
// not give.
package access
