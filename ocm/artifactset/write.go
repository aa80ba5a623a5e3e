package artifactset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const (
	annotationTags = "software.ocm/tags"
	layoutFile     = "oci-layout"
	layoutText     = `{"imageLayoutVersion":"1.0.0"}`
)

// MediaTypeOf returns the media type of an archive that holds an artifact.
func MediaTypeOf(m *oci.Manifest) string {
	base, _, _ := strings.Cut(m.MediaType, "+")
	return base + "+tar+gzip"
}

// Write writes an artifact with all its blobs, which are read from where it is, as
// a compressed artifact set. Equal artifacts give equal bytes, so that an archive
// that was written to know its digest can be written once more instead of being
// kept. Layers that are fetched from elsewhere are left out.
func Write(ctx context.Context, w io.Writer, t *oci.Tree, from oci.Blobs, tags ...string) error {
	zw := gzip.NewWriter(w)
	tw := tar.NewWriter(zw)
	index, err := indexOf(t.Root(), tags)
	if err != nil {
		return err
	}
	if err := writeAll(ctx, tw, index, t, from); err != nil {
		return fmt.Errorf("pack artifact %s: %w", t.Root().Digest, err)
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

// indexOf lists the artifact as every reader of these archives expects it.
func indexOf(root *oci.Manifest, tags []string) ([]byte, error) {
	entry := ocispec.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: int64(len(root.Bytes))}
	if len(tags) > 0 {
		entry.Annotations = map[string]string{annotationTags: strings.Join(tags, ","), ocispec.AnnotationRefName: tags[0]}
	}
	return json.Marshal(ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Manifests:   []ocispec.Descriptor{entry},
		Annotations: map[string]string{annotationMain: root.Digest.String()},
	})
}

func writeAll(ctx context.Context, tw *tar.Writer, index []byte, t *oci.Tree, from oci.Blobs) error {
	if err := writeFile(tw, indexFile, index); err != nil {
		return err
	}
	if err := writeFile(tw, layoutFile, []byte(layoutText)); err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: blobtar.Folder + "/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: blobtar.Epoch, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	for _, m := range t.Manifests {
		if err := writeFile(tw, blobtar.NameOf(m.Digest), m.Bytes); err != nil {
			return err
		}
	}
	for _, b := range t.Blobs {
		if err := writeBlob(ctx, tw, b, from); err != nil {
			return err
		}
	}
	return nil
}

func writeBlob(ctx context.Context, tw *tar.Writer, b ocispec.Descriptor, from oci.Blobs) error {
	ctx, watch := oci.NewWatch(ctx, oci.Patience)
	defer watch.End()
	rc, _, err := from.Blob(ctx, b.Digest, b.Size)
	if err != nil {
		return err
	}
	rc = watch.Over(rc)
	defer rc.Close()
	return blobtar.WriteFile(tw, blobtar.NameOf(b.Digest), b.Size, rc)
}

func writeFile(tw *tar.Writer, name string, content []byte) error {
	return blobtar.WriteFile(tw, name, int64(len(content)), bytes.NewReader(content))
}
