package signing_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// FuzzParseKeys reads anything as public keys, root certificates and signers.
// What is read can be used without a panic, and is read the same another time.
func FuzzParseKeys(f *testing.F) {
	for _, name := range []string{
		"good.pub.pem", "good.pub.pkcs1.pem", "good.priv.pem", "leaf.pub.pem", "leaf.key.pem", "leaf.crt.pem", "ca.crt.pem", "ca.key.pem", "chain.pem",
	} {
		f.Add(vectors.Key(f, name))
	}
	f.Add(slices.Concat(vectors.Key(f, "good.pub.pem"), vectors.Key(f, "wrong.pub.pem"), vectors.Key(f, "leaf.crt.pem")))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	good := signer(f, "good.priv.pem", "")
	d := signed(f, good, signing.Options{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := signing.ParsePublicKeys(data); err == nil {
			if n := len(k.Fingerprints()); n == 0 || n > 16 {
				t.Errorf("%d keys", n)
			}
			if again, err := signing.ParsePublicKeys(data); err != nil || again.Fingerprint() != k.Fingerprint() {
				t.Errorf("another time: %v", err)
			}
			c, err := signing.Check(d, signing.Request{Name: "release", Keys: k}, now)
			if err == nil && !slices.Contains(k.Fingerprints(), c.KeyFingerprint) || err != nil && !errors.Is(err, signing.ErrInvalid) {
				t.Errorf("%+v, %v", c, err)
			}
		}
		if a, err := signing.NewAuthority(data, "CN=release"); err == nil {
			if _, err := signing.Check(d, signing.Request{Name: "release", Authority: a}, now); !errors.Is(err, signing.ErrInvalid) {
				t.Errorf("without certificates: %v", err)
			}
		}
		if s, err := signing.ParseSigner(data, data); err == nil {
			t.Errorf("text is a key and a certificate at once: %v", s)
		}
		if s, err := signing.ParseSigner(data, nil); err == nil {
			if _, err := signing.Sign(component(), "release", s, signing.Options{}); err != nil {
				t.Errorf("a signer that was read cannot sign: %v", err)
			}
		}
	})
}

// FuzzSignature puts anything into the place of a signature. Nothing holds that
// is no signature of the digest, whatever its spelling.
func FuzzSignature(f *testing.F) {
	plain, armored := signed(f, signer(f, "leaf.key.pem", ""), signing.Options{}), signed(f, signer(f, "leaf.key.pem", "chain.pem"), signing.Options{})
	pss := signed(f, signer(f, "leaf.key.pem", ""), signing.Options{Algorithm: signing.PSS, HashAlgorithm: descriptor.SHA512})
	for _, d := range []*descriptor.Descriptor{plain, armored, pss} {
		s := d.Signatures[0]
		f.Add(s.Digest.HashAlgorithm, s.Digest.NormalisationAlgorithm, s.Digest.Value, s.Signature.Algorithm, s.Signature.MediaType, s.Signature.Value)
	}
	f.Add("NO-DIGEST", "EXCLUDE-FROM-SIGNATURE", "NO-DIGEST", "", "", "")
	f.Add("sha256", "jsonNormalisation/v1", "00", "RSASSA-PSS", "application/x-pem-file", "-----BEGIN SIGNATURE-----\n\nAA==\n-----END SIGNATURE-----\n-----BEGIN CERTIFICATE-----\n\nAA==\n-----END CERTIFICATE-----\n")
	public, ok := signer(f, "leaf.key.pem", "").Key.Public().(*rsa.PublicKey)
	if !ok {
		f.Fatal("not an RSA key")
	}
	authority, err := signing.NewAuthority(vectors.Key(f, "ca.crt.pem"), vectors.ChainSubject)
	if err != nil {
		f.Fatal(err)
	}
	requests := []signing.Request{{Name: "release", Keys: keys(f, "leaf.pub.pem")}, {Name: "release", Authority: authority}}
	f.Fuzz(func(t *testing.T, hash, normalisation, digest, algorithm, mediaType, value string) {
		d := component()
		d.Signatures = []descriptor.Signature{{
			Name: "release", Digest: descriptor.Digest{HashAlgorithm: hash, NormalisationAlgorithm: normalisation, Value: digest},
			Signature: descriptor.SignatureValue{Algorithm: algorithm, MediaType: mediaType, Value: value},
		}}
		for _, r := range requests {
			_, err := signing.Check(d, r, now)
			switch {
			case err == nil:
				if !isSignature(t, d, public) {
					t.Errorf("it holds: %+v", d.Signatures)
				}
			case !errors.Is(err, signing.ErrInvalid):
				t.Errorf("error %v", err)
			case len(err.Error()) > 2000:
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
		}
	})
}

// isSignature reports whether the only signature is one of the digest of a
// component version.
func isSignature(t *testing.T, d *descriptor.Descriptor, public *rsa.PublicKey) bool {
	t.Helper()
	s := d.Signatures[0]
	want, err := normalize.Digest(d, s.Digest.HashAlgorithm, s.Digest.NormalisationAlgorithm)
	if err != nil || want.Value != s.Digest.Value {
		t.Errorf("the digest is %+v, %v", want, err)
	}
	digest, err := hex.DecodeString(want.Value)
	if err != nil {
		t.Fatal(err)
	}
	hash := crypto.SHA256
	if len(digest) == crypto.SHA512.Size() {
		hash = crypto.SHA512
	}
	var value []byte
	if block, _ := pem.Decode([]byte(s.Signature.Value)); block != nil {
		value = block.Bytes
	} else if value, err = hex.DecodeString(s.Signature.Value); err != nil {
		t.Fatal(err)
	}
	if s.Signature.Algorithm == signing.PSS {
		return rsa.VerifyPSS(public, hash, digest, value, nil) == nil
	}
	return rsa.VerifyPKCS1v15(public, hash, digest, value) == nil
}

// FuzzParseSubject reads anything as a subject. How it is written is read as the
// same subject.
func FuzzParseSubject(f *testing.F) {
	for _, text := range []string{
		vectors.ChainSubject, "CN=a", `OU=Sales+CN=J.  Smith,DC=example,DC=net`, `CN=James \"Jim\" Smith\, III`, `CN=Before\0dAfter`, `CN=Lu\C4\8Di\C4\87`,
		`CN="Acme, Inc. ",O = x `, `CN=\ a\ `, "1.2.3=#13024869", "OID.2.5.4.3=a", "/C=DE/CN=a", "CN=", "=", `\`, "CN=#", `CN="`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := signing.ParseSubject(text)
		if err != nil {
			if s.String() != "" {
				t.Errorf("%q is %q, and an error: %v", text, s, err)
			}
			return
		}
		written := s.String()
		if !strings.Contains(written, "=") {
			t.Errorf("%q is %q", text, written)
		}
		// Escapes make it longer than what is read.
		if len(written) > 1024 {
			return
		}
		if again, err := signing.ParseSubject(written); err != nil || again.String() != written {
			t.Errorf("%q is %q, which is %q, %v", text, written, again, err)
		}
	})
}
