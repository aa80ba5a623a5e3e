package ocm_test

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// BenchmarkContent reads 16 MiB in each form local content can have. What it
// allocates doesn't depend on the size.
func BenchmarkContent(b *testing.B) {
	text := make([]byte, 16<<20)
	for i := range text {
		text[i] = byte(i * i >> 8)
	}
	packed, main, err := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: text}}}.Pack(ocmtest.Archive{})
	if err != nil {
		b.Fatal(err)
	}
	parts, extra := []string{}, ocmtest.Blobs{}
	for start := 0; start < len(text); start += 1 << 20 {
		part := append(fmt.Appendf(nil, "%08d", start), text[start:start+1<<20]...)
		extra[digest.FromBytes(part)] = part
		parts = append(parts, digest.FromBytes(part).String())
	}
	split, err := descriptor.NewAccess(access.LocalBlob{Type: "localBlob", LocalReference: strings.Join(parts, ","), MediaType: "text/plain"})
	if err != nil {
		b.Fatal(err)
	}
	d, blobs, err := ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "plain", Content: text},
		{Name: "split", Access: &split},
		{Name: "packed", Content: packed, MediaType: packedImage, Digest: descriptor.NewArtifactDigest(main)},
	}}.Build()
	if err != nil {
		b.Fatal(err)
	}
	maps.Copy(blobs, extra)
	repo, err := ocm.CreateCTF(filepath.Join(b.TempDir(), "archive"), ocm.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer repo.Close()
	if _, err := repo.Put(b.Context(), d, blobs, ocm.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	cv, err := repo.Get(b.Context(), shop, "1.0.0")
	if err != nil {
		b.Fatal(err)
	}
	for i := range cv.Descriptor().Component.Resources {
		res := &cv.Descriptor().Component.Resources[i]
		b.Run(res.Name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				blob, err := cv.Open(b.Context(), res, ocm.ReadOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, blob); err != nil {
					b.Fatal(err)
				}
				blob.Close()
			}
		})
	}
}

// BenchmarkGet reads a component version from an archive.
func BenchmarkGet(b *testing.B) {
	repo, err := ocm.OpenCTF("testdata/ctf/classic-byvalue.tgz", ocm.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer repo.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := repo.Get(b.Context(), "vectors.example/orchard/root", "3.0.0"); err != nil {
			b.Fatal(err)
		}
	}
}
