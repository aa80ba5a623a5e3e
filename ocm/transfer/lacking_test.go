package transfer_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestLackingIsCompared imports an archive that lacks content, which is at the target
// and is not what was signed: nothing is tagged.
func TestLackingIsCompared(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	set, _, err := small("packed").Pack(ocmtest.Archive{})
	if err != nil {
		t.Fatal(err)
	}
	there := one(ocmtest.Resource{Name: "set", Content: set})
	there.Version = "0.9.0"
	if _, err := there.Publish(t.Context(), p.targetURL, p.options); err != nil {
		t.Fatal(err)
	}
	wrong := packed(t, "", false)
	wrong.Resources[0].Digest = descriptor.NewArtifactDigest(manifestOf(t, small("another")))
	p.publish(t, signed(t, wrong, "dev"))
	delta := archive(t, filepath.Join(t.TempDir(), "delta"), p.options)
	defer closed(t, delta)
	exported := run(t, p.source, delta, shop, "1.0.0", transfer.Options{Have: transfer.NewHave(digest.FromBytes(set))})
	if exported.Omitted != 1 {
		t.Fatalf("exported is %+v", exported)
	}
	_, err = transfer.Run(t.Context(), delta, p.target, shop, "1.0.0", transfer.Options{Verify: requests(t, "dev")})
	if _, mismatch := errors.AsType[*oci.DigestMismatchError](err); !mismatch {
		t.Errorf("Run = %v", err)
	}
	if _, err := p.target.Resolve(t.Context(), shop, "1.0.0"); !errors.Is(err, ocm.ErrNotFound) {
		t.Errorf("Resolve = %v", err)
	}
}

// TestOtherForms keeps an image that has no digest in one way after the other, which
// is no other content.
func TestOtherForms(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	res := p.image(t, "image", "a/web:1.0", "layer")
	res.NoDigest, res.Digest = true, nil
	p.publish(t, one(res))
	for _, form := range []transfer.Artifacts{transfer.LocalArtifacts, transfer.PackedArtifacts, transfer.SeparateArtifacts, transfer.PackedArtifacts, transfer.LocalArtifacts} {
		run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Artifacts: form})
	}
	p.image(t, "image", "a/web:1.0", "another layer")
	if _, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{}); !errors.Is(err, ocm.ErrExists) {
		t.Errorf("Run = %v", err)
	}
}
