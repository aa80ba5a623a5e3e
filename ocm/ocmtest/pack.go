package ocmtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Archive is how an artifact is packed.
type Archive struct {
	// Descriptor names the index artifact-descriptor.json instead of
	// index.json.
	Descriptor bool
	// Folders keeps blobs in blobs/sha256/<hex> instead of blobs/sha256.<hex>,
	// as OCI image layouts do.
	Folders bool
	// Plain leaves the compression out.
	Plain bool
	// Reverse puts the index to the end.
	Reverse bool
	// Prefix is put before each name, as in "./".
	Prefix string
	// NoMain leaves out which artifact the archive is about.
	NoMain bool
}

// File is an entry of an archive.
type File struct {
	// Name is the path.
	Name string
	// Content is the content.
	Content []byte
}

// Manifest returns the manifest of the artifact, and its blobs with the
// manifest itself.
func (a Artifact) Manifest() ([]byte, Blobs, error) {
	blobs := Blobs{}
	add := func(mediaType string, content []byte) ocispec.Descriptor {
		d := digest.FromBytes(content)
		blobs[d] = content
		return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	config := a.Config
	if config == nil {
		config = []byte("{}")
	}
	m.Config = add(orDefault(a.ConfigMediaType, ocispec.MediaTypeImageConfig), config)
	for _, l := range a.Layers {
		m.Layers = append(m.Layers, add(l.MediaType, l.Content))
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, nil, fmt.Errorf("encode manifest: %w", err)
	}
	add(m.MediaType, body)
	return body, blobs, nil
}

// Pack returns the artifact as an archive, and the digest of its manifest.
func (a Artifact) Pack(o Archive) ([]byte, digest.Digest, error) {
	manifest, blobs, err := a.Manifest()
	if err != nil {
		return nil, "", err
	}
	main := digest.FromBytes(manifest)
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: main, Size: int64(len(manifest))}},
	}
	if !o.NoMain {
		index.Annotations = map[string]string{"software.ocm/main": main.String()}
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return nil, "", fmt.Errorf("encode index: %w", err)
	}
	files := []File{{"index.json", raw}, {"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	if o.Descriptor {
		files = []File{{"artifact-descriptor.json", raw}}
	}
	separator := "."
	if o.Folders {
		separator = "/"
	}
	for d, content := range blobs {
		files = append(files, File{"blobs/" + strings.Replace(d.String(), ":", separator, 1), content})
	}
	slices.SortStableFunc(files, func(x, y File) int {
		return strings.Compare(strings.TrimSuffix(x.Name, "index.json"), strings.TrimSuffix(y.Name, "index.json"))
	})
	if o.Reverse {
		slices.Reverse(files)
	}
	for i := range files {
		files[i].Name = o.Prefix + files[i].Name
	}
	archive, err := Tar(files...)
	if err != nil || o.Plain {
		return archive, main, err
	}
	packed, err := Gzip(archive)
	return packed, main, err
}

// Tar returns an archive of files. Equal input gives equal bytes.
func Tar(files ...File) ([]byte, error) {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Mode: 0o644, Size: int64(len(f.Content)), ModTime: time.Unix(0, 0)}
		if strings.HasSuffix(f.Name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := tw.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Name, err)
		}
		if _, err := tw.Write(f.Content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return buf.Bytes(), nil
}

// Gzip compresses data.
func Gzip(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	if _, err := zw.Write(data); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return buf.Bytes(), nil
}
