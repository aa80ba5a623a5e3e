package signing_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// keyOf names the key a vector was signed with.
func keyOf(s vectors.Signed) (public, private, chain string) {
	if s.Signature == vectors.ChainSignature {
		return "leaf.pub.pem", "leaf.key.pem", "chain.pem"
	}
	return "good.pub.pem", "good.priv.pem", ""
}

// TestVectors checks everything that the reference tools signed.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, s := range vectors.AllSigned() {
		t.Run(s.Place, func(t *testing.T) {
			t.Parallel()
			d := vector(t, s.Place, s.Component, s.Version)
			public, _, _ := keyOf(s)
			good := keys(t, public)
			got, err := signing.Check(d, signing.Request{Name: s.Signature, Keys: good}, now)
			if s.Broken != "" {
				if !errors.Is(err, signing.ErrInvalid) {
					t.Errorf("%v, but a transfer broke it: %s", err, s.Broken)
				}
				saying(t, err, "was changed after it was signed")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := &signing.Checked{Name: s.Signature, Algorithm: s.Algorithm, Digest: d.Signatures[0].Digest, KeyFingerprint: good.Fingerprints()[0]}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if got.Digest.HashAlgorithm != s.Hash || got.Digest.NormalisationAlgorithm != s.Normalisation {
				t.Errorf("digest %+v, want by %s and %s", got.Digest, s.Hash, s.Normalisation)
			}
			_, err = signing.Check(d, signing.Request{Name: s.Signature, Keys: keys(t, "wrong.pub.pem")}, now)
			if !errors.Is(err, signing.ErrInvalid) {
				t.Errorf("with another key: %v", err)
			}
			saying(t, err, s.Signature, "another key", keys(t, "wrong.pub.pem").Fingerprints()[0])
		})
	}
}

// TestManipulatedVectors checks the signatures of versions that were
// manipulated. What the descriptor does not show is not found here.
func TestManipulatedVectors(t *testing.T) {
	t.Parallel()
	for _, n := range vectors.Negatives() {
		t.Run(n.Archive(), func(t *testing.T) {
			t.Parallel()
			name := "vectors.example/orchard/root"
			if n.Set == "negative-new" {
				name = "vectors.example/grove/root"
			}
			d := vector(t, n.Archive(), name, "3.0.0")
			_, err := signing.Check(d, signing.Request{Name: vectors.Signature, Keys: keys(t, "good.pub.pem")}, now)
			if want := n.Shallow == vectors.Reject; errors.Is(err, signing.ErrInvalid) != want || (err != nil) != want {
				t.Errorf("%v, but: %s", err, n.Why)
			}
		})
	}
}

// TestSignAsReferenceTools makes the signatures of the reference tools again.
// Those of PSS are never the same.
func TestSignAsReferenceTools(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, s := range vectors.AllSigned() {
		if s.Algorithm != signing.PKCS1 || s.Broken != "" {
			continue
		}
		compared++
		t.Run(s.Place, func(t *testing.T) {
			t.Parallel()
			d := vector(t, s.Place, s.Component, s.Version)
			_, private, chain := keyOf(s)
			options := signing.Options{HashAlgorithm: s.Hash, NormalisationAlgorithm: s.Normalisation}
			got, err := signing.Sign(d, s.Signature, signer(t, private, chain), options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&d.Signatures[0], got); diff != "" {
				t.Errorf("not as the tool made it (-tool +ours):\n%s", diff)
			}
		})
	}
	if compared < 20 {
		t.Errorf("only %d signatures are compared", compared)
	}
}

// TestDigestOfReferencedVersion computes what references of the tools state.
func TestDigestOfReferencedVersion(t *testing.T) {
	t.Parallel()
	const place = "classic/signed-byvalue"
	root := vector(t, place, "vectors.example/orchard/root", "3.0.0")
	for _, r := range root.Component.References {
		child := vector(t, place, r.ComponentName, r.Version)
		got, err := signing.DigestOf(child, signing.Options{NormalisationAlgorithm: r.Digest.NormalisationAlgorithm})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.Digest, got); diff != "" {
			t.Errorf("%s: %s", &r.Element, diff)
		}
	}
	if len(root.Component.References) == 0 {
		t.Error("there are no references")
	}
	var none descriptor.Digest
	if d, err := signing.DigestOf(component(), signing.Options{}); err != nil || *d == none {
		t.Errorf("DigestOf = %v, %v", d, err)
	}
}
