// Package normalize writes component descriptors in the canonical forms that
// signatures are made over.
package normalize

import (
	"errors"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Names of the normalisation algorithms. V4Alpha1 is V3 under another name.
const (
	V1       = "jsonNormalisation/v1"
	V2       = "jsonNormalisation/v2"
	V3       = "jsonNormalisation/v3"
	V4Alpha1 = "jsonNormalisation/v4alpha1"
)

// ErrUnknownAlgorithm says that a normalisation algorithm, or the hash that goes
// with it, is not one of those that are allowed.
var ErrUnknownAlgorithm = errors.New("algorithm is not allowed")

// Normalise returns the canonical form of a descriptor, which is not changed.
func Normalise(d *descriptor.Descriptor, algorithm string) ([]byte, error) {
	return nil, errors.New("not implemented")
}

// Digest returns the digest of the canonical form of a descriptor, with the
// names of the algorithms spelled as they were given.
func Digest(d *descriptor.Descriptor, hashAlgorithm, algorithm string) (descriptor.Digest, error) {
	return descriptor.Digest{}, errors.New("not implemented")
}

