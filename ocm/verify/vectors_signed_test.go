package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// repository reads what component versions refer to out of the repository that
// they are in.
type repository struct{ *ocm.Repository }

// Version implements verify.Source.
func (r repository) Version(ctx context.Context, component, version string) (verify.Version, error) {
	return r.Get(ctx, component, version)
}

// withImages returns options that lead to the images of the vectors.
func withImages(t *testing.T) ocm.Options {
	t.Helper()
	hosts, err := oci.ParseHosts([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return ocm.Options{Transport: vectors.Redirect(vectors.Images(t).Host), Hosts: hosts}
}

// verifyVector verifies a component version with one signature.
func verifyVector(t *testing.T, repo *ocm.Repository, component, version string, request signing.Request) (*verify.Proof, error) {
	t.Helper()
	root, err := repo.Get(t.Context(), component, version)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Verify(t.Context(), repository{repo}, root, []signing.Request{request}, verify.Options{})
}

// requestOf returns a request for a signature that is made with a key, or with
// any of several in the files of the vectors' keys.
func requestOf(t *testing.T, signature string, files ...string) signing.Request {
	t.Helper()
	var pem []byte
	for _, file := range files {
		pem = append(pem, vectors.Key(t, file)...)
	}
	keys, err := signing.ParsePublicKeys(pem)
	if err != nil {
		t.Fatal(err)
	}
	return signing.Request{Name: signature, Keys: keys}
}

func requestOfChain(t *testing.T, signature, roots, subject string) signing.Request {
	t.Helper()
	authority, err := signing.NewAuthority(vectors.Key(t, roots), subject)
	if err != nil {
		t.Fatal(err)
	}
	return signing.Request{Name: signature, Authority: authority}
}

// requestFor returns the request that a signed vector satisfies.
func requestFor(t *testing.T, s *vectors.Signed) signing.Request {
	t.Helper()
	if s.Signature == vectors.ChainSignature {
		return requestOfChain(t, s.Signature, "ca.crt.pem", vectors.ChainSubject)
	}
	return requestOf(t, s.Signature, "good.pub.pem")
}

// places returns the repositories that a signed vector can be read from.
func places(t *testing.T, s *vectors.Signed, o ocm.Options) []*ocm.Repository {
	t.Helper()
	url, _ := vectors.Serve(t, s.Place)
	remote, err := ocm.Open(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = remote.Close() })
	if strings.HasPrefix(s.Place, vectors.RegistryPrefix) {
		return []*ocm.Repository{remote}
	}
	archive, err := ocm.OpenCTF(vectors.CTF(t, s.Place), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = archive.Close() })
	return []*ocm.Repository{remote, archive}
}

// TestSignedVectors verifies everything that the reference tools signed and
// transferred, in archives and registries, with the right key and with a wrong
// one. What a transfer has broken is refused, and it is said why.
func TestSignedVectors(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	for _, s := range vectors.AllSigned() {
		t.Run(strings.ReplaceAll(s.Place, "/", " "), func(t *testing.T) {
			t.Parallel()
			for _, repo := range places(t, &s, o) {
				proof, err := verifyVector(t, repo, s.Component, s.Version, requestFor(t, &s))
				if s.Broken != "" {
					refusedSignature(t, err, s.Signature, "was changed after it was signed")
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", repo.URL(), err)
					continue
				}
				checkProof(t, &s, repo, proof)
				_, err = verifyVector(t, repo, s.Component, s.Version, requestOf(t, s.Signature, "wrong.pub.pem"))
				refusedSignature(t, err, s.Signature, "was made with another key")
			}
		})
	}
}

// checkProof compares a proof with what is known of the vector.
func checkProof(t *testing.T, s *vectors.Signed, repo *ocm.Repository, proof *verify.Proof) {
	t.Helper()
	if len(proof.Signatures) != 1 {
		t.Fatalf("proof has the signatures %+v", proof.Signatures)
	}
	got := proof.Signatures[0]
	if got.Name != s.Signature || got.Algorithm != s.Algorithm || got.Digest.HashAlgorithm != s.Hash || got.Digest.NormalisationAlgorithm != s.Normalisation {
		t.Errorf("proven is %+v, want %+v", got, s)
	}
	key := "good.pub.pem"
	if s.Signature == vectors.ChainSignature {
		key = "leaf.pub.pem"
	}
	if want := requestOf(t, s.Signature, key).Keys.Fingerprints()[0]; got.KeyFingerprint != want {
		t.Errorf("key %s, want %s", got.KeyFingerprint, want)
	}
	want := []string{s.Component + ":" + s.Version}
	if !strings.HasSuffix(s.Component, "/many") {
		parent := strings.TrimSuffix(s.Component, "root")
		want = append(want, parent+"mid:2.1.0-rc.1", parent+"leaf:1.0.0")
	}
	var names []string
	for _, v := range proof.Versions {
		names = append(names, v.Component+":"+v.Version)
		if pinned, err := repo.Resolve(t.Context(), v.Component, v.Version); err != nil || pinned != v.Manifest {
			t.Errorf("%s:%s is pinned to %s, there is %s, %v", v.Component, v.Version, v.Manifest, pinned, err)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("proven are %q, want %q", names, want)
	}
	// The first tool's root has one resource with access none, and nothing else.
	unprotected := 0
	if strings.HasSuffix(s.Component, "orchard/root") {
		unprotected = 1
	}
	if len(proof.Unprotected) != unprotected || unprotected == 1 && (proof.Unprotected[0].Resource.Name != "nothing" || proof.Unprotected[0].Why != verify.NoContent) {
		t.Errorf("not protected are %+v, want %d", proof.Unprotected, unprotected)
	}
}

// refusedSignature wants a refusal that lasts, and says which signature does not
// hold and why.
func refusedSignature(t *testing.T, err error, signature, why string) {
	t.Helper()
	refused, ok := errors.AsType[*verify.Error](err)
	if !ok || !errors.Is(err, signing.ErrInvalid) || !refused.Lasting {
		t.Errorf("Verify = %v, want a lasting refusal of the signature", err)
		return
	}
	for _, part := range []string{`signature "` + signature + `"`, why} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("Verify = %v, which doesn't say %q", err, part)
		}
	}
}

// TestVectorKeys verifies one vector with keys in several forms, and the one with
// certificates in the ways that are right and wrong.
func TestVectorKeys(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	chain := vectors.ChainSignature
	for name, tt := range map[string]struct {
		place   string
		request signing.Request
		// says is what the error must contain; empty if the signature holds.
		says string
	}{
		"pkcs1 form":            {"classic/signed-byvalue", requestOf(t, vectors.Signature, "good.pub.pkcs1.pem"), ""},
		"one of two":            {"classic/signed-byvalue", requestOf(t, vectors.Signature, "wrong.pub.pem", "good.pub.pem"), ""},
		"another name":          {"classic/signed-byvalue", requestOf(t, "operations", "good.pub.pem"), `has none of this name, it has "orchard"`},
		"chain":                 {"classic/signed-pem", requestOfChain(t, chain, "ca.crt.pem", vectors.ChainSubject), ""},
		"part of the subject":   {"classic/signed-pem", requestOfChain(t, chain, "ca.crt.pem", "CN=pear-signer"), ""},
		"intermediate as root":  {"classic/signed-pem", requestOfChain(t, chain, "int.crt.pem", vectors.ChainSubject), ""},
		"another subject":       {"classic/signed-pem", requestOfChain(t, chain, "ca.crt.pem", "CN=apple-signer,O=Orchard Test"), "apple-signer"},
		"key of the chain":      {"classic/signed-pem", requestOf(t, chain, "leaf.pub.pem"), ""},
		"certificate":           {"classic/signed-pem", requestOf(t, chain, "leaf.crt.pem"), ""},
		"another key for chain": {"classic/signed-pem", requestOf(t, chain, "good.pub.pem"), chain},
		"chain that isn't":      {"classic/signed-byvalue", requestOfChain(t, vectors.Signature, "ca.crt.pem", "CN=pear-signer"), "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, err := ocm.OpenCTF(vectors.CTF(t, tt.place), o)
			if err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			_, err = verifyVector(t, repo, "vectors.example/orchard/root", vectors.Version, tt.request)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("Verify = %v", err)
			case tt.says != "" && (!errors.Is(err, verify.ErrRefused) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("Verify = %v, want a refusal that says %q", err, tt.says)
			}
		})
	}
}
