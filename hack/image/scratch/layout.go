package scratch

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// containerdName is the annotation in which containerd looks for the name of an image that is imported; the annotation of the
// specification has its tag only.
const containerdName = "io.containerd.image.name"

// layout collects the blobs of an image layout, by their path in it.
type layout struct {
	blobs map[string][]byte
	// first is the image that the archive of docker's names.
	first dockerImage
}

// dockerImage is an entry of the manifest.json that `docker load` reads.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (l *layout) add(mediaType string, content []byte) ocispec.Descriptor {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	l.blobs[blobPath(desc.Digest)] = content
	return desc
}

func (l *layout) addJSON(mediaType string, value any) (ocispec.Descriptor, error) {
	// Maps are written in the order of their keys.
	content, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return l.add(mediaType, content), nil
}

func blobPath(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// addAll adds the images, and an index of them if there are several.
func (l *layout) addAll(a Archive) (ocispec.Descriptor, error) {
	manifests := make([]ocispec.Descriptor, 0, len(a.Images))
	for _, img := range a.Images {
		desc, err := l.addImage(img)
		if err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("image %s for %s: %w", a.Names[0], img.Platform, err)
		}
		manifests = append(manifests, desc)
	}
	if len(manifests) == 1 {
		return manifests[0], nil
	}
	return l.addJSON(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Manifests:   manifests,
		Annotations: a.Annotations,
	})
}

func (l *layout) addImage(img Image) (ocispec.Descriptor, error) {
	packed, err := pack(img.Files)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	files := l.add(ocispec.MediaTypeImageLayerGzip, packed.compressed)
	config, err := l.addJSON(ocispec.MediaTypeImageConfig, img.config(packed.diffID))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      config,
		Layers:      []ocispec.Descriptor{files},
		Annotations: img.Labels,
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc.Platform = &ocispec.Platform{OS: img.Platform.OS, Architecture: img.Platform.Architecture, Variant: img.Platform.Variant}
	if l.first.Config == "" {
		l.first = dockerImage{Config: blobPath(config.Digest), Layers: []string{blobPath(files.Digest)}}
	}
	return desc, nil
}

func (i Image) config(diffID digest.Digest) ocispec.Image {
	created := i.Created.UTC()
	if i.Created.IsZero() {
		created = time.Unix(0, 0).UTC()
	}
	var ports map[string]struct{}
	for _, port := range i.Ports {
		if ports == nil {
			ports = map[string]struct{}{}
		}
		ports[port] = struct{}{}
	}
	return ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: i.Platform.OS, Architecture: i.Platform.Architecture, Variant: i.Platform.Variant},
		Config: ocispec.ImageConfig{
			User: i.User, ExposedPorts: ports, Env: i.Env, Entrypoint: i.Entrypoint, Cmd: i.Cmd, WorkingDir: i.WorkingDir, Labels: i.Labels,
		},
		RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
		History: []ocispec.History{{Created: &created, CreatedBy: "files"}},
	}
}

// write writes the blobs and what leads to them.
func (l *layout) write(w io.Writer, names []string, root ocispec.Descriptor) error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, name := range names {
		named := root
		named.Annotations = map[string]string{containerdName: name}
		if !strings.Contains(name, "@") {
			named.Annotations[ocispec.AnnotationRefName] = name[strings.LastIndex(name, ":")+1:]
		}
		index.Manifests = append(index.Manifests, named)
	}

	tw := tar.NewWriter(w)
	for _, file := range []struct {
		name  string
		value any
	}{
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
		{ocispec.ImageIndexFile, index},
		{"manifest.json", []dockerImage{l.first}},
	} {
		content, err := json.Marshal(file.value)
		if err != nil {
			return fmt.Errorf("encode %s: %w", file.name, err)
		}
		if err := writeBlob(tw, file.name, content); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.blobs)) {
		if err := writeBlob(tw, name, l.blobs[name]); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return fmt.Errorf("write the end of the archive: %w", err)
	}
	return nil
}

func writeBlob(tw *tar.Writer, name string, content []byte) error {
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
	if err := tw.WriteHeader(&header); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := tw.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
