package signing_test

import (
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// now is a time at which all certificates of the vectors are valid.
var now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// component returns a component version with an element of every kind that
// signatures treat differently.
func component() *descriptor.Descriptor {
	const sum = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
	element := func(name string) descriptor.Element { return descriptor.Element{Name: name, Version: "1.0.0"} }
	blob := descriptor.Access{Type: "localBlob", Raw: []byte(`{"type":"localBlob","localReference":"sha256:` + sum + `","mediaType":"text/plain"}`)}
	return &descriptor.Descriptor{Component: descriptor.Component{
		Name: "acme.org/shop", Version: "1.0.0", Provider: descriptor.Provider{Name: "acme"},
		Resources: []descriptor.Resource{
			{
				Element: element("config"), Type: "blob", Relation: descriptor.LocalRelation, Access: blob,
				Digest: &descriptor.Digest{HashAlgorithm: descriptor.SHA256, NormalisationAlgorithm: descriptor.GenericBlobDigest, Value: sum},
			},
			{
				Element: element("logs"), Type: "blob", Relation: descriptor.LocalRelation, Access: blob,
				Digest: &descriptor.Digest{HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest},
			},
			{Element: element("nothing"), Type: "blob", Access: descriptor.Access{Type: "none", Raw: []byte(`{"type":"none"}`)}},
		},
		References: []descriptor.Reference{{
			Element: element("db"), ComponentName: "acme.org/db",
			Digest: &descriptor.Digest{HashAlgorithm: descriptor.SHA256, NormalisationAlgorithm: "jsonNormalisation/v3", Value: sum},
		}},
	}}
}

// vector returns the descriptor of a component version of the reference tools.
func vector(t *testing.T, place, component, version string) *descriptor.Descriptor {
	t.Helper()
	url, _ := vectors.Serve(t, place)
	repo, err := ocm.Open(url, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cv, err := repo.Get(t.Context(), component, version)
	if err != nil {
		t.Fatal(err)
	}
	d := *cv.Descriptor()
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
	return &d
}

// keys returns the public keys of files of the vectors.
func keys(tb testing.TB, files ...string) *signing.Keys {
	tb.Helper()
	var text []byte
	for _, f := range files {
		text = append(text, vectors.Key(tb, f)...)
	}
	k, err := signing.ParsePublicKeys(text)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// signer returns the signer of a private key of the vectors.
func signer(tb testing.TB, key, chain string) *signing.Signer {
	tb.Helper()
	var certificates []byte
	if chain != "" {
		certificates = vectors.Key(tb, chain)
	}
	s, err := signing.ParseSigner(vectors.Key(tb, key), certificates)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// signed returns a component version with one signature, named release.
func signed(tb testing.TB, s *signing.Signer, o signing.Options) *descriptor.Descriptor {
	tb.Helper()
	d := component()
	signature, err := signing.Sign(d, "release", s, o)
	if err != nil {
		tb.Fatal(err)
	}
	d.Signatures = []descriptor.Signature{*signature}
	return d
}

// withKeys checks the signature release with public keys.
func withKeys(d *descriptor.Descriptor, k *signing.Keys) error {
	_, err := signing.Check(d, signing.Request{Name: "release", Keys: k}, now)
	return err
}

// saying reports an error that does not say all of some words.
func saying(tb testing.TB, err error, words ...string) {
	tb.Helper()
	if err == nil {
		tb.Errorf("there is no error, want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			tb.Errorf("error %q does not say %q", err, w)
		}
	}
}

// armor returns a PEM block as text.
func armor(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}
