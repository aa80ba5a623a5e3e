package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// TestSign signs in every way and checks the result, after a descriptor was
// written and read.
func TestSign(t *testing.T) {
	t.Parallel()
	authority, err := signing.NewAuthority(vectors.Key(t, "ca.crt.pem"), vectors.ChainSubject)
	if err != nil {
		t.Fatal(err)
	}
	ways := []struct {
		signer  *signing.Signer
		request signing.Request
	}{
		{signer(t, "good.priv.pem", ""), signing.Request{Name: "release", Keys: keys(t, "good.pub.pem")}},
		{signer(t, "leaf.key.pem", "chain.pem"), signing.Request{Name: "release", Keys: keys(t, "leaf.crt.pem")}},
		{signer(t, "leaf.key.pem", "chain.pem"), signing.Request{Name: "release", Authority: authority}},
	}
	for _, hash := range []string{"", descriptor.SHA256, descriptor.SHA512} {
		for _, normalisation := range []string{"", normalize.V1, normalize.V2, normalize.V3, normalize.V4Alpha1} {
			for _, algorithm := range []string{"", signing.PKCS1, signing.PSS} {
				o := signing.Options{HashAlgorithm: hash, NormalisationAlgorithm: normalisation, Algorithm: algorithm}
				for i, way := range ways {
					text, err := descriptor.Encode(signed(t, way.signer, o))
					if err != nil {
						t.Fatal(err)
					}
					d, err := descriptor.Parse(text)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := signing.Check(d, way.request, now); err != nil {
						t.Errorf("%+v, way %d: %v", o, i, err)
					}
				}
			}
		}
	}
}

// TestSignDefaults holds what is written to what both reference tools verify.
func TestSignDefaults(t *testing.T) {
	t.Parallel()
	d := component()
	first, err := signing.Sign(d, "release", signer(t, "good.priv.pem", ""), signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(component(), d); diff != "" {
		t.Errorf("the descriptor is changed: %s", diff)
	}
	got := *first
	got.Digest.Value, got.Signature.Value = "", ""
	want := descriptor.Signature{
		Name:      "release",
		Digest:    descriptor.Digest{HashAlgorithm: "SHA-256", NormalisationAlgorithm: "jsonNormalisation/v3"},
		Signature: descriptor.SignatureValue{Algorithm: "RSASSA-PKCS1-V1_5", MediaType: "application/vnd.ocm.signature.rsa"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Signatures that there are do not matter.
	d.Signatures = []descriptor.Signature{*first}
	again, err := signing.Sign(d, "release", signer(t, "good.priv.pem", ""), signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("not the same another time: %s", diff)
	}
}

// TestSignLeavesOutRoots signs with a chain that has its root.
func TestSignLeavesOutRoots(t *testing.T) {
	t.Parallel()
	with, err := signing.ParseSigner(vectors.Key(t, "leaf.key.pem"), slices.Concat(vectors.Key(t, "chain.pem"), vectors.Key(t, "ca.crt.pem")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(signed(t, signer(t, "leaf.key.pem", "chain.pem"), signing.Options{}), signed(t, with, signing.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestSignRefuses has component versions that a signature would not cover.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(d *descriptor.Descriptor)
		says   string
	}{
		"resource without digest":       {func(d *descriptor.Descriptor) { d.Component.Resources[0].Digest = nil }, "resource config:1.0.0 has no digest"},
		"reference without digest":      {func(d *descriptor.Descriptor) { d.Component.References[0].Digest = nil }, "reference db:1.0.0 has no digest"},
		"reference that is excluded":    {func(d *descriptor.Descriptor) { d.Component.References[0].Digest = d.Component.Resources[1].Digest }, "reference db:1.0.0"},
		"no content, but a digest":      {func(d *descriptor.Descriptor) { d.Component.Resources[2].Digest = d.Component.Resources[0].Digest }, "resource nothing:1.0.0"},
		"resource that is half left":    {func(d *descriptor.Descriptor) { d.Component.Resources[1].Digest.Value = "" }, "resource logs:1.0.0"},
		"resource with a shorter value": {func(d *descriptor.Descriptor) { d.Component.Resources[0].Digest.Value = "00" }, "resource config:1.0.0"},
		"resource with another hash":    {func(d *descriptor.Descriptor) { d.Component.Resources[0].Digest.HashAlgorithm = "MD5" }, "resource config:1.0.0"},
	} {
		d := component()
		c.change(d)
		_, err := signing.Sign(d, "release", signer(t, "good.priv.pem", ""), signing.Options{})
		saying(t, err, "acme.org/shop:1.0.0", c.says)
		if _, err := signing.DigestOf(d, signing.Options{}); err == nil {
			t.Errorf("%s: there is a digest", name)
		}
	}
	for name, o := range map[string]signing.Options{
		"hash": {HashAlgorithm: "sha256"}, "no hash": {HashAlgorithm: "NO-DIGEST"}, "normalisation": {NormalisationAlgorithm: "v3"}, "algorithm": {Algorithm: "GPG"},
	} {
		if _, err := signing.Sign(component(), "release", signer(t, "good.priv.pem", ""), o); err == nil {
			t.Errorf("%s: signed with %+v", name, o)
		}
	}
	if _, err := signing.Sign(component(), "", signer(t, "good.priv.pem", ""), signing.Options{}); err == nil {
		t.Error("signed without a name")
	}
}

// broken is a key in hardware that fails.
type broken struct{ crypto.Signer }

func (b broken) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	value, err := b.Signer.Sign(random, digest, o)
	value[0] ^= 1
	return value, err
}

// TestSignersRefused has signers that Check would refuse.
func TestSignersRefused(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := signer(t, "good.priv.pem", "")
	chain, err := ocmtest.NewChain(ocmtest.Leaf{Subject: pkix.Name{CommonName: "a"}, Key: good.Key, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		t.Fatal(err)
	}
	leaf := signer(t, "leaf.key.pem", "chain.pem")
	for name, c := range map[string]struct {
		signer *signing.Signer
		says   string
	}{
		"none":                   {nil, "no private key"},
		"no key":                 {&signing.Signer{}, "no private key"},
		"1,024 bits":             {&signing.Signer{Key: short}, "1024 bits is too short"},
		"a curve":                {&signing.Signer{Key: curve}, "an ECDSA key"},
		"another's certificates": {&signing.Signer{Key: good.Key, Chain: leaf.Chain}, "another key"},
		"eleven certificates":    {&signing.Signer{Key: leaf.Key, Chain: append(slices.Clone(leaf.Chain), slices.Repeat(leaf.Chain[1:], 9)...)}, "at most 10"},
		"not for code":           {chain.Signer, "codeSigning"},
		"a fault":                {&signing.Signer{Key: broken{good.Key}}, "does not hold"},
	} {
		if _, err := signing.Sign(component(), "release", c.signer, signing.Options{}); err == nil {
			t.Errorf("%s: signed", name)
		} else {
			saying(t, err, c.says)
		}
	}
}

// TestParseSigner reads private keys in all forms.
func TestParseSigner(t *testing.T) {
	t.Parallel()
	good := vectors.Key(t, "good.priv.pem")
	block, _ := pem.Decode(good)
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	got, err := signing.ParseSigner(armor("PRIVATE KEY", pkcs8), nil)
	if err != nil || !private.Equal(got.Key) {
		t.Errorf("PKCS #8: %v, %v", got, err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve8, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key, chain []byte
		says       string
	}{
		"nothing":              {says: "no PEM block"},
		"a public key":         {key: vectors.Key(t, "good.pub.pem"), says: "cannot be used"},
		"two":                  {key: slices.Concat(good, good), says: "too many"},
		"encrypted":            {key: armor("ENCRYPTED PRIVATE KEY", pkcs8), says: "encrypted"},
		"encrypted in PEM":     {key: []byte(strings.Replace(string(good), "\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1)), says: "encrypted"},
		"a curve":              {key: armor("PRIVATE KEY", curve8), says: "an ECDSA key"},
		"another's chain":      {key: good, chain: vectors.Key(t, "chain.pem"), says: "another key"},
		"chain without a leaf": {key: vectors.Key(t, "leaf.key.pem"), chain: vectors.Key(t, "int.crt.pem"), says: "another key"},
		"a key as chain":       {key: good, chain: vectors.Key(t, "good.pub.pem"), says: "only CERTIFICATE"},
		"a damaged chain":      {key: good, chain: armor("CERTIFICATE", []byte("x")), says: "PEM block 1"},
		"text as chain":        {key: good, chain: []byte("x"), says: "no PEM block"},
	} {
		if _, err := signing.ParseSigner(c.key, c.chain); err == nil {
			t.Errorf("%s: there is a signer", name)
		} else {
			saying(t, err, c.says)
		}
	}
}
