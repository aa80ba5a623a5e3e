package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	namespace = "bench"
	// from is the path of the repository that is copied, and to the one it is copied to.
	from = namespace + "/source"
	to   = namespace + "/target"
	// component is the path of the component version that is copied.
	component  = "acme.org/shop"
	version    = "1.0.0"
	descriptor = "component-descriptors/" + component

	layerType = "application/vnd.oci.image.layer.v1.tar+gzip"
	// chunk is how much of a blob is made at once.
	chunk = 64 << 10
)

// blob is made of its number alone, as often as somebody reads it.
type blob struct {
	number int64
	size   int64
	digest digest.Digest
}

// cargo is a component version: images, and a component that has them and local blobs.
type cargo struct {
	seed   uint64
	images [][]blob
	local  []blob
	bytes  int64
}

// newCargo makes as many blobs as wanted with so many bytes together, four fifths of them layers of images. The largest
// are seven times as large as the smallest.
func newCargo(s size, seed uint64) (*cargo, error) {
	c := &cargo{seed: seed, bytes: s.bytes, images: make([][]blob, s.images)}
	blobs, left := make([]blob, s.blobs), s.bytes
	for i := range blobs {
		share := s.bytes / int64(s.blobs) * int64(1+i%7) / 4
		if i == len(blobs)-1 {
			share = left
		}
		blobs[i] = blob{number: int64(i), size: share}
		left -= share
	}
	if blobs[0].size <= 0 || blobs[len(blobs)-1].size <= 0 {
		return nil, fmt.Errorf("%d bytes can't be split into %d blobs", s.bytes, s.blobs)
	}
	var hashing errgroup.Group
	for i := range blobs {
		hashing.Go(func() (err error) {
			blobs[i].digest, err = digest.FromReader(c.open(blobs[i]))
			return err
		})
	}
	if err := hashing.Wait(); err != nil {
		return nil, err
	}
	layers := len(blobs) * 4 / 5
	for i, b := range blobs[:layers] {
		c.images[i%s.images] = append(c.images[i%s.images], b)
	}
	c.local = blobs[layers:]
	return c, nil
}

func (c *cargo) blobs() []blob {
	var all []blob
	for _, layers := range c.images {
		all = append(all, layers...)
	}
	return append(all, c.local...)
}

func (c *cargo) open(b blob) io.Reader { return &content{cargo: c, left: b.size, number: b.number} }

// content makes bytes as they are read.
type content struct {
	cargo        *cargo
	number, page int64
	left         int64
	rest         []byte
}

// Read implements io.Reader.
func (r *content) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(r.rest) == 0 {
		r.rest = make([]byte, chunk)
		measure.Fill(r.rest, r.cargo.seed, fmt.Sprintf("blob%d", r.number), r.page)
		r.page++
	}
	n := copy(p[:min(int64(len(p)), r.left)], r.rest)
	r.rest, r.left = r.rest[n:], r.left-int64(n)
	return n, nil
}

func imageName(i int) string { return fmt.Sprintf("images/app%d", i) }

// OpenBlob implements ocm.BlobSource.
func (c *cargo) OpenBlob(_ context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	for _, b := range c.local {
		if b.digest == d {
			return io.NopCloser(c.open(b)), b.size, nil
		}
	}
	return nil, 0, fmt.Errorf("blob %s: %w", d, ocm.ErrNotFound)
}

// publish pushes everything to a registry.
func (c *cargo) publish(ctx context.Context, s *measure.Contestant) error {
	shop := ocmtest.Component{Name: component, Version: version}
	for i, layers := range c.images {
		manifest, err := c.pushImage(ctx, s, from+"/"+imageName(i), i, layers)
		if err != nil {
			return err
		}
		shop.Resources = append(shop.Resources, ocmtest.Resource{
			Name: fmt.Sprintf("image%d", i), Image: s.URL + "/" + from + "/" + imageName(i) + ":" + version + "@" + manifest.String(),
			Digest: artifactDigest(manifest),
		})
	}
	d, _, err := shop.Build()
	if err != nil {
		return err
	}
	for i, b := range c.local {
		resource, err := localResource(fmt.Sprintf("data%d", i), b)
		if err != nil {
			return err
		}
		d.Component.Resources = append(d.Component.Resources, *resource)
	}
	repository, err := open(s.URL+"/"+from, s.Username, s.Password)
	if err != nil {
		return err
	}
	_, err = repository.Put(ctx, d, c, ocm.PutOptions{})
	return err
}

// pushImage pushes an image whose configuration no other image has.
func (c *cargo) pushImage(ctx context.Context, s *measure.Contestant, repository string, number int, layers []blob) (digest.Digest, error) {
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","config":{"Labels":{"image":"%d"}},"rootfs":{"type":"layers","diff_ids":[]}}`, number)
	if err := s.PushBlob(ctx, repository, digest.FromBytes(config), measure.Bytes(config)); err != nil {
		return "", err
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
	}
	for _, b := range layers {
		if err := s.PushBlob(ctx, repository, b.digest, measure.Body{Reader: c.open(b), Size: b.size}); err != nil {
			return "", err
		}
		m.Layers = append(m.Layers, ocispec.Descriptor{MediaType: layerType, Digest: b.digest, Size: b.size})
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	_, _, err = s.Do(ctx, http.StatusCreated, http.MethodPut, "/v2/"+repository+"/manifests/"+version,
		measure.Body{Reader: bytes.NewReader(raw), Size: int64(len(raw)), MediaType: measure.ManifestType})
	return digest.FromBytes(raw), err
}

// artifacts are the repositories that have a manifest tagged with the version, the component last.
func (c *cargo) artifacts() []string {
	var all []string
	for i := range c.images {
		all = append(all, from+"/"+imageName(i))
	}
	return append(all, from+"/"+descriptor)
}

// target is where a copy of an artifact goes that is copied as it is.
func target(repository string) string { return to + strings.TrimPrefix(repository, from) }
