package ocm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Errors of this package, to be matched with errors.Is.
var (
	// ErrNotFound says that a component, a version or its content is not there.
	ErrNotFound = oci.ErrNotFound
	// ErrUnauthorized says that the registry refused the credentials, or that
	// there were none.
	ErrUnauthorized = oci.ErrUnauthorized
	// ErrUnreachable says that there was no answer from the registry, or only that
	// it can't give one now.
	ErrUnreachable = oci.ErrUnreachable
	// ErrTooLarge says that a bound on what is accepted was exceeded.
	ErrTooLarge = oci.ErrTooLarge
	// ErrNotComponent says that what was found is not the component version it
	// should be.
	ErrNotComponent = oci.ErrNotComponent
	// ErrMalformed says that a component version cannot be parsed, whoever reads
	// it again.
	ErrMalformed = oci.ErrMalformed
	// ErrUnsure is matched besides another error by an answer that something
	// between here and the registry may have given.
	ErrUnsure = oci.ErrUnsure
	// ErrUnsupported says that content is of a kind that cannot be read.
	ErrUnsupported = access.ErrUnsupported
	// ErrNoDigest says that a resource states no digest, or that its content is
	// excluded from signatures, so that there is nothing to compare it with.
	ErrNoDigest = access.ErrNoDigest
	// ErrHostRefused says that a component leads to a host that requests must
	// not be sent to.
	ErrHostRefused = oci.ErrHostRefused
	// ErrFull says that there is no room for what was to be stored, or that it is
	// more than is accepted.
	ErrFull = oci.ErrFull
	// ErrReadOnly says that nothing can be stored there, at all or with this
	// credential.
	ErrReadOnly = oci.ErrReadOnly
	// ErrExists says that the version is there already with other content.
	ErrExists = errors.New("component version exists")
)

// Errors with details, to be matched with errors.As.
type (
	// DigestMismatchError says that content is not what its digest promised.
	DigestMismatchError = oci.DigestMismatchError
	// HostError says which host a request was not sent to.
	HostError = oci.HostError
	// ResourceError says which resource an error is about.
	ResourceError = access.ResourceError
	// UnsupportedError says which kind of content cannot be read.
	UnsupportedError = access.UnsupportedError
	// ElementNotFoundError says that a component has no such resource or
	// reference.
	ElementNotFoundError = descriptor.NotFoundError
	// AmbiguousError says that several resources or references match.
	AmbiguousError = descriptor.AmbiguousError
)

// maxListed bounds how many versions a message lists.
const maxListed = 5

// NotFoundError says which part of what was asked for is missing. It matches
// ErrNotFound.
type NotFoundError struct {
	// Repository is the URL that was searched.
	Repository string
	// Component is the name of the component.
	Component string
	// Version is the missing version; it is empty if there is no version of
	// the component at all.
	Version string
	// Available are the versions there are, newest first.
	Available []string
}

// Error says what there is instead, or what to check.
func (e *NotFoundError) Error() string {
	if e.Version == "" {
		return fmt.Sprintf("component %s not found in %s; check spec.component and spec.repository.url", e.Component, e.Repository)
	}
	have := e.Available
	more := ""
	if len(have) > maxListed {
		more = fmt.Sprintf(" and %d more", len(have)-maxListed)
		have = have[:maxListed]
	}
	return fmt.Sprintf("component %s in %s has no version %s; it has %s%s", e.Component, e.Repository, e.Version, strings.Join(have, ", "), more)
}

// Is makes the error match ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }
