package transfer_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// requestFor returns the request that a signed vector satisfies.
func requestFor(t *testing.T, s *vectors.Signed) signing.Request {
	t.Helper()
	if s.Signature == vectors.ChainSignature {
		authority, err := signing.NewAuthority(vectors.Key(t, "ca.crt.pem"), vectors.ChainSubject)
		if err != nil {
			t.Fatal(err)
		}
		return signing.Request{Name: s.Signature, Authority: authority}
	}
	keys, err := signing.ParsePublicKeys(vectors.Key(t, "good.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return signing.Request{Name: s.Signature, Keys: keys}
}

// origin returns the place that a vector is in.
func origin(t *testing.T, s *vectors.Signed, transport http.RoundTripper) place {
	t.Helper()
	o := access(t, "", transport)
	if strings.HasPrefix(s.Place, vectors.RegistryPrefix) {
		url, server := vectors.Serve(t, s.Place)
		repository, err := ocm.Open(url, o)
		if err != nil {
			t.Fatal(err)
		}
		return place{Repository: repository, name: s.Place, host: server.Host}
	}
	repository, err := ocm.OpenCTF(vectors.CTF(t, s.Place), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := repository.Close(); err != nil {
			t.Error(err)
		}
	})
	return place{Repository: repository, name: s.Place}
}

// nowhere sends what is for the registry of the reference tools where nobody is.
func nowhere() http.RoundTripper { return vectors.Redirect("127.0.0.1:9") }

// hop transfers a vector to a place, and proves that everything is there and nothing has changed.
func hop(t *testing.T, s *vectors.Signed, from, to place, o transfer.Options) int {
	t.Helper()
	request := requestFor(t, s)
	o.Verify = []signing.Request{request}
	result, err := transfer.Run(t.Context(), from.Repository, to.Repository, s.Component, s.Version, o)
	if err != nil {
		t.Fatalf("%s to %s: %v", from.name, to.name, err)
	}
	proof := prove(t, to, s.Component, s.Version, request)
	arrived(t, to, proof, result)
	same(t, from, to, proof)
	return images(t, from, to, proof, o.Resources != transfer.NoResources)
}

// TestSignedVectorsTravel copies everything that the reference tools have signed, in all forms, by value through registries of
// three makes and an archive. After the first copy the place that they came from is gone.
func TestSignedVectorsTravel(t *testing.T) {
	t.Parallel()
	images := vectors.Redirect(vectors.Images(t).Host)
	for _, s := range vectors.AllSigned() {
		if s.Broken != "" {
			continue
		}
		t.Run(strings.ReplaceAll(s.Place, "/", "-"), func(t *testing.T) {
			t.Parallel()
			first := in(t, distribution, nowhere())
			compared := hop(t, &s, origin(t, &s, images), first, transfer.Options{})
			if compared == 0 && !strings.HasSuffix(s.Component, "/many") { // which has none
				t.Error("no image was compared")
			}
			second := in(t, ours, nowhere())
			again := hop(t, &s, first, second, transfer.Options{})
			path, open := archive(t, "carried.tgz")
			carrier := open()
			hop(t, &s, second, carrier, transfer.Options{})
			carrier.closed(t)
			carried := open()
			last := in(t, gcr, nowhere())
			if n := hop(t, &s, carried, last, transfer.Options{}); n != compared || again != compared {
				t.Errorf("%d, %d and %d images were compared on the way", compared, again, n)
			}
			carried.closed(t)
			t.Logf("carried in %s", path)
		})
	}
}

// TestSignedVectorsByReference copies component versions and leaves their images where they are.
func TestSignedVectorsByReference(t *testing.T) {
	t.Parallel()
	images := vectors.Redirect(vectors.Images(t).Host)
	for _, s := range vectors.AllSigned() {
		if s.Broken != "" || strings.HasPrefix(s.Place, "new/signed-") && s.Place != "new/signed-pkcs1-SHA-256-v4alpha1" {
			continue
		}
		t.Run(strings.ReplaceAll(s.Place, "/", "-"), func(t *testing.T) {
			t.Parallel()
			first, second := in(t, ours, images), in(t, gcr, images)
			hop(t, &s, origin(t, &s, images), first, transfer.Options{Resources: transfer.NoResources})
			hop(t, &s, first, second, transfer.Options{Resources: transfer.NoResources})
			_, open := archive(t, "folder")
			carrier := open()
			defer carrier.closed(t)
			// An archive has no images of its own to lead to.
			carrier.Repository = reopened(t, carrier, images)
			hop(t, &s, second, carrier, transfer.Options{Resources: transfer.NoResources})
		})
	}
}

// reopened opens an archive that others' images are reached from.
func reopened(t *testing.T, p place, transport http.RoundTripper) *ocm.Repository {
	t.Helper()
	path := p.URL()
	p.closed(t)
	repository, err := ocm.CreateCTF(path, access(t, "", transport))
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// TestBrokenVectorsStay wants what is not what was signed to be refused before anything is sent.
func TestBrokenVectorsStay(t *testing.T) {
	t.Parallel()
	images := vectors.Redirect(vectors.Images(t).Host)
	for _, s := range vectors.AllSigned() {
		if s.Broken == "" {
			continue
		}
		t.Run(strings.ReplaceAll(s.Place, "/", "-"), func(t *testing.T) {
			t.Parallel()
			target := in(t, ours, nowhere())
			_, err := transfer.Run(t.Context(), origin(t, &s, images).Repository, target.Repository, s.Component, s.Version,
				transfer.Options{Verify: []signing.Request{requestFor(t, &s)}})
			if !errors.Is(err, verify.ErrRefused) {
				t.Errorf("Run = %v, want that the signature is refused", err)
			}
			if _, err := target.Get(t.Context(), s.Component, s.Version); !errors.Is(err, ocm.ErrNotFound) {
				t.Errorf("Get = %v, want that nothing is there", err)
			}
		})
	}
}
