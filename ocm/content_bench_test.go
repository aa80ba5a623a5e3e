package ocm_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

// benchText is 16 MiB that can be compressed, as the content of most resources.
func benchText() []byte {
	text := make([]byte, 16<<20)
	for i := range text {
		text[i] = byte(i * i >> 8)
	}
	return text
}

// formsOf returns a component version with the text in each form local content
// can have.
func formsOf(b *testing.B, text []byte) (*descriptor.Descriptor, ocmtest.Blobs) {
	b.Helper()
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
	return d, blobs
}

// fastest returns the time of the fastest of a few runs.
func fastest(b *testing.B, run func() error) time.Duration {
	b.Helper()
	best := time.Duration(-1)
	for range 3 {
		start := time.Now()
		if err := run(); err != nil {
			b.Fatal(err)
		}
		if took := time.Since(start); best < 0 || took < best {
			best = took
		}
	}
	return best
}

// BenchmarkContent reads 16 MiB in each form local content can have, out of an
// archive and out of a registry. It reports how many times as long that takes as
// the hash of the same bytes, and as unpacking them, measured in the same run;
// and how much the heap grew. What is allocated doesn't depend on the size.
func BenchmarkContent(b *testing.B) {
	text := benchText()
	d, blobs := formsOf(b, text)
	hashed := fastest(b, func() error {
		_, err := sha256.New().Write(text)
		return err
	})
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write(text); err != nil {
		b.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		b.Fatal(err)
	}
	unpacked := fastest(b, func() error {
		zr, err := gzip.NewReader(bytes.NewReader(zipped.Bytes()))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, zr)
		return err
	})
	server := ocmtest.Start(b)
	archive, err := ocm.CreateCTF(filepath.Join(b.TempDir(), "archive"), ocm.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer archive.Close()
	for place, repo := range map[string]*ocm.Repository{"archive": archive, "registry": open(b, server.URL, ocm.Options{})} {
		if _, err := repo.Put(b.Context(), d, blobs, ocm.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		cv, err := repo.Get(b.Context(), shop, "1.0.0")
		if err != nil {
			b.Fatal(err)
		}
		for i := range cv.Descriptor().Component.Resources {
			res := &cv.Descriptor().Component.Resources[i]
			b.Run(place+"/"+res.Name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				held, best := heldWhileReading(b, cv, res), time.Duration(-1)
				for b.Loop() {
					start := time.Now()
					blob, err := cv.Open(b.Context(), res, ocm.ReadOptions{})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, blob); err != nil {
						b.Fatal(err)
					}
					blob.Close()
					if took := time.Since(start); best < 0 || took < best {
						best = took
					}
				}
				b.ReportMetric(float64(hashed)/float64(best), "x/sha256")
				b.ReportMetric(float64(unpacked)/float64(best), "x/gunzip")
				b.ReportMetric(held, "MiB-live")
			})
		}
	}
}

// heldWhileReading returns by how many MiB the live heap grew in the middle of a
// read.
func heldWhileReading(b *testing.B, cv *ocm.ComponentVersion, res *descriptor.Resource) float64 {
	b.Helper()
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	blob, err := cv.Open(b.Context(), res, ocm.ReadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer blob.Close()
	if _, err := io.CopyN(io.Discard, blob, 8<<20); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	return float64(during.HeapAlloc-min(before.HeapAlloc, during.HeapAlloc)) / (1 << 20)
}

// BenchmarkGet reads a component version from an archive, and from a registry.
func BenchmarkGet(b *testing.B) {
	archive, err := ocm.OpenCTF(vectors.PackedCTF(b, "classic/ctf-byvalue"), ocm.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer archive.Close()
	server := ocmtest.Start(b)
	if _, err := shopVersion("1.0.0").Publish(b.Context(), server.URL, ocm.Options{}); err != nil {
		b.Fatal(err)
	}
	for name, get := range map[string]func() error{
		"archive": func() error {
			_, err := archive.Get(b.Context(), "vectors.example/orchard/root", "3.0.0")
			return err
		},
		"registry": func() error {
			_, err := open(b, server.URL, ocm.Options{}).Get(b.Context(), shop, "1.0.0")
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := get(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
