package vectors_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

// TestArchives holds every archive to its index: nothing is missing, and what is
// not what its digest says is in the archives that are about that only.
func TestArchives(t *testing.T) {
	t.Parallel()
	names := vectors.Names()
	if len(names) < 60 {
		t.Errorf("%d archives", len(names))
	}
	for _, name := range names {
		wrong := 0
		for path, content := range vectors.Files(t, name) {
			if d, ok := strings.CutPrefix(path, "blobs/sha256."); ok && digest.FromBytes(content).Encoded() != d {
				wrong++
			}
		}
		if want := strings.HasSuffix(name, "/blob-content-swapped"); (wrong > 0) != want {
			t.Errorf("%s: %d contents are not what their digest says", name, wrong)
		}
	}
}

// TestSigned holds the table of signatures to the descriptors.
func TestSigned(t *testing.T) {
	t.Parallel()
	all := vectors.AllSigned()
	if len(all) != 12+7+8+6+4 {
		t.Errorf("%d signed component versions", len(all))
	}
	for _, s := range all {
		url, _ := vectors.Serve(t, s.Place)
		repo, err := ocm.Open(url, ocm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cv, err := repo.Get(t.Context(), s.Component, s.Version)
		if err != nil {
			t.Errorf("%s: %v", s.Place, err)
			continue
		}
		if n := len(cv.Descriptor().Signatures); n != 1 {
			t.Errorf("%s: %d signatures", s.Place, n)
			continue
		}
		got := cv.Descriptor().Signatures[0]
		if got.Name != s.Signature || got.Signature.Algorithm != s.Algorithm || got.Digest.HashAlgorithm != s.Hash || got.Digest.NormalisationAlgorithm != s.Normalisation {
			t.Errorf("%s: signature %s by %s over %+v, want %+v", s.Place, got.Name, got.Signature.Algorithm, got.Digest, s)
		}
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	if n := len(vectors.Norms()); n != 13 {
		t.Errorf("%d canonical texts", n)
	}
	for _, name := range vectors.Norms() {
		if !slices.Contains(vectors.Names(), name) || !json.Valid(vectors.Norm(t, name)) {
			t.Errorf("%s: %.20q", name, vectors.Norm(t, name))
		}
	}
	for _, name := range []string{"good.pub.pem", "good.priv.pem", "wrong.pub.pem", "leaf.pub.pem", "ca.crt.pem", "chain.pem"} {
		if block, _ := pem.Decode(vectors.Key(t, name)); block == nil {
			t.Errorf("%s is not in PEM form", name)
		}
	}
}

func TestNegatives(t *testing.T) {
	t.Parallel()
	verdicts := map[string]int{}
	for _, n := range vectors.Negatives() {
		verdicts[n.Honest]++
		if clean := n.Honest != vectors.Reject && n.Name != "resource-digest-removed"; clean != (n.Fault.Path == nil) {
			t.Errorf("%s has the fault %+v", n.Archive(), n.Fault)
		}
		if n.Why == "" || len(vectors.Files(t, n.Archive())) == 0 {
			t.Errorf("%+v", n)
		}
	}
	if verdicts[vectors.Reject] != 22 || verdicts[vectors.Accept] != 2 || verdicts[vectors.Either] != 4 {
		t.Errorf("verdicts %v", verdicts)
	}
}

// TestSwapped serves what a registry would not store.
func TestSwapped(t *testing.T) {
	t.Parallel()
	const name, config = "negative-new/blob-content-swapped", "sha256:2ed5867ac82a6250572485ba965e3ff3165838aed725d9c7e69121309aecdb4b"
	_, server := vectors.Serve(t, name)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v2/vectors/component-descriptors/vectors.example/grove/leaf/blobs/"+config, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || digest.FromBytes(content) == config {
		t.Errorf("%s: %s, %v", answer.Status, content, err)
	}
}

// TestImages reads an image at the host the tools used.
func TestImages(t *testing.T) {
	t.Parallel()
	client := oci.NewClient(oci.Options{Home: vectors.ImageHost, Transport: vectors.Redirect(vectors.Images(t).Host)})
	repo, err := client.Repository(oci.Location{PlainHTTP: true, Host: vectors.ImageHost, Path: "orchard/pear-web"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := repo.Resolve(t.Context(), "1.0.0")
	if err != nil || !slices.ContainsFunc(vectors.Registered(), func(a vectors.Artifact) bool { return a.Digest == got }) {
		t.Errorf("Resolve = %v, %v", got, err)
	}
}

// TestPackedCTF opens the files that a tool wrote.
func TestPackedCTF(t *testing.T) {
	t.Parallel()
	for _, name := range vectors.Packed() {
		repo, err := ocm.OpenCTF(vectors.PackedCTF(t, name), ocm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		versions, err := repo.ListVersions(t.Context(), "vectors.example/orchard/root")
		if err != nil || len(versions) != 1 {
			t.Errorf("%s: versions %v, %v", name, versions, err)
		}
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	}
}
