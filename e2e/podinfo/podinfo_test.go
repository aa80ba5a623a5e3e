package podinfo

import (
	"strings"
	"testing"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestEveryFileCarriesTheVersion(t *testing.T) {
	t.Parallel()
	const version = "6.3.6+build.1"
	components, err := Components(Options{Version: version, ImageRegistry: "ghcr.io/acme"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		for _, r := range c.Resources {
			text := string(r.Content) + r.Image
			if strings.Contains(text, "${VERSION}") || !strings.Contains(strings.ReplaceAll(text, "6.3.6-build.1", version), version) {
				t.Errorf("%s of %s does not carry the version", r.Name, c.Name)
			}
			if r.Name != "config" {
				continue
			}
			if _, err := configv1.Parse(r.Content); err != nil {
				t.Errorf("config: %v", err)
			}
		}
	}
}

func TestPublishedVersionIsComplete(t *testing.T) {
	t.Parallel()
	registry := ocmtest.Start(t)
	if err := Publish(t.Context(), registry.URL, Options{Version: "6.3.6", ImageRegistry: registry.Host}, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	repository, err := ocm.Open(registry.URL, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	version, err := repository.Get(t.Context(), Name, "6.3.6")
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range version.Descriptor().Component.References {
		if _, err := repository.Get(t.Context(), reference.ComponentName, reference.Version); err != nil {
			t.Errorf("reference %s: %v", reference.Name, err)
		}
	}
}

func TestSignedVersionCanBeVerified(t *testing.T) {
	t.Parallel()
	registry := ocmtest.Start(t)
	signer, _ := ocmtest.SignerOf(t, "release")
	o := Options{Version: "6.3.6", ImageRegistry: registry.URL, Signatures: []ocmtest.Signature{{Name: "release", Signer: signer}}}
	if err := Publish(t.Context(), registry.URL, o, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	repository, err := ocm.Open(registry.URL, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	version, err := repository.Get(t.Context(), Name, "6.3.6")
	if err != nil {
		t.Fatal(err)
	}
	d := version.Descriptor()
	if len(d.Signatures) != 1 || d.Component.References[0].Digest == nil {
		t.Errorf("got %d signatures, and digest %v of the reference", len(d.Signatures), d.Component.References[0].Digest)
	}
	for i := range d.Component.Resources {
		resource := &d.Component.Resources[i]
		if err := version.Check(t.Context(), resource); err != nil {
			t.Errorf("resource %s: %v", resource.Name, err)
		}
		if resource.Name != "image" {
			continue
		}
		want, err := o.PinnedImage()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := version.PinnedImageReference(resource); err != nil || got != want {
			t.Errorf("image: got %s, %v, want %s", got, err, want)
		}
	}
}
