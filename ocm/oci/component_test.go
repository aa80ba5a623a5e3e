package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// shelf is a storage that holds whatever it is given.
type shelf map[digest.Digest][]byte

func (s shelf) add(format string, args ...any) digest.Digest {
	content := fmt.Appendf(nil, format, args...)
	d := digest.FromBytes(content)
	s[d] = content
	return d
}

// String implements fmt.Stringer.
func (s shelf) String() string { return "the shelf" }

// Location implements Storage.
func (s shelf) Location() Location { return Location{} }

// Tags implements Storage.
func (s shelf) Tags(context.Context) ([]string, error) { return nil, ErrNotFound }

// Resolve implements Storage.
func (s shelf) Resolve(context.Context, string) (digest.Digest, error) { return "", ErrNotFound }

// Manifest implements Storage.
func (s shelf) Manifest(_ context.Context, ref string) (*Manifest, error) {
	content, ok := s[digest.Digest(ref)]
	if !ok {
		return nil, ErrNotFound
	}
	return NewManifest(content, MediaTypeManifest)
}

// Blob implements Storage.
func (s shelf) Blob(_ context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	content, ok := s[d]
	if !ok {
		return nil, 0, ErrNotFound
	}
	rc, err := Verify(io.NopCloser(bytes.NewReader(content)), "blob", size, append(also, d)...)
	return rc, int64(len(content)), err
}

// Has implements Storage.
func (s shelf) Has(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	content, ok := s[desc.Digest]
	return ok && int64(len(content)) == desc.Size, nil
}

// HasManifest implements Storage.
func (s shelf) HasManifest(_ context.Context, d digest.Digest) (bool, error) {
	_, ok := s[d]
	return ok, nil
}

// PushBlob implements Storage.
func (s shelf) PushBlob(context.Context, ocispec.Descriptor, func() (io.ReadCloser, error)) error {
	return errors.New("the shelf is full")
}

// PushManifest implements Storage.
func (s shelf) PushManifest(context.Context, string, []byte, string) (digest.Digest, error) {
	return "", errors.New("the shelf is full")
}

// TestBrokenComponents reads what looks like a component version.
func TestBrokenComponents(t *testing.T) {
	t.Parallel()
	s := shelf{}
	const good = "meta: {schemaVersion: v2}\ncomponent: {name: acme.org/shop, version: 1.0.0, provider: acme, resources: [], sources: [], componentReferences: [], repositoryContexts: []}\n"
	// component returns a manifest with a descriptor, which is found through the config.
	component := func(descriptor, mediaType string) digest.Digest {
		layer := s.add("%s", descriptor)
		config := s.add(`{"componentDescriptorLayer":{"mediaType":%q,"digest":%q}}`, mediaType, layer)
		return s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
			MediaTypeManifest, componentConfig, config, len(s[config]), mediaType, layer, len(descriptor))
	}
	const yaml = descriptorPrefix + "yaml"
	lost := digest.FromString("lost")
	broken := s.add("{")
	for name, tc := range map[string]struct {
		manifest digest.Digest
		is       error
		want     string
	}{
		"good":               {component(good, yaml), nil, ""},
		"good in an index":   {s.add(`{"mediaType":%q,"manifests":[{"digest":%q}]}`, MediaTypeIndex, component(good, yaml)), nil, ""},
		"no descriptor":      {component("x", yaml), ErrMalformed, "parse component descriptor"},
		"two documents":      {component(good+"---\nx: 1\n", yaml), ErrMalformed, "second YAML document"},
		"no archive":         {component(good, descriptorYAMLTar), ErrMalformed, "archive of the component descriptor"},
		"other name":         {component(strings.Replace(good, "shop", "shed", 1), yaml), ErrNotComponent, "acme.org/shed:1.0.0"},
		"other media type":   {component(good, "text/plain"), ErrNotComponent, `"text/plain"`},
		"broken index":       {s.add(`{"mediaType":%q,"manifests":1}`, MediaTypeIndex), ErrMalformed, "cannot unmarshal"},
		"empty index":        {s.add(`{"mediaType":%q}`, MediaTypeIndex), ErrNotComponent, "its index is empty"},
		"no digest":          {s.add(`{"mediaType":%q,"manifests":[{"digest":"x"}]}`, MediaTypeIndex), ErrNotComponent, `digest "x"`},
		"lost manifest":      {s.add(`{"mediaType":%q,"manifests":[{"digest":%q}]}`, MediaTypeIndex, lost), ErrNotFound, "in the index"},
		"index in an index":  {s.add(`{"mediaType":%q,"manifests":[{"digest":%q}]}`, MediaTypeIndex, s.add(`{"mediaType":%q}`, MediaTypeIndex)), ErrNotComponent, "another index"},
		"no image":           {s.add(`{"mediaType":"text/plain"}`), ErrNotComponent, `"text/plain"`},
		"broken image":       {s.add(`{"mediaType":%q,"layers":1}`, MediaTypeManifest), ErrMalformed, "cannot unmarshal"},
		"image":              {s.add(`{"mediaType":%q,"config":{"mediaType":%q}}`, MediaTypeManifest, ocispec.MediaTypeImageConfig), ErrNotComponent, "its config has media type"},
		"lost config":        {s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":1}}`, MediaTypeManifest, componentConfig, lost), ErrNotFound, "read config"},
		"broken config":      {s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":1}}`, MediaTypeManifest, componentConfig, broken), ErrNotComponent, "its config cannot be read"},
		"huge config":        {s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":1000000}}`, MediaTypeManifest, componentConfig, broken), ErrTooLarge, "read config"},
		"layer is elsewhere": {s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2}}`, MediaTypeManifest, componentConfig, s.add("{}")), ErrNotComponent, "not one of its layers"},
		"lost layer": {s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"digest":%q,"size":1}]}`, MediaTypeManifest, componentConfig,
			s.add(`{"componentDescriptorLayer":{"mediaType":%q,"digest":%q}}`, yaml, lost), len(s[s.add(`{"componentDescriptorLayer":{"mediaType":%q,"digest":%q}}`, yaml, lost)]), lost), ErrNotFound, "read descriptor"},
	} {
		m, err := s.Manifest(t.Context(), tc.manifest.String())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c, err := ReadComponent(t.Context(), s, Limits{}, "acme.org/shop", "1.0.0", m)
		switch {
		case tc.want == "" && (err != nil || c.Digest != tc.manifest || c.Descriptor.Component.Name != "acme.org/shop"):
			t.Errorf("%s: ReadComponent = %v, want the component", name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, tc.is) && tc.is != nil):
			t.Errorf("%s: ReadComponent = %v, want %v with %q", name, err, tc.is, tc.want)
		case err != nil && !strings.Contains(err.Error(), "acme.org/shop:1.0.0"):
			t.Errorf("%s: %v does not name the component version", name, err)
		}
	}
}

// TestPublishStopsAtTheFirstError writes to a storage that takes nothing.
func TestPublishStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
	blob := LocalBlob{Digest: digest.FromString("x"), Size: 1, Open: open}
	inner := LocalArtifact{Manifest: &Manifest{MediaType: MediaTypeManifest}}
	for name, p := range map[string]*Package{
		"blob":              {blobs: []LocalBlob{blob}},
		"descriptor":        {layers: []ocispec.Descriptor{{Digest: "x"}}, small: map[digest.Digest][]byte{}},
		"blob of artifact":  {artifacts: []LocalArtifact{{Blobs: []LocalBlob{blob}}}},
		"part of artifact":  {artifacts: []LocalArtifact{{Parts: []LocalArtifact{inner}}}},
		"manifest of index": {index: []byte("{}")},
	} {
		s := Storage(shelf{})
		if p.layers == nil && p.blobs == nil {
			s = onlyBlobs{s, name}
			p.layers = []ocispec.Descriptor{{Digest: "x"}}
		}
		if err := Publish(t.Context(), s, p); err == nil || !strings.Contains(err.Error(), "full") {
			t.Errorf("%s: Publish = %v, want that the shelf is full", name, err)
		}
	}
}

// onlyBlobs takes blobs but those of an artifact.
type onlyBlobs struct {
	Storage

	what string
}

// PushBlob implements Storage.
func (o onlyBlobs) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	if o.what == "blob of artifact" && desc.Digest == digest.FromString("x") {
		return o.Storage.PushBlob(ctx, desc, open)
	}
	return nil
}

// TestPlaces is about repositories that cannot be.
func TestPlaces(t *testing.T) {
	t.Parallel()
	c := NewClient(Options{Home: "home.example", Credentials: credentials.FromBasic("away.example", "alice", "at-home")})
	if _, err := c.Repository(Location{Host: "home.example", Path: "UPPER"}); err == nil || !strings.Contains(err.Error(), "UPPER") {
		t.Errorf("Repository = %v, want an error that names the path", err)
	}
	away, err := c.ForeignRepository(Location{Host: "away.example", Path: "x"})
	if err != nil || away.credential.Username != "alice" || !strings.Contains(away.checkWhere(), "the access of the resource") {
		t.Errorf("ForeignRepository = %+v, %v, want the credential and advice about the access", away, err)
	}
	plain, err := c.ForeignRepository(Location{Host: "away.example", Path: "x", PlainHTTP: true})
	if err != nil || !plain.credential.IsZero() {
		t.Errorf("ForeignRepository without TLS = %v, want no credential", err)
	}
	if _, _, err := away.Blob(t.Context(), "x", 1); err == nil || !strings.Contains(err.Error(), "blob x") {
		t.Errorf("Blob = %v, want that x is no digest", err)
	}
	for l, want := range map[Location]string{{Path: "a/b"}: "a/b", {Host: "h"}: "https://h", {Host: "h", Path: "p", PlainHTTP: true}: "http://h/p"} {
		if l.String() != want {
			t.Errorf("String = %q, want %q", l, want)
		}
	}
	if _, err := ParseRelative(Location{Host: "h"}, "a@b"); err == nil {
		t.Error("ParseRelative accepts a digest that is none")
	}
}

// TestForgottenConnections is about transports of single credentials.
func TestForgottenConnections(t *testing.T) {
	t.Parallel()
	closed := 0
	shared := &http.Transport{}
	own, err := WithTLS(shared, credentials.Credential{})
	if err != nil || own != http.RoundTripper(shared) {
		t.Fatalf("WithTLS without certificates = %v, %v, want the same transport", own, err)
	}
	for _, broken := range []credentials.Credential{{CertificateAuthority: "x"}, {Certificate: "x", PrivateKey: "secret-key"}} {
		if _, err := WithTLS(shared, broken); err == nil || strings.Contains(err.Error(), "secret-key") {
			t.Errorf("WithTLS = %v, want an error without the key", err)
		}
		store := &credentials.Store{}
		store.Add("away.example", broken)
		if _, err := NewClient(Options{Credentials: store}).Repository(Location{Host: "away.example", Path: "x"}); err == nil || !strings.Contains(err.Error(), "away.example/x") {
			t.Errorf("Repository = %v, want an error that names the repository", err)
		}
	}
	c := NewClient(Options{})
	for i := range maxAuthClients + 1 {
		l := Location{Host: fmt.Sprintf("h%d.example", i)}
		if _, err := c.authClient(l, credentials.Credential{}); err != nil {
			t.Fatal(err)
		}
		key := authKey{base: l.base()}
		known := c.auths[key]
		c.auths[key] = login{client: known.client, forget: func() { known.forget(); closed++ }}
	}
	if closed != maxAuthClients || len(c.auths) != 1 {
		t.Errorf("%d were forgotten and %d are known, want all but the last forgotten", closed, len(c.auths))
	}
}

func FuzzReadComponent(f *testing.F) {
	const text = "meta: {schemaVersion: v2}\ncomponent: {name: acme.org/shop, version: 1.0.0, provider: acme}\n"
	yaml := descriptorPrefix + "yaml"
	layer := digest.FromString(text)
	config := fmt.Sprintf(`{"componentDescriptorLayer":{"mediaType":%q,"digest":%q}}`, yaml, layer)
	manifest := fmt.Sprintf(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"digest":%q,"size":%d}]}`,
		MediaTypeManifest, componentConfig, digest.FromString(config), len(config), layer, len(text))
	f.Add(manifest, manifest, config, text)
	f.Add(fmt.Sprintf(`{"mediaType":%q,"manifests":[{"digest":%q}]}`, MediaTypeIndex, digest.FromString(manifest)), manifest, config, text)
	f.Add(`{"mediaType":1}`, "", "{", "")
	f.Fuzz(func(t *testing.T, top, inner, config, text string) {
		s := shelf{}
		for _, content := range []string{inner, config, text} {
			s.add("%s", content)
		}
		m, err := NewManifest([]byte(top), MediaTypeManifest)
		if err != nil {
			return
		}
		c, err := ReadComponent(t.Context(), s, Limits{}, "acme.org/shop", "1.0.0", m)
		if err != nil {
			return
		}
		if c.Descriptor.Component.Name != "acme.org/shop" || c.Descriptor.Component.Version != "1.0.0" || c.Digest != digest.FromString(top) {
			t.Errorf("read %s:%s of %s", c.Descriptor.Component.Name, c.Descriptor.Component.Version, c.Digest)
		}
	})
}

// TestDescriptorLimit reads a descriptor that is larger than most, in both forms.
func TestDescriptorLimit(t *testing.T) {
	t.Parallel()
	s := shelf{}
	large := "meta: {schemaVersion: v2}\ncomponent: {name: acme.org/shop, version: 1.0.0, provider: acme, resources: [], sources: [], componentReferences: [], repositoryContexts: []}\n#" +
		strings.Repeat("x", 5<<20)
	packed, err := writeDescriptorTar([]byte(large))
	if err != nil {
		t.Fatal(err)
	}
	for mediaType, content := range map[string]string{descriptorPrefix + "yaml": large, descriptorYAMLTar: string(packed)} {
		layer := s.add("%s", content)
		config := s.add(`{"componentDescriptorLayer":{"mediaType":%q,"digest":%q}}`, mediaType, layer)
		m, err := s.Manifest(t.Context(), s.add(`{"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"digest":%q,"size":%d}]}`,
			MediaTypeManifest, componentConfig, config, len(s[config]), layer, len(content)).String())
		if err != nil {
			t.Fatal(err)
		}
		_, err = ReadComponent(t.Context(), s, Limits{}, "acme.org/shop", "1.0.0", m)
		if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "--max-descriptor-size") {
			t.Errorf("%s: ReadComponent = %v, want ErrTooLarge with the flag", mediaType, err)
		}
		if _, err := ReadComponent(t.Context(), s, Limits{DescriptorBytes: 6 << 20}, "acme.org/shop", "1.0.0", m); err != nil {
			t.Errorf("%s: ReadComponent with a larger limit = %v", mediaType, err)
		}
	}
}
