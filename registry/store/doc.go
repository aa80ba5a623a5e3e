// Package store keeps the content of the embedded OCI registry in one directory.
//
// A blob is a file named by its digest and is there once, whatever repositories name it. The
// index (tags, manifests, links, referrers) is one bbolt database. A blob is in its place only
// after its last byte was checked, and a manifest is in the index only after all that it names is
// on the disk; so a crash at any moment loses uploads in progress, and blobs that no manifest names
// yet, and nothing else.
//
// Who may read what follows from links: a repository has a blob when one of its manifests names it, or
// for the time of a lease after it was pushed there, mounted, or asked for. Collect removes what
// neither a root, a tag nor a lease keeps, while everything else goes on.
//
// The package speaks no HTTP and checks no credentials. One process has a directory open at a time.
package store
