// Package snapshot writes and reads snapshots: single pieces of content, stored as
// one-layer OCI artifacts with deterministic manifests.
//
// The package knows how a snapshot is named, how its artifact is laid out and how its
// content is checked. It does not know where artifacts are kept: Store and Repository are
// the few operations it needs, answered by the embedded registry (see Embedded) or by any
// other OCI registry. It knows nothing of Kubernetes objects.
package snapshot
