package transfer_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/shop"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestForms keeps images within component versions of a registry, then as archives of their own within a transport archive, which
// is what older tools read, and then in repositories of their own: they are the same in the end.
func TestForms(t *testing.T) {
	t.Parallel()
	source, within, last := in(t, ours, nil), in(t, distribution, nil), in(t, gcr, nil)
	publish(t, source, "1.0.0")
	_, request := release(t)
	deliver(t, source, within, "1.0.0", transfer.Options{Artifacts: transfer.LocalArtifacts})
	_, open := archive(t, "packed.tgz")
	carrier := open()
	o := transfer.Options{Artifacts: transfer.PackedArtifacts}
	result, err := transfer.Run(t.Context(), within.Repository, carrier.Repository, shop.Name, "1.0.0", o)
	if err != nil {
		t.Fatal(err)
	}
	carrier.closed(t)
	carrier = open()
	defer carrier.closed(t)
	proof := prove(t, carrier, shop.Name, "1.0.0", request)
	arrived(t, carrier, proof, result)
	same(t, source, carrier, proof)
	if n := images(t, source, carrier, proof, true); n != 0 {
		t.Errorf("%d artifacts are no archives", n)
	}

	if _, err := transfer.Run(t.Context(), carrier.Repository, last.Repository, shop.Name, "1.0.0", transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	proof = prove(t, last, shop.Name, "1.0.0", request)
	same(t, source, last, proof)
	if n := images(t, source, last, proof, true); n != 3 {
		t.Errorf("%d artifacts were compared, want 3", n)
	}
}
