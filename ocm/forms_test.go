package ocm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// pushForm stores a component version the way some tool does.
func pushForm(t *testing.T, to oci.Storage, configType, layerType, tag string, text []byte) {
	t.Helper()
	push := func(mediaType string, content []byte) ocispec.Descriptor {
		desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
		if err := to.PushBlob(t.Context(), desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }); err != nil {
			t.Fatal(err)
		}
		return desc
	}
	if strings.HasSuffix(layerType, "+tar") {
		var err error
		if text, err = ocmtest.Tar(ocmtest.File{Name: "component-descriptor.yaml", Content: text}); err != nil {
			t.Fatal(err)
		}
	}
	layer := push(layerType, text)
	config, err := json.Marshal(map[string]any{"componentDescriptorLayer": layer})
	if err != nil {
		t.Fatal(err)
	}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: push(configType, config), Layers: []ocispec.Descriptor{layer}}
	m.SchemaVersion = 2
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.PushManifest(t.Context(), m.MediaType, body, tag); err != nil {
		t.Fatal(err)
	}
}

const (
	nullLists = `{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/shop","version":"1.0.0","provider":"acme",
		"repositoryContexts":null,"sources":null,"componentReferences":null,"resources":null}}`
	noLists    = `{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/shop","version":"1.0.0","provider":"acme"}}`
	emptyLists = `{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/shop","version":"1.0.0","provider":"acme",
		"repositoryContexts":[],"sources":[],"componentReferences":[],"resources":[]}}`
	v3 = `{"apiVersion":"ocm.software/v3alpha1","kind":"ComponentVersion",
		"metadata":{"name":"acme.org/shop","version":"1.0.0","provider":{"name":"acme"}},"spec":{"resources":null}}`
	oldV3 = `{"apiVersion":"ocm.gardener.cloud/v3alpha1","kind":"ComponentVersion",
		"metadata":{"name":"acme.org/shop","version":"1.0.0","provider":{"name":"acme"}},"spec":{}}`
)

// TestMediaTypes reads every combination of media types that tools have written
// component versions with, with every way to write an empty descriptor.
func TestMediaTypes(t *testing.T) {
	t.Parallel()
	var layers []string
	for _, prefix := range []string{"application/vnd.ocm.software.component-descriptor.v2+", "application/vnd.gardener.cloud.cnudie.component-descriptor.v2+"} {
		for _, form := range []string{"yaml+tar", "yaml", "json"} {
			layers = append(layers, prefix+form)
		}
	}
	layers = append(layers, "application/vnd.oci.gardener.cloud.cnudie.component-descriptor.config.v2+yaml+tar")
	server := ocmtest.Start(t)
	registry := repository(t, server)
	path := filepath.Join(t.TempDir(), "archive.tgz")
	store, err := ctf.Create(path, ctf.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := store.Repository(oci.ComponentPath(shop))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, config := range []string{
		"application/vnd.ocm.software.component.config.v1+json",
		"application/vnd.gardener.cloud.cnudie.component.config.v1+json",
		"application/vnd.oci.gardener.cloud.cnudie.component-descriptor-metadata.config.v2+json",
	} {
		for _, layer := range layers {
			for _, text := range []string{nullLists, noLists, emptyLists, v3, oldV3} {
				version := fmt.Sprintf("1.0.%d", len(all))
				content := []byte(strings.Replace(text, "1.0.0", version, 1))
				if !strings.HasSuffix(layer, "json") {
					if content, err = yaml.JSONToYAML(content); err != nil {
						t.Fatal(err)
					}
				}
				pushForm(t, registry, config, layer, version, content)
				pushForm(t, archive, config, layer, version, content)
				all = append(all, version+" "+config+" "+layer)
			}
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	inArchive, err := ocm.OpenCTF(path, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer inArchive.Close()
	for _, repo := range []*ocm.Repository{open(t, server.URL, ocm.Options{}), inArchive} {
		for _, form := range all {
			version, _, _ := strings.Cut(form, " ")
			cv, err := repo.Get(t.Context(), shop, version)
			if err != nil {
				t.Errorf("%s: %v", form, err)
				continue
			}
			c := cv.Descriptor().Component
			if c.Provider.Name != "acme" || len(c.Resources)+len(c.Sources)+len(c.References)+len(c.RepositoryContexts) != 0 {
				t.Errorf("%s: %+v", form, c)
			}
		}
		if found, err := repo.ListVersions(t.Context(), shop); err != nil || len(found) != len(all) {
			t.Errorf("%d versions, %v, want %d", len(found), err, len(all))
		}
	}
}

// TestOtherMediaTypes refuses what is no component version.
func TestOtherMediaTypes(t *testing.T) {
	t.Parallel()
	const config, layer = "application/vnd.ocm.software.component.config.v1+json", "application/vnd.ocm.software.component-descriptor.v2+yaml"
	server := ocmtest.Start(t)
	for tag, types := range map[string][2]string{
		"1.0.0": {ocispec.MediaTypeImageConfig, layer},
		"1.0.1": {config, "application/vnd.ocm.software.component-descriptor.v2+yaml+zip"},
		"1.0.2": {config, "application/vnd.ocm.software.component-descriptor.v3+yaml"},
		"1.0.3": {config, "application/yaml"},
	} {
		pushForm(t, repository(t, server), types[0], types[1], tag, []byte(noLists))
		if _, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, tag); !errors.Is(err, ocm.ErrNotComponent) {
			t.Errorf("%v: Get = %v, want ErrNotComponent", types, err)
		}
	}
}

// TestVersionAliases lists tags of which only some are versions, and reads a
// version by its own name only.
func TestVersionAliases(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("1.0.0+build.7"))
	repo := repository(t, server)
	m, err := repo.Manifest(t.Context(), "1.0.0.build-build.7")
	if err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"latest", "stable-1", "v2.0.0", "2", "sha256-" + strings.Repeat("0", 64), strings.Repeat("a", 128), "1.0.0.build-build.8"} {
		if _, err := repo.PushManifest(t.Context(), m.MediaType, m.Bytes, alias); err != nil {
			t.Fatal(err)
		}
	}
	cv := open(t, server.URL, ocm.Options{})
	found, err := cv.ListVersions(t.Context(), shop)
	if diff := cmp.Diff([]string{"2", "v2.0.0", "1.0.0+build.8", "1.0.0+build.7"}, found); diff != "" || err != nil {
		t.Errorf("versions (-want +got):\n%s%v", diff, err)
	}
	for version, is := range map[string]error{
		"1.0.0+build.7": nil,
		// The tag is there, but what it points to has another version.
		"1.0.0+build.8": ocm.ErrNotComponent,
		"v2.0.0":        ocm.ErrNotComponent,
		"latest":        ocm.ErrNotComponent,
		"1.0.0":         ocm.ErrNotFound,
	} {
		if _, err := cv.Get(t.Context(), shop, version); !errors.Is(err, is) {
			t.Errorf("Get(%s) = %v, want %v", version, err, is)
		}
	}
}
