package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	model "github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// reader reads what component versions refer to out of the place that they are in.
type reader struct{ *ocm.Repository }

// Version implements verify.Source.
func (r reader) Version(ctx context.Context, component, version string) (verify.Version, error) {
	return r.Get(ctx, component, version)
}

// prove verifies a component version as everybody else would, without anything that the transfer has found out.
func prove(t *testing.T, p place, component, version string, requests ...signing.Request) *verify.Proof {
	t.Helper()
	root, err := p.Get(t.Context(), component, version)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	proof, err := verify.Verify(t.Context(), reader{p.Repository}, root, requests, verify.Options{})
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return proof
}

// arrived wants the versions of a proof to be those that a transfer says it has written.
func arrived(t *testing.T, p place, proof *verify.Proof, result *transfer.Result) {
	t.Helper()
	written := map[string]digest.Digest{}
	for _, v := range result.Versions {
		written[v.Component+":"+v.Version] = v.Target
	}
	for _, v := range proof.Versions {
		if got := written[v.Component+":"+v.Version]; got != v.Manifest {
			t.Errorf("%s: %s:%s has the manifest %s, the transfer says %s", p.name, v.Component, v.Version, v.Manifest, got)
		}
	}
	if len(written) != len(proof.Versions) {
		t.Errorf("%s: transferred are %v, proven %v", p.name, result.Versions, proof.Versions)
	}
}

// same compares the component versions of a proof with those of another place: canonical texts in every form, and
// everything else but where contents are.
func same(t *testing.T, from, to place, proof *verify.Proof) {
	t.Helper()
	for _, v := range proof.Versions {
		want, got := described(t, from, v), described(t, to, v)
		for _, algorithm := range []string{normalize.V1, normalize.V2, normalize.V3, normalize.V4Alpha1} {
			before, err := normalize.Normalise(want, algorithm)
			if err != nil {
				t.Fatal(err)
			}
			after, err := normalize.Normalise(got, algorithm)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Errorf("%s: %s:%s: %s has changed (-before +after):\n%s", to.name, v.Component, v.Version, algorithm, cmp.Diff(string(before), string(after)))
			}
		}
		if diff := cmp.Diff(blank(t, want), blank(t, got)); diff != "" {
			t.Errorf("%s: %s:%s has changed (-before +after):\n%s", to.name, v.Component, v.Version, diff)
		}
	}
}

func described(t *testing.T, p place, v verify.Proven) *descriptor.Descriptor {
	t.Helper()
	cv, err := p.Get(t.Context(), v.Component, v.Version)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return cv.Descriptor()
}

// blank returns a descriptor as JSON without what a transfer may change.
func blank(t *testing.T, d *descriptor.Descriptor) string {
	t.Helper()
	raw, err := descriptor.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	own, err := descriptor.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	nowhere := descriptor.Access{Type: "x", Raw: []byte(`{"type":"x"}`)}
	for i := range own.Component.Resources {
		own.Component.Resources[i].Access = nowhere
	}
	for i := range own.Component.Sources {
		own.Component.Sources[i].Access = nowhere
	}
	own.Component.RepositoryContexts = nil
	if raw, err = descriptor.Encode(own); err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// images compares the artifacts of a proof's component versions with those at another place, to the byte and with all that they name.
func images(t *testing.T, from, to place, proof *verify.Proof, moved bool) (compared int) {
	t.Helper()
	for _, v := range proof.Versions {
		before, err := from.Get(t.Context(), v.Component, v.Version)
		if err != nil {
			t.Fatal(err)
		}
		after, err := to.Get(t.Context(), v.Component, v.Version)
		if err != nil {
			t.Fatal(err)
		}
		for i := range before.Descriptor().Component.Resources {
			had, has := &before.Descriptor().Component.Resources[i], &after.Descriptor().Component.Resources[i]
			name := fmt.Sprintf("%s: %s of %s", to.name, &has.Element, v.Component)
			place, err := after.Source().Place(t.Context(), has)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if place.Form == model.Nothing {
				continue
			}
			if host := place.Repository.Location().Host; moved && host != to.host {
				t.Errorf("%s is at %q, want %q", name, host, to.host)
			}
			if place.Form != model.Artifact {
				continue
			}
			compared++
			got := walk(t, name, place.Repository, place.Manifest)
			if d, err := has.Digest.OCI(); err != nil || place.Manifest.Digest != d {
				t.Errorf("%s has the manifest %s, want %s, %v", name, place.Manifest.Digest, d, err)
			}
			sameAsBefore(t, before, had, name, got)
		}
	}
	return compared
}

// sameAsBefore compares an artifact with what it was, unless that is in an archive.
func sameAsBefore(t *testing.T, before *ocm.ComponentVersion, had *descriptor.Resource, name string, got []string) {
	t.Helper()
	source, err := before.Source().Place(t.Context(), had)
	if err != nil {
		t.Fatal(err)
	}
	if source.Form != model.Artifact {
		return
	}
	if diff := cmp.Diff(walk(t, name, source.Repository, source.Manifest), got); diff != "" {
		t.Errorf("%s has changed (-before +after):\n%s", name, diff)
	}
}

// walk reads an artifact with everything that it names, and returns the texts of manifests and the digests of blobs. It has
// no code of its own for any kind of manifest, so that nothing can be forgotten.
func walk(t *testing.T, name string, storage oci.Storage, m *oci.Manifest) []string {
	t.Helper()
	if got := digest.FromBytes(m.Bytes); got != m.Digest {
		t.Errorf("%s: manifest %s has the digest %s", name, m.Digest, got)
	}
	found := []string{m.MediaType + " " + string(m.Bytes)}
	var parts struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Bytes, &parts); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, d := range parts.Manifests {
		child, err := storage.Manifest(t.Context(), d.Digest.String())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if child.MediaType != d.MediaType {
			t.Errorf("%s: manifest %s is of type %s, want %s", name, d.Digest, child.MediaType, d.MediaType)
		}
		found = append(found, walk(t, name, storage, child)...)
	}
	if parts.Config != nil {
		parts.Layers = append(parts.Layers, *parts.Config)
	}
	for _, d := range parts.Layers {
		if err := read(t.Context(), storage, d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		found = append(found, d.Digest.String())
	}
	return found
}

func read(ctx context.Context, storage oci.Storage, d ocispec.Descriptor) error {
	blob, _, err := storage.Blob(ctx, d.Digest, d.Size)
	if err != nil {
		return err
	}
	digester := d.Digest.Algorithm().Digester()
	n, err := io.Copy(digester.Hash(), blob)
	if err := errors.Join(err, blob.Close()); err != nil {
		return err
	}
	if n != d.Size || digester.Digest() != d.Digest {
		return fmt.Errorf("blob %s came as %d bytes %s", d.Digest, n, digester.Digest())
	}
	return nil
}
