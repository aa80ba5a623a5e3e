package transfer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
)

// ConflictError says that the target has a component version of the same name with
// other content, which is not overwritten. It matches ocm.ErrExists.
type ConflictError struct {
	// Component and Version name it.
	Component, Version string
	// Repository is the target.
	Repository string
	// Found is the digest of the manifest that the target has, and Wanted that of the
	// source.
	Found, Wanted digest.Digest
	// Why says what is different.
	Why string
}

// Error says what to do.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s has %s:%s with other content, %s: %s; nothing was overwritten: publish a new version, or allow overwriting", e.Repository, e.Component, e.Version, e.Found, e.Why)
}

// Is makes the error match ocm.ErrExists.
func (*ConflictError) Is(target error) bool { return target == ocm.ErrExists }

// MissingError says which blobs neither the source nor the target has. It matches
// ocm.ErrNotFound.
type MissingError struct {
	// Digests are the blobs, sorted.
	Digests []digest.Digest
}

// maxNamed bounds how many digests a message names.
const maxNamed = 5

// Error says what to do.
func (e *MissingError) Error() string {
	names := make([]string, 0, maxNamed)
	for _, d := range e.Digests[:min(len(e.Digests), maxNamed)] {
		names = append(names, d.String())
	}
	more := ""
	if n := len(e.Digests) - maxNamed; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("neither the source nor the target has %d of the blobs: %s%s; "+
		"if the source was exported without what the target should have, export it again with the list of what it has now", len(e.Digests), strings.Join(names, ", "), more)
}

// Is makes the error match ocm.ErrNotFound.
func (*MissingError) Is(target error) bool { return target == ocm.ErrNotFound }

func newMissing(all []digest.Digest) *MissingError {
	slices.Sort(all)
	return &MissingError{Digests: slices.Compact(all)}
}
