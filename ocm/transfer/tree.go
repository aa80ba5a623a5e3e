package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// opener has blobs.
type opener interface {
	Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error)
}

// tree is an OCI artifact: its manifests, those that are listed before those that
// list them, and its blobs.
type tree struct {
	manifests []*oci.Manifest
	blobs     []ocispec.Descriptor
}

func (t *tree) root() *oci.Manifest { return t.manifests[len(t.manifests)-1] }

const (
	maxTreeDepth     = 8
	maxTreeManifests = 1000
)

type treeReader struct {
	from  oci.Storage
	tree  tree
	known map[digest.Digest]bool
}

func readTree(ctx context.Context, from oci.Storage, root *oci.Manifest) (*tree, error) {
	t := &treeReader{from: from, known: map[digest.Digest]bool{}}
	if err := t.enter(ctx, root, 0); err != nil {
		return nil, err
	}
	return &t.tree, nil
}

func (t *treeReader) enter(ctx context.Context, m *oci.Manifest, depth int) error {
	switch {
	case t.known[m.Digest]:
		return nil
	case depth > maxTreeDepth:
		return fmt.Errorf("indexes within indexes are %w: more than %d levels", ocm.ErrTooLarge, maxTreeDepth)
	case len(t.known) >= maxTreeManifests:
		return fmt.Errorf("artifact is %w: more than %d manifests", ocm.ErrTooLarge, maxTreeManifests)
	}
	t.known[m.Digest] = true
	switch {
	case m.IsIndex():
		index, err := m.Index()
		if err != nil {
			return err
		}
		for _, entry := range index.Manifests {
			part, err := t.from.Manifest(ctx, entry.Digest.String())
			if err != nil {
				return err
			}
			if err := t.enter(ctx, part, depth+1); err != nil {
				return err
			}
		}
	case m.IsImage():
		image, err := m.Image()
		if err != nil {
			return err
		}
		for _, b := range append([]ocispec.Descriptor{image.Config}, image.Layers...) {
			// Foreign layers are elsewhere by law or by size.
			if len(b.URLs) == 0 && !t.known[b.Digest] {
				t.known[b.Digest] = true
				t.tree.blobs = append(t.tree.blobs, b)
			}
		}
	default:
		return errors.New("manifest " + m.Digest.String() + " is of unknown media type " + m.MediaType)
	}
	t.tree.manifests = append(t.tree.manifests, m)
	return nil
}
