package normalize_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

const (
	orchardRoot    = "vectors.example/orchard/root"
	orchardVersion = "3.0.0"
)

// openVectors opens an archive, or a part of the registry, of the reference tools.
func openVectors(tb testing.TB, place string) *ocm.Repository {
	tb.Helper()
	var repo *ocm.Repository
	var err error
	if strings.HasPrefix(place, vectors.RegistryPrefix) {
		url, _ := vectors.Serve(tb, place)
		repo, err = ocm.Open(url, ocm.Options{})
	} else {
		repo, err = ocm.OpenCTF(vectors.CTF(tb, place), ocm.Options{})
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := repo.Close(); err != nil {
			tb.Error(err)
		}
	})
	return repo
}

func load(tb testing.TB, repo *ocm.Repository, component, version string) *descriptor.Descriptor {
	tb.Helper()
	cv, err := repo.Get(tb.Context(), component, version)
	if err != nil {
		tb.Fatal(err)
	}
	return cv.Descriptor()
}

// TestTexts compares with the texts that a reference tool printed.
func TestTexts(t *testing.T) {
	t.Parallel()
	for _, name := range vectors.Norms() {
		d := load(t, openVectors(t, name), orchardRoot, orchardVersion)
		got, err := normalize.Normalise(d, d.Signatures[0].Digest.NormalisationAlgorithm)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(string(vectors.Norm(t, name)), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestSigned compares with the digests that the tools signed, of the component
// version and of all it refers to.
func TestSigned(t *testing.T) {
	t.Parallel()
	for _, s := range vectors.AllSigned() {
		t.Run(strings.ReplaceAll(s.Place, "/", " "), func(t *testing.T) {
			t.Parallel()
			repo := openVectors(t, s.Place)
			d := load(t, repo, s.Component, s.Version)
			sig := d.Signatures[0].Digest
			got, err := normalize.Digest(d, sig.HashAlgorithm, sig.NormalisationAlgorithm)
			if err != nil {
				t.Fatal(err)
			}
			if (got == sig) != (s.Broken == "") {
				t.Errorf("digest = %+v, signed was %+v; the transfer broke: %q", got, sig, s.Broken)
			}
			if s.Broken == "" {
				checkReferences(t, repo, d)
			}
		})
	}
}

// checkReferences compares the digests of references with what they refer to.
func checkReferences(t *testing.T, repo *ocm.Repository, d *descriptor.Descriptor) {
	t.Helper()
	for _, ref := range d.Component.References {
		child := load(t, repo, ref.ComponentName, ref.Version)
		got, err := normalize.Digest(child, ref.Digest.HashAlgorithm, ref.Digest.NormalisationAlgorithm)
		if err != nil || got != *ref.Digest {
			t.Errorf("%s:%s = %+v, %v, want %+v", ref.ComponentName, ref.Version, got, err, *ref.Digest)
		}
		checkReferences(t, repo, child)
	}
}

// TestManipulated holds that a digest changes with what is signed, and with
// nothing else.
func TestManipulated(t *testing.T) {
	t.Parallel()
	// What was changed in the others is not in the signed descriptor itself.
	changed := map[string]bool{
		"descriptor-changed": true, "reference-label-changed": true,
		"resource-access-none": true, "resource-digest-removed": true, "resource-excluded": true,
	}
	for _, n := range vectors.Negatives() {
		repo := openVectors(t, n.Archive())
		for _, s := range vectors.AllSigned() {
			if _, err := repo.Get(t.Context(), s.Component, s.Version); err != nil {
				continue
			}
			d := load(t, repo, s.Component, s.Version)
			sig := d.Signatures[0].Digest
			got, err := normalize.Digest(d, sig.HashAlgorithm, sig.NormalisationAlgorithm)
			if err != nil || (got == sig) == changed[n.Name] {
				t.Errorf("%s: digest = %+v, %v, signed was %+v", n.Archive(), got, err, sig)
			}
			break
		}
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	t.Parallel()
	d := &descriptor.Descriptor{}
	for name, tc := range map[string]struct{ hash, algorithm, want string }{
		"no normalisation":      {descriptor.SHA256, "", normalize.V4Alpha1},
		"unknown normalisation": {descriptor.SHA256, "jsonNormalisation/v5", normalize.V1},
		"another case":          {descriptor.SHA256, "JSONNormalisation/v3", normalize.V3},
		"no hash":               {"", normalize.V3, descriptor.SHA512},
		"weak hash":             {"SHA-1", normalize.V3, descriptor.SHA256},
		"excluded":              {descriptor.NoDigest, normalize.V3, descriptor.SHA256},
		"loose spelling":        {"Sha256", normalize.V3, descriptor.SHA256},
		"no hash of signatures": {"SHA-384", normalize.V3, descriptor.SHA256},
	} {
		_, err := normalize.Digest(d, tc.hash, tc.algorithm)
		if !errors.Is(err, normalize.ErrUnknownAlgorithm) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want what is allowed", name, err)
		}
	}
	if _, err := normalize.Normalise(d, "jsonNormalisation/v5"); !errors.Is(err, normalize.ErrUnknownAlgorithm) {
		t.Errorf("Normalise = %v", err)
	}
}

// TestSpelling keeps the names as they were given: they may be a part of the
// text that another descriptor signs.
func TestSpelling(t *testing.T) {
	t.Parallel()
	d := &descriptor.Descriptor{}
	for old, name := range map[string]string{"sha256": descriptor.SHA256, "sha512": descriptor.SHA512} {
		got, err := normalize.Digest(d, old, normalize.V3)
		if err != nil {
			t.Fatal(err)
		}
		want, err := normalize.Digest(d, name, normalize.V3)
		if err != nil {
			t.Fatal(err)
		}
		if got.HashAlgorithm != old || got.Value != want.Value {
			t.Errorf("%+v, want the value of %+v and the name %s", got, want, old)
		}
	}
}
