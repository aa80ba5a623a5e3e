package chart_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// push copies an image from an archive with its layout into a registry.
func push(ctx context.Context, file, reference string, root ocispec.Descriptor) error {
	blobs, err := layout(file)
	if err != nil {
		return fmt.Errorf("read the image in %s: %w", file, err)
	}
	ref, err := oci.ParseReference(reference)
	if err != nil {
		return err
	}
	repository, err := oci.NewClient(oci.Options{Home: ref.Host}).Repository(ref.Location)
	if err != nil {
		return err
	}
	manifest := ocispec.Manifest{}
	if err := json.Unmarshal(blobs[root.Digest], &manifest); err != nil {
		return fmt.Errorf("read the manifest of the image in %s: %w", file, err)
	}
	for _, blob := range append(manifest.Layers, manifest.Config) {
		content := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blobs[blob.Digest])), nil }
		if err := repository.PushBlob(ctx, blob, content); err != nil {
			return fmt.Errorf("push %s: %w", reference, err)
		}
	}
	_, err = repository.PushManifest(ctx, root.MediaType, blobs[root.Digest], ref.Version())
	return err
}

// layout returns the blobs of an image layout.
func layout(file string) (map[digest.Digest][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	blobs := map[digest.Digest][]byte{}
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return blobs, nil
		}
		if err != nil {
			return nil, err
		}
		encoded, ok := strings.CutPrefix(header.Name, "blobs/sha256/")
		if !ok {
			continue
		}
		if blobs[digest.NewDigestFromEncoded(digest.SHA256, encoded)], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}
