package store_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// FuzzPutManifest puts any manifest under any tag. What is accepted comes back byte by byte,
// and everything that it names can be read.
func FuzzPutManifest(f *testing.F) {
	r := repository(f, open(f, f.TempDir(), store.Options{}), "a")
	config := push(f, r, "{}")
	child, _ := artifact(f, r, "child")
	f.Add(ocispec.MediaTypeImageManifest, image(f, &child, config, push(f, r, "layer")), "v1")
	f.Add(ocispec.MediaTypeImageIndex, indexOf(f, child), "latest")
	f.Add(ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":{"digest":"sha256:../x"},"layers":[],"Layers":[{}]}`), "../x")
	f.Add("application/vnd.docker.distribution.manifest.v2+json", image(f, nil, config), "a+b")
	f.Add(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[{"digest":"`+config.Digest.String()+`","size":2}]}`), "t")
	f.Add(ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"x":{"y":[1e999,{"z":null,"Z":{}}]},"config":{"digest":"`+config.Digest.String()+`","size":2,"Size":3},"layers":[]}`), "t")
	f.Fuzz(func(t *testing.T, mediaType string, body []byte, tag string) {
		desc, err := r.PutManifest(context.Background(), mediaType, body, tag)
		if err != nil {
			var (
				refused  *store.ManifestError
				missing  *store.MissingBlobError
				nameless *store.NameError
			)
			if !errors.As(err, &refused) && !errors.As(err, &missing) && !errors.As(err, &nameless) {
				t.Fatalf("no verdict: %v", err)
			}
			return
		}
		for _, ref := range []string{tag, desc.Digest.String()} {
			got, back, err := r.Manifest(context.Background(), ref)
			if err != nil || !bytes.Equal(back, body) || got.Digest != digest.FromBytes(body) || got.MediaType != mediaType {
				t.Fatalf("%s: %v, %v", ref, got, err)
			}
		}
		if mediaType == ocispec.MediaTypeImageManifest && !strings.Contains(string(body), "urls") && !strings.Contains(string(body), "foreign") && !strings.Contains(string(body), "nondistributable") {
			if err := checkArtifact(context.Background(), r, tag); err != nil {
				t.Fatalf("accepted, and it dangles: %v", err)
			}
		}
	})
}

// FuzzNames checks that what is a valid name or digest stays inside of the store's directory.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"a/b", "a/../b", "A", "sha256:" + strings.Repeat("0", 64), "v1.0", "a__b", "a---b", "..", "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if store.ValidName(s) && (strings.Contains(s, "..") || strings.Contains(s, "//") || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-/") != "" || strings.HasPrefix(s, "/")) {
			t.Errorf("name %q", s)
		}
		if store.ValidTag(s) && strings.ContainsAny(s, "/:\\ \x00") {
			t.Errorf("tag %q", s)
		}
		if d, err := store.ParseDigest(s); err == nil && (d.Validate() != nil || strings.ContainsAny(s, "/.\\")) {
			t.Errorf("digest %q", s)
		}
	})
}

func BenchmarkPutManifest(b *testing.B) {
	s, err := store.Open(b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := repository(b, s, "a")
	body := image(b, nil, push(b, r, "{}"), push(b, r, "layer"))
	for name, suffix := range map[string]func(i int) string{
		"unchanged": func(int) string { return "" },
		"new":       func(i int) string { return strings.Repeat(" ", i%1000+1) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := r.PutManifest(b.Context(), ocispec.MediaTypeImageManifest, append(body, suffix(i)...), "v1"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
