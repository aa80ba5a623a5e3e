package ocmtest_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// shop returns a component with everything that can be signed.
func shop(signatures ...ocmtest.Signature) ocmtest.Component {
	cart := ocmtest.Component{
		Name: "acme.org/cart", Version: "2.0.0",
		Resources: []ocmtest.Resource{{Name: "files", Content: []byte("cart")}},
	}
	return ocmtest.Component{
		Name: "acme.org/shop", Version: "1.0.0",
		Resources: []ocmtest.Resource{
			{Name: "files", Content: []byte("shop")},
			{Name: "notes", Content: []byte("notes"), Excluded: true},
			{
				Name: "image", Image: "registry.example.com/shop:1.0.0",
				Digest: descriptor.NewArtifactDigest(digest.FromString("manifest")),
			},
		},
		References: []ocmtest.Reference{{Name: "cart", To: &cart}},
		Signatures: signatures,
	}
}

func TestSignaturesHold(t *testing.T) {
	t.Parallel()
	operations, operationsKey := ocmtest.SignerOf(t, "operations")
	security, securityKey := ocmtest.SignerOf(t, "security")
	d, _, err := shop(
		ocmtest.Signature{Name: "operations", Signer: operations},
		ocmtest.Signature{Name: "security", Signer: security, Options: signing.Options{Algorithm: signing.PSS}},
	).Build()
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"operations": operationsKey, "security": securityKey} {
		if err := check(d, name, key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := check(d, "security", operationsKey); !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("security with the key of operations: got %v, want ErrInvalid", err)
	}
}

func check(d *descriptor.Descriptor, name string, key []byte) error {
	keys, err := signing.ParsePublicKeys(key)
	if err != nil {
		return err
	}
	_, err = signing.Check(d, signing.Request{Name: name, Keys: keys}, time.Now())
	return err
}

func TestReferencesHaveTheDigestOfWhatTheyReferTo(t *testing.T) {
	t.Parallel()
	c := shop()
	d, _, err := c.Build()
	if err != nil {
		t.Fatal(err)
	}
	child, _, err := c.References[0].To.Build()
	if err != nil {
		t.Fatal(err)
	}
	want, err := normalize.Digest(child, descriptor.SHA256, normalize.V3)
	if err != nil {
		t.Fatal(err)
	}
	got := d.Component.References[0]
	if got.ComponentName != "acme.org/cart" || got.Version != "2.0.0" || got.Digest == nil || *got.Digest != want {
		t.Errorf("got %+v with digest %+v, want acme.org/cart:2.0.0 with %+v", got, got.Digest, want)
	}
}

func TestTamperComesAfterSigning(t *testing.T) {
	t.Parallel()
	signer, key := ocmtest.SignerOf(t, "operations")
	c := shop(ocmtest.Signature{Name: "operations", Signer: signer})
	c.Tamper = func(d *descriptor.Descriptor, _ ocmtest.Blobs) error {
		d.Component.Resources[0].Type = "other"
		return nil
	}
	d, _, err := c.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := check(d, "operations", key); !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestSignerOf(t *testing.T) {
	t.Parallel()
	first, public := ocmtest.SignerOf(t, "operations")
	again, _ := ocmtest.SignerOf(t, "operations")
	_, other := ocmtest.SignerOf(t, "security")
	if first != again || bytes.Equal(public, other) {
		t.Error("one name has two keys, or two names have one")
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	signer, _ := ocmtest.SignerOf(t, "operations")
	for name, leaf := range map[string]ocmtest.Leaf{
		"with an intermediate": {Subject: pkix.Name{CommonName: "release"}, Key: signer.Key},
		"direct":               {Subject: pkix.Name{CommonName: "release"}, Key: signer.Key, Direct: true},
	} {
		chain, err := ocmtest.NewChain(leaf)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		if !roots.AppendCertsFromPEM(chain.Roots()) {
			t.Errorf("%s: the root is no PEM certificate", name)
		}
		for _, c := range chain.Signer.Chain[1:] {
			between.AddCert(c)
		}
		_, err = chain.Leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := chain.Leaf.Subject.CommonName; got != "release" {
			t.Errorf("%s: the subject is %s", name, got)
		}
	}
}
