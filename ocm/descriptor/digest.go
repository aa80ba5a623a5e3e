package descriptor

import (
	// The hashes that digests may name.
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Names of the ways the digest of a resource is computed.
const (
	// GenericBlobDigest hashes the bytes of the blob.
	GenericBlobDigest = "genericBlobDigest/v1"
	// OCIArtifactDigest is the digest of the manifest or index.
	OCIArtifactDigest = "ociArtifactDigest/v1"
	// legacyOCIArtifactDigest is the old spelling of OCIArtifactDigest.
	legacyOCIArtifactDigest = "ociArtefactDigest/v1"
	// ExcludeFromSignature marks a resource whose content is not signed.
	ExcludeFromSignature = "EXCLUDE-FROM-SIGNATURE"
	// NoDigest stands in for hash name and value of an excluded resource.
	NoDigest = "NO-DIGEST"
)

// Names of the hash algorithms.
const (
	SHA256 = "SHA-256"
	SHA512 = "SHA-512"
)

// Digest is a digest as descriptors write it.
type Digest struct {
	HashAlgorithm          string `json:"hashAlgorithm"`
	NormalisationAlgorithm string `json:"normalisationAlgorithm"`
	Value                  string `json:"value"`
}

// Excluded reports whether the content is deliberately left out of signatures,
// so that there is nothing to compare it with. All three fields must say so.
func (d *Digest) Excluded() bool {
	return d.HashAlgorithm == NoDigest && d.NormalisationAlgorithm == ExcludeFromSignature && d.Value == NoDigest
}

// ForBlob reports whether the digest was made over the bytes of a blob.
func (d *Digest) ForBlob() bool { return d.NormalisationAlgorithm == GenericBlobDigest }

// ForArtifact reports whether the digest may be the one of an OCI manifest.
// One of the reference tools writes the name of the blob digest there as well.
func (d *Digest) ForArtifact() bool {
	switch d.NormalisationAlgorithm {
	case OCIArtifactDigest, legacyOCIArtifactDigest, GenericBlobDigest:
		return true
	}
	return false
}

// OCI returns the digest in the form registries use.
func (d *Digest) OCI() (digest.Digest, error) {
	var alg digest.Algorithm
	switch strings.ToUpper(strings.ReplaceAll(d.HashAlgorithm, "-", "")) {
	case "SHA256":
		alg = digest.SHA256
	case "SHA512":
		alg = digest.SHA512
	default:
		return "", fmt.Errorf("hash algorithm %q is not supported, use %s or %s", d.HashAlgorithm, SHA256, SHA512)
	}
	if _, err := hex.DecodeString(d.Value); err != nil || len(d.Value) != alg.Size()*2 {
		return "", fmt.Errorf("digest value %q is no %s value", d.Value, d.HashAlgorithm)
	}
	return digest.NewDigestFromEncoded(alg, strings.ToLower(d.Value)), nil
}

// NewBlobDigest returns the digest of a blob in the form descriptors use.
func NewBlobDigest(d digest.Digest) *Digest { return newDigest(d, GenericBlobDigest) }

// NewArtifactDigest returns the digest of an OCI artifact in the form
// descriptors use.
func NewArtifactDigest(d digest.Digest) *Digest { return newDigest(d, OCIArtifactDigest) }

func newDigest(d digest.Digest, normalisation string) *Digest {
	alg := SHA256
	if d.Algorithm() == digest.SHA512 {
		alg = SHA512
	}
	return &Digest{HashAlgorithm: alg, NormalisationAlgorithm: normalisation, Value: d.Encoded()}
}
