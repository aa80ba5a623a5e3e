package main

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

const (
	largeComponent = "phoban.io/large"
	largeVersion   = "1.0.0"
	largeFile      = 4 << 20
)

// largeManifest is the only file of a large directory that Kubernetes has any use for. Localization puts the image in.
const largeManifest = `apiVersion: v1
kind: ConfigMap
metadata:
  name: large
data:
  image: placeholder
  version: "` + largeVersion + `"
`

const largeConfig = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata:
  name: large
localization:
- resource:
    name: image
  file: large.yaml
  image: data.image
`

// publishLarge publishes a component with a directory of about that many bytes. It goes to the disk, not through memory.
func publishLarge(ctx context.Context, dir, url string, bytes int64, seed uint64) error {
	blobs := fileBlobs{}
	directory, err := blobs.add(filepath.Join(dir, "large.tar"), func(w io.Writer) error { return writeLarge(w, bytes, seed) })
	if err != nil {
		return fmt.Errorf("make a directory of %d bytes: %w", bytes, err)
	}
	defer func() { _ = os.Remove(blobs[directory]) }() // the whole folder goes in the end
	config, err := blobs.add(filepath.Join(dir, "config.yaml"), func(w io.Writer) error {
		_, err := io.WriteString(w, largeConfig)
		return err
	})
	if err != nil {
		return err
	}
	d, err := describeLarge(directory, config)
	if err != nil {
		return err
	}
	repository, err := ocm.Open(url, ocm.Options{UserAgent: publisher})
	if err != nil {
		return err
	}
	if _, err := repository.Put(ctx, d, blobs, ocm.PutOptions{}); err != nil {
		return fmt.Errorf("publish a directory of %d bytes: %w", bytes, err)
	}
	return nil
}

func describeLarge(directory, config digest.Digest) (*descriptor.Descriptor, error) {
	d := &descriptor.Descriptor{Schema: descriptor.SchemaV2}
	d.Component.Name, d.Component.Version, d.Component.Provider.Name = largeComponent, largeVersion, "phoban.io"
	var errs []error
	add := func(name, kind string, relation string, a descriptor.Access, err error) *descriptor.Resource {
		errs = append(errs, err)
		d.Component.Resources = append(d.Component.Resources, descriptor.Resource{
			Element: descriptor.Element{Name: name, Version: largeVersion}, Type: kind, Relation: relation, Access: a,
		})
		return &d.Component.Resources[len(d.Component.Resources)-1]
	}
	blob := func(name, kind, mediaType string, content digest.Digest) {
		a, err := access.NewLocalBlob(content, mediaType)
		add(name, kind, descriptor.LocalRelation, a, err).Digest = descriptor.NewBlobDigest(content)
	}
	blob("directory", "Directory", "application/x-tar", directory)
	blob("config", "PlainText", "application/x-yaml", config)
	image, err := descriptor.NewAccess(access.OCIArtifact{Type: access.KindOCIArtifact, ImageReference: "registry.example/large:" + largeVersion})
	add("image", "ociImage", descriptor.ExternalRelation, image, err)
	return d, errors.Join(errs...)
}

// writeLarge writes a tar archive of text that compresses to about half, the manifest last: whoever edits it has to pass
// everything else.
func writeLarge(w io.Writer, bytes int64, seed uint64) error {
	archive := tar.NewWriter(w)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	raw, text := make([]byte, 32<<10), make([]byte, 64<<10)
	for i := 0; bytes > 0; i++ {
		size := min(bytes, largeFile)
		bytes -= size
		if err := archive.WriteHeader(&tar.Header{Name: fmt.Sprintf("data/%04d.txt", i), Mode: 0o644, Size: size}); err != nil {
			return err
		}
		for size > 0 {
			_, _ = random.Read(raw) // it returns no error
			hex.Encode(text, raw)
			n, err := archive.Write(text[:min(size, int64(len(text)))])
			if err != nil {
				return err
			}
			size -= int64(n)
		}
	}
	if err := archive.WriteHeader(&tar.Header{Name: "large.yaml", Mode: 0o644, Size: int64(len(largeManifest))}); err != nil {
		return err
	}
	if _, err := io.WriteString(archive, largeManifest); err != nil {
		return err
	}
	return archive.Close()
}

// fileBlobs are local blobs in files, by their digest. They are an ocm.BlobSource.
type fileBlobs map[digest.Digest]string

func (b fileBlobs) add(path string, content func(io.Writer) error) (digest.Digest, error) {
	file, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("create %s: %w", path, err)
	}
	hash := digest.SHA256.Digester()
	buffered := bufio.NewWriterSize(io.MultiWriter(file, hash.Hash()), 1<<20)
	err = content(buffered)
	if err := errors.Join(err, buffered.Flush(), file.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	b[hash.Digest()] = path
	return hash.Digest(), nil
}

// OpenBlob implements ocm.BlobSource.
func (b fileBlobs) OpenBlob(_ context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	file, err := os.Open(b[d])
	if err != nil {
		return nil, 0, fmt.Errorf("open blob %s: %w", d, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open blob %s: %w", d, err), file.Close())
	}
	return file, info.Size(), nil
}
