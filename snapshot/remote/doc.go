// Package remote keeps snapshots in an OCI registry that somebody else runs: it is the snapshot.Store for those who have a
// registry already, or have outgrown the embedded one.
//
// Nothing that the registry answers is believed: content is compared with its digest, sizes and times are bounded, and that
// something is missing counts only when the registry itself says so (see ErrUnsure). Content passes through a temporary
// file, never through memory. The package knows how to speak to a registry; where credentials come from is up to whoever
// makes the store.
package remote
