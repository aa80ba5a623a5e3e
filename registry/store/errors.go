package store

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Errors about what was asked for. They are matched with errors.Is.
var (
	// ErrNotFound is matched by every error about content that is not there, or not in that repository.
	ErrNotFound = errors.New("not found in the registry")
	// ErrManifestNotFound matches ErrNotFound and says that it is a manifest or a tag.
	ErrManifestNotFound = fmt.Errorf("manifest %w", ErrNotFound)
	// ErrBlobNotFound matches ErrNotFound and says that it is a blob.
	ErrBlobNotFound = fmt.Errorf("blob %w", ErrNotFound)
	// ErrRepositoryNotFound matches ErrNotFound and says that the repository holds nothing.
	ErrRepositoryNotFound = fmt.Errorf("repository %w", ErrNotFound)
	// ErrInUse says that a blob can't be deleted because a manifest names it.
	ErrInUse = errors.New("blob is named by a manifest of the repository; delete the manifest first")
	// ErrRootsIncomplete says that a collection did not start because its roots are not all known.
	ErrRootsIncomplete = errors.New("roots are not complete yet; nothing is collected")
	// ErrTooLarge says that a blob is larger than Options.MaxBlobBytes.
	ErrTooLarge = errors.New("blob is larger than the registry accepts")
	// ErrStorageFull says that there is no room for more content: the store is at Options.MaxBytes, or its disk is full. It is
	// a *StorageFullError, which says how much there is.
	ErrStorageFull = errors.New("registry storage is full")
	// ErrStagingFull says that the uploads in progress are at Options.MaxStagedBytes. It passes when others end.
	ErrStagingFull = errors.New("temporary space of the registry is exhausted")
	// ErrDamaged says that the disk gives back something else than was written. Whoever pushed did nothing wrong,
	// and nobody can do anything about it but push again.
	ErrDamaged = errors.New("registry content is damaged")
	// ErrUnreadable says that the disk does not give back a blob at the moment, which may pass. It is ErrDamaged when it does not
	// pass, and ErrBlobNotFound afterwards.
	ErrUnreadable = errors.New("registry content can't be read at the moment")
	// ErrClosed says that the store or the stage was closed before.
	ErrClosed = errors.New("already closed")
)

// NameError says that a repository name, tag or digest is not a valid one.
type NameError struct {
	// Kind is "repository name", "tag" or "digest".
	Kind string
	// Value is what was given.
	Value string
}

// Error implements error.
func (e *NameError) Error() string { return fmt.Sprintf("%q is not a valid %s", clip(e.Value), e.Kind) }

// DigestMismatchError says that content does not have the digest that it should have.
type DigestMismatchError struct {
	// Want is the digest that was given.
	Want digest.Digest
	// Got is the digest of the content.
	Got digest.Digest
}

// Error implements error.
func (e *DigestMismatchError) Error() string {
	return fmt.Sprintf("content has digest %s, not %s", e.Got, e.Want)
}

// ManifestError says why a manifest is refused.
type ManifestError struct {
	// Reason is what is wrong with it.
	Reason string
}

// Error implements error.
func (e *ManifestError) Error() string { return "manifest is not accepted: " + e.Reason }

// MissingBlobError says that a manifest names something that is not in its repository.
type MissingBlobError struct {
	// Digest is what the manifest names.
	Digest digest.Digest
	// Repository is where it is missing.
	Repository string
	// Size is the size that the manifest gives when the content is there with another one; else -1.
	Size int64
}

// Error implements error.
func (e *MissingBlobError) Error() string {
	if e.Size >= 0 {
		return fmt.Sprintf("%s in repository %s does not have the %d bytes that the manifest says", e.Digest, e.Repository, e.Size)
	}
	return fmt.Sprintf("%s is not in repository %s; push it before the manifest", e.Digest, e.Repository)
}

func manifestError(format string, args ...any) error {
	return &ManifestError{Reason: fmt.Sprintf(format, args...)}
}

// clip keeps foreign strings short in messages.
func clip(s string) string {
	if len(s) > 128 {
		return s[:128] + "…"
	}
	return s
}
