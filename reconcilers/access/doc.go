// Package access opens the component repositories that ComponentVersions name, with the credentials that their namespaces
// hold, and remembers what was read by digest.
//
// Who logs in, and how a registry is connected to, comes from Secrets and ServiceAccounts of the namespace, or from the cloud
// that the operator runs in. Objects that connect alike share connections. Which hosts a component may lead to, and whether
// web servers are among them, is decided once for the whole operator.
//
// Secrets are read when they are needed and are never cached. What was read from a repository is remembered under its
// address and the credentials it was read with, so nobody gets content through this memory that its own credentials would
// not give. The same holds for what was verified: equal verifications are one, and a proof is remembered for a version that is
// pinned, the keys it was checked with, and the repository with its credentials.
package access
