package vectors

import (
	"cmp"
	"slices"
	"strings"
)

// RegistryPrefix begins the names of places that are no archives but a part of
// the registry the tools used, as in "registry/chunked".
const RegistryPrefix = "registry/"

// Names of signatures and files with keys.
const (
	// Signature is the name of the signatures that were made with good.pub.pem.
	Signature = "orchard"
	// ChainSignature is the name of the signature that carries certificates, of
	// leaf.crt.pem below ca.crt.pem.
	ChainSignature = "pear-signer"
	// ChainSubject is the subject of leaf.crt.pem.
	ChainSubject = "CN=pear-signer,O=Orchard Test,C=DE"
)

// Signed is a component version with a signature.
type Signed struct {
	// Place is the name of an archive, or a part of the registry.
	Place string
	// Component and Version name it.
	Component, Version string
	// Signature is the name of the signature.
	Signature string
	// Algorithm, Hash and Normalisation are what the signature states.
	Algorithm, Hash, Normalisation string
	// Broken says what a transfer changed so that the signature does not hold any
	// more; it is empty if it holds.
	Broken string
}

const (
	orchardRoot = "vectors.example/orchard/root"
	groveRoot   = "vectors.example/grove/root"
	pkcs1       = "RSASSA-PKCS1-V1_5"
	v3          = "jsonNormalisation/v3"
	v4alpha1    = "jsonNormalisation/v4alpha1"
	sha256      = "SHA-256"
)

// AllSigned returns every component version that a tool signed, except for those
// that were manipulated.
func AllSigned() []Signed {
	out := []Signed{
		{Place: "classic/signed-build-metadata", Component: "vectors.example/orchard/many", Version: "2.0.0+build.7"},
		{Place: "classic/signed-byvalue"},
		{Place: "classic/signed-dup-v1", Normalisation: "jsonNormalisation/v1"},
		{Place: "classic/signed-dup-v2", Normalisation: "jsonNormalisation/v2"},
		{Place: "classic/signed-dup-v3"},
		{Place: "classic/signed-pem", Signature: ChainSignature},
		{Place: "classic/signed-v3alpha1-v1", Normalisation: "jsonNormalisation/v1"},
		{Place: "registry/new", Component: groveRoot, Normalisation: v4alpha1},
		{Place: "registry/new-index", Component: groveRoot, Normalisation: v4alpha1},
		{Place: "registry/new-localblob", Broken: "creation time and versions of labels dropped, digests of images renamed"},
		{Place: "registry/new-ociartifact", Broken: "creation time and versions of labels dropped, digests of images renamed"},
	}
	for _, form := range []string{"byref", "byvalue", "chunked", "nouploads", "relative", "roundtrip"} {
		out = append(out, Signed{Place: RegistryPrefix + form})
	}
	for _, name := range Names() {
		if rest, ok := strings.CutPrefix(name, "classic/signed-RSASSA-"); ok {
			cut := strings.Index(rest, "-SHA-")
			out = append(out, Signed{
				Place: name, Algorithm: "RSASSA-" + rest[:cut], Hash: rest[cut+1 : cut+len("-SHA-256")],
				Normalisation: "jsonNormalisation/" + rest[cut+len("-SHA-256-"):],
			})
		}
		if rest, ok := strings.CutPrefix(name, "new/signed-"); ok {
			// It writes v4alpha1 where it was asked for v3.
			s := Signed{Place: name, Component: groveRoot, Algorithm: "RSASSA-PSS", Normalisation: v4alpha1}
			kind, rest, _ := strings.Cut(rest, "-")
			if kind == "pkcs1" {
				s.Algorithm = pkcs1
			}
			s.Hash = rest[:len(sha256)]
			out = append(out, s)
		}
	}
	for i := range out {
		out[i].setDefaults()
	}
	slices.SortFunc(out, func(a, b Signed) int { return strings.Compare(a.Place, b.Place) })
	return out
}

func (s *Signed) setDefaults() {
	s.Component, s.Version = cmp.Or(s.Component, orchardRoot), cmp.Or(s.Version, Version)
	s.Signature, s.Algorithm = cmp.Or(s.Signature, Signature), cmp.Or(s.Algorithm, pkcs1)
	s.Hash, s.Normalisation = cmp.Or(s.Hash, sha256), cmp.Or(s.Normalisation, v3)
}
