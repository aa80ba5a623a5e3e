package normalize_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// large returns a descriptor with n resources like those of real components, and
// what is stored of it.
func large(b *testing.B, n int) (*descriptor.Descriptor, []byte) {
	b.Helper()
	d := minimal(func(c *descriptor.Component) {
		c.Name, c.Version, c.CreationTime = "acme.org/large", "1.0.0", "2026-11-21T00:00:00Z"
		for i := range n {
			access := fmt.Sprintf(`{"type":"ociArtifact","imageReference":"ghcr.io/acme/images/service-%d:1.0.%d@sha256:%064x"}`, i, i, i)
			c.Resources = append(c.Resources, descriptor.Resource{
				Element: descriptor.Element{
					Name: fmt.Sprintf("service-%d", i), Version: fmt.Sprintf("1.0.%d", i), ExtraIdentity: descriptor.Identity{"architecture": "amd64", "os": "linux"},
					Labels: []descriptor.Label{{Name: "team", Signing: true, Value: json.RawMessage(`{"name":"shop","level":3}`)}, {Name: "note", Value: json.RawMessage(`"unsigned"`)}},
				},
				Type: "ociImage", Relation: descriptor.ExternalRelation, Access: descriptor.Access{Type: "ociArtifact", Raw: json.RawMessage(access)},
				Digest: &descriptor.Digest{HashAlgorithm: descriptor.SHA256, NormalisationAlgorithm: descriptor.OCIArtifactDigest, Value: fmt.Sprintf("%064x", i)},
			})
		}
	})
	c := &d.Component
	stored, err := json.Marshal(map[string]any{
		"meta": map[string]any{"schemaVersion": "v2"},
		"component": map[string]any{
			"name": c.Name, "version": c.Version, "creationTime": c.CreationTime, "provider": c.Provider.Name,
			"resources": c.Resources, "sources": []any{}, "componentReferences": []any{}, "repositoryContexts": []any{},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return d, stored
}

// BenchmarkDigest takes the digest of descriptors of three sizes. It reports how
// fast that is with 1 for the speed of hashing what is stored of the descriptor,
// and of parsing it, which comes before; throughput is of what is stored.
func BenchmarkDigest(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		d, stored := large(b, n)
		for _, algorithm := range algorithms {
			b.Run(fmt.Sprintf("%d resources/%s", n, algorithm[len("jsonNormalisation/"):]), func(b *testing.B) {
				b.SetBytes(int64(len(stored)))
				b.ReportAllocs()
				hashed := quickest(b, func() error { sha256.Sum256(stored); return nil })
				parsed := quickest(b, func() error {
					_, err := descriptor.ParseWithin(stored, int64(len(stored)))
					return err
				})
				best := time.Duration(-1)
				for b.Loop() {
					start := time.Now()
					if _, err := normalize.Digest(d, descriptor.SHA256, algorithm); err != nil {
						b.Fatal(err)
					}
					if took := time.Since(start); best < 0 || took < best {
						best = took
					}
				}
				b.ReportMetric(float64(hashed)/float64(best), "x/sha256")
				b.ReportMetric(float64(parsed)/float64(best), "x/parse")
			})
		}
	}
}

// quickest returns the time of the fastest of a few runs.
func quickest(b *testing.B, run func() error) time.Duration {
	b.Helper()
	best := time.Duration(-1)
	for range 5 {
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
