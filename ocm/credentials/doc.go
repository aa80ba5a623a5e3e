// Package credentials keeps the credentials of OCI registries and picks the
// one that belongs to a repository.
//
// A credential is bound to a host, and optionally to a path below it; it is
// never handed out for another host.
package credentials
