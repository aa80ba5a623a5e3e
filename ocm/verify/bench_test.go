package verify_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// perVersion is how many resources a component version of a tree has.
const perVersion = 20

// treeOf returns a root that refers to component versions with so many resources.
func treeOf(b *testing.B, resources int) (root *descriptor.Descriptor, all []*descriptor.Descriptor) {
	b.Helper()
	var references []any
	for at := 0; at < resources; at += perVersion {
		var elements []any
		for i := at; i < min(at+perVersion, resources); i++ {
			elements = append(elements, resource(fmt.Sprintf("r%d", i)))
		}
		d := component(fmt.Sprintf("part%d", at), elements...)
		all, references = append(all, d), append(references, reference(d))
	}
	return sign(b, component("root", references...)), all
}

// BenchmarkVerify verifies trees whose contents take no time. It reports how many
// times as long that takes as computing the digests of the descriptors.
func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			root, all := treeOf(b, n)
			w := newWorld(all...)
			b.ReportAllocs()
			verified, hashed := time.Hour, time.Hour
			for b.Loop() {
				w.order, w.reads = nil, map[string]int{}
				start := time.Now()
				proof, err := w.verify(b, root, verify.Options{})
				if err != nil || len(proof.Versions) != len(all)+1 {
					b.Fatalf("Verify = %v", err)
				}
				verified = min(verified, time.Since(start))
				start = time.Now()
				for _, d := range append(all, root) {
					if _, err := normalize.Digest(d, descriptor.SHA256, normalize.V3); err != nil {
						b.Fatal(err)
					}
				}
				hashed = min(hashed, time.Since(start))
			}
			b.ReportMetric(float64(verified)/float64(hashed), "x/digests")
		})
	}
}

// BenchmarkVerifyArchive verifies a component version with many small resources,
// which are read out of an archive.
func BenchmarkVerifyArchive(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			by, _ := ocmtest.SignerOf(b, signer)
			c := ocmtest.Component{Name: "acme.org/root", Version: "1.0.0", Signatures: []ocmtest.Signature{{Name: signer, Signer: by}}}
			for i := range n {
				c.Resources = append(c.Resources, ocmtest.Resource{Name: fmt.Sprintf("r%d", i), Content: fmt.Appendf(nil, "content %d", i)})
			}
			d, blobs, err := c.Build()
			if err != nil {
				b.Fatal(err)
			}
			archive, err := ocm.CreateCTF(filepath.Join(b.TempDir(), "archive"), ocm.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer archive.Close()
			if _, err := archive.Put(b.Context(), d, blobs, ocm.PutOptions{}); err != nil {
				b.Fatal(err)
			}
			root, err := archive.Get(b.Context(), "acme.org/root", "1.0.0")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify.Verify(b.Context(), repository{archive}, root, requests(b), verify.Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/resource")
		})
	}
}
