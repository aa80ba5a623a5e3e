// Package normalize writes component descriptors in the canonical forms that
// signatures are made over.
//
// The forms are those of the two reference tools, byte for byte, with what is
// odd about them: which parts are covered is written down in document.go. The
// package knows nothing about keys, and does not look at content.
package normalize

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Names of the normalisation algorithms. V4Alpha1 is V3 under another name,
// except that it knows no null and takes the creation time as it is written.
const (
	V1       = "jsonNormalisation/v1"
	V2       = "jsonNormalisation/v2"
	V3       = "jsonNormalisation/v3"
	V4Alpha1 = "jsonNormalisation/v4alpha1"
)

// ErrUnknownAlgorithm says that a normalisation algorithm, or the hash that goes
// with it, is not one of those that are allowed.
var ErrUnknownAlgorithm = errors.New("algorithm is not allowed")

// form is what tells the algorithms apart.
type form struct {
	// entries writes an object as a list of objects with one member each, and
	// is the only form that depends on the schema of the descriptor.
	entries bool
	// versioned puts the version of resources that are otherwise not told apart
	// into their extra identity.
	versioned bool
	// sparse leaves out members that are null.
	sparse bool
	// verbatim takes the creation time as it is written.
	verbatim bool
}

var forms = map[string]form{
	V1:       {entries: true, versioned: true},
	V2:       {versioned: true},
	V3:       {},
	V4Alpha1: {sparse: true, verbatim: true},
}

// hashes has the old spellings of signatures that were made long ago.
var hashes = map[string]crypto.Hash{
	descriptor.SHA256: crypto.SHA256,
	descriptor.SHA512: crypto.SHA512,
	"sha256":          crypto.SHA256,
	"sha512":          crypto.SHA512,
}

// Normalise returns the canonical form of a descriptor, which is not changed.
// It returns ErrUnknownAlgorithm for an algorithm that is none of the four;
// other errors are about a descriptor that has no canonical form.
func Normalise(d *descriptor.Descriptor, algorithm string) ([]byte, error) {
	var out bytes.Buffer
	if err := write(&out, d, algorithm); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Digest returns the digest of the canonical form of a descriptor, with the
// names of the algorithms spelled as they were given. Its errors are those of
// Normalise, and ErrUnknownAlgorithm for a hash that is not allowed.
func Digest(d *descriptor.Descriptor, hashAlgorithm, algorithm string) (descriptor.Digest, error) {
	hash, err := allowed("hash", hashAlgorithm, hashes)
	if err != nil {
		return descriptor.Digest{}, err
	}
	sum := hash.New()
	if err := write(sum, d, algorithm); err != nil {
		return descriptor.Digest{}, err
	}
	return descriptor.Digest{
		HashAlgorithm:          hashAlgorithm,
		NormalisationAlgorithm: algorithm,
		Value:                  hex.EncodeToString(sum.Sum(nil)),
	}, nil
}

// Allowed returns the ErrUnknownAlgorithm that Digest would return for any
// descriptor.
func Allowed(hashAlgorithm, algorithm string) error {
	if _, err := allowed("hash", hashAlgorithm, hashes); err != nil {
		return err
	}
	_, err := allowed("normalisation", algorithm, forms)
	return err
}

func write(out io.Writer, d *descriptor.Descriptor, algorithm string) error {
	f, err := allowed("normalisation", algorithm, forms)
	if err != nil {
		return err
	}
	w := &writer{form: f, out: out}
	w.document(d)
	if err := w.finish(); err != nil {
		return fmt.Errorf("normalise %s:%s: %w", d.Component.Name, d.Component.Version, err)
	}
	return nil
}

func allowed[T any](what, name string, known map[string]T) (T, error) {
	v, ok := known[name]
	if !ok {
		names := slices.Sorted(maps.Keys(known))
		return v, fmt.Errorf("%s %w: %q is none of %s", what, ErrUnknownAlgorithm, name, strings.Join(names, ", "))
	}
	return v, nil
}
