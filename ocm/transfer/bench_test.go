package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// benched is a component version with some local blobs and images.
func benched(b *testing.B, p *pair, blobs, size int) {
	b.Helper()
	c := ocmtest.Component{Name: shop, Version: "1.0.0"}
	for i := range blobs {
		content := bytes.Repeat([]byte{byte(i)}, size)
		c.Resources = append(c.Resources, ocmtest.Resource{Name: fmt.Sprintf("blob%d", i), Content: content})
	}
	p.publish(b, c)
}

// BenchmarkRun transfers 16 blobs of 1 MiB between two registries in memory.
func BenchmarkRun(b *testing.B) {
	p := newPair(b)
	benched(b, p, 16, 1<<20)
	b.SetBytes(16 << 20)
	b.ReportAllocs()
	for b.Loop() {
		server := ocmtest.Start(b)
		run(b, p.source, open(b, server.URL, p.options), shop, "1.0.0", transfer.Options{Confirm: transfer.ConfirmDescriptors})
	}
}

// BenchmarkUnchanged transfers what is there already.
func BenchmarkUnchanged(b *testing.B) {
	p := newPair(b)
	benched(b, p, 50, 100)
	run(b, p.source, p.target, shop, "1.0.0", transfer.Options{})
	b.ReportAllocs()
	for b.Loop() {
		run(b, p.source, p.target, shop, "1.0.0", transfer.Options{Confirm: transfer.ConfirmDescriptors})
	}
}

// BenchmarkCheck looks after what was transferred, and remembers it.
func BenchmarkCheck(b *testing.B) {
	p := newPair(b)
	benched(b, p, 50, 100)
	want := run(b, p.source, p.target, shop, "1.0.0", transfer.Options{}).Versions[0].Target
	o := transfer.Options{Memory: transfer.NewMemory(0)}
	b.ReportAllocs()
	for b.Loop() {
		if drift, err := transfer.Check(context.Background(), p.target, shop, "1.0.0", want, o); drift != nil || err != nil {
			b.Fatal(drift, err)
		}
	}
}
