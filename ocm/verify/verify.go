// Package verify proves component versions: that their signatures hold, and that
// everything they lead to, at any depth, is what was signed. The proof pins it.
package verify

import (
	"context"
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// ErrRefused is matched by every verdict against a component version. Other
// errors say that something could not be read, and may pass.
var ErrRefused = errors.New("component version is refused")

// Version is a component version that was read and is pinned by the digest of
// its manifest.
type Version interface {
	// Descriptor returns the descriptor, which must not be changed.
	Descriptor() *descriptor.Descriptor
	// ManifestDigest returns the digest of the manifest.
	ManifestDigest() digest.Digest
	// Check reads the content of a resource and compares it with the digest
	// that the resource states.
	Check(ctx context.Context, res *descriptor.Resource) error
}

// Source reads the component versions that others refer to.
type Source interface {
	// Version returns a component version as it is tagged now. It is called once
	// for each in a verification.
	Version(ctx context.Context, component, version string) (Version, error)
}

// Options bound a verification. Zero fields have defaults.
type Options struct {
	// Concurrency is how many contents are read at once, 4 if zero.
	Concurrency int
	// MaxDepth and MaxVersions bound the tree of references, 32 and 1000 if zero.
	MaxDepth, MaxVersions int
	// Now is when certificates must be valid, the current time if zero.
	Now time.Time
	// Progress, if set, is called after each resource, from one goroutine at a
	// time.
	Progress func(Progress)
}

// Progress tells how far a verification is.
type Progress struct {
	// Versions and Resources count what was found so far, Checked the resources
	// of them that were checked.
	Versions, Resources, Checked int
}

// Proof says what was proven. It does not change.
type Proof struct {
	// Signatures are the signatures that hold, in the order they were asked for.
	Signatures []signing.Checked
	// Versions are the component versions, the root first, each once.
	Versions []Proven
	// Unprotected are the resources whose content no signature protects.
	Unprotected []Unprotected
	// Expires is when the first certificate expires that the proof relies on; it
	// is zero if there is none.
	Expires time.Time
}

// Proven is a component version with the digest of the manifest that was proven.
type Proven struct {
	// Component and Version name it.
	Component, Version string
	// Manifest is the digest of its manifest.
	Manifest digest.Digest
}

// Why says why content is not protected.
type Why string

// Reasons for unprotected content.
const (
	// Excluded: the publisher left the content out of what is signed.
	Excluded Why = "Excluded"
	// NoContent: the access of the resource is none.
	NoContent Why = "NoContent"
)

// Unprotected is a resource whose content no signature protects.
type Unprotected struct {
	// Component and Version name the component version that has the resource.
	Component, Version string
	// Resource names the resource.
	Resource descriptor.Element
	// Why says why.
	Why Why
}

// Error is a verdict against a component version. It matches ErrRefused.
type Error struct {
	// Path leads from the root to the component version at fault, each as
	// name:version.
	Path []string
	// Element is the resource, reference or signature at fault, such as "resource
	// config:1.0.0"; it is empty if it is the component version itself.
	Element string
	// Err says what is wrong.
	Err error
	// Lasting tells that the same manifest is refused for ever with the same
	// requests: neither content, nor what a tag leads to, nor time can change it.
	Lasting bool
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes the error match ErrRefused.
func (e *Error) Is(target error) bool { return target == ErrRefused }

// Verify proves a component version. All requested signatures must hold, and
// there must be at least one. What they cover is checked from the root down, so
// that nothing is read that no signature covers, except where it is. The error is
// an *Error if the component version is refused.
func Verify(ctx context.Context, source Source, root Version, signatures []signing.Request, o Options) (*Proof, error) {
	return nil, errors.New("not implemented")
}

// Unprotects tells whether and why the content of a resource is not protected by
// the signatures of its component version.
func Unprotects(res *descriptor.Resource) (Why, bool) { return "", false }
