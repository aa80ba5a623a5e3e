package signing_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// many returns a component version with a number of resources.
func many(resources int) *descriptor.Descriptor {
	d := component()
	template := d.Component.Resources[0]
	d.Component.Resources = nil
	for i := range resources {
		r := template
		r.Name = "resource-" + strconv.Itoa(i)
		r.ExtraIdentity = descriptor.Identity{"architecture": "arm64", "os": "linux"}
		r.Labels = []descriptor.Label{{Name: "tier", Value: []byte(`{"name":"backend","weight":3}`), Signing: true}, {Name: "note", Value: []byte(`"not signed"`)}}
		d.Component.Resources = append(d.Component.Resources, r)
	}
	return d
}

// BenchmarkCheck normalises and verifies component versions.
func BenchmarkCheck(b *testing.B) {
	authority, err := signing.NewAuthority(vectors.Key(b, "ca.crt.pem"), vectors.ChainSubject)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		with    string
		signer  *signing.Signer
		request signing.Request
	}{
		{"key", signer(b, "good.priv.pem", ""), signing.Request{Name: "release", Keys: keys(b, "good.pub.pem")}},
		{"chain", signer(b, "leaf.key.pem", "chain.pem"), signing.Request{Name: "release", Authority: authority}},
	} {
		for _, n := range []int{10, 1_000, 10_000} {
			b.Run(fmt.Sprintf("%s/resources=%d", c.with, n), func(b *testing.B) {
				d := many(n)
				s, err := signing.Sign(d, "release", c.signer, signing.Options{})
				if err != nil {
					b.Fatal(err)
				}
				d.Signatures = []descriptor.Signature{*s}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := signing.Check(d, c.request, now); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSign signs a component version.
func BenchmarkSign(b *testing.B) {
	d, s := many(10), signer(b, "good.priv.pem", "")
	for b.Loop() {
		if _, err := signing.Sign(d, "release", s, signing.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
