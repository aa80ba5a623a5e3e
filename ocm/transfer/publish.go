package transfer

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// creator is what manifests name as the tool that made them.
const creator = "ocm-operator"

// publish writes what leads to the blobs: artifacts, then component versions,
// references before those that refer to them.
func (r *run) publish(ctx context.Context) error {
	for _, n := range r.versions {
		for _, e := range n.elements {
			if err := r.publishTree(ctx, e); err != nil {
				return err
			}
		}
		if err := r.publishVersion(ctx, n); err != nil {
			return err
		}
		r.progress.step()
	}
	return nil
}

// publishTree writes the manifests of an artifact, the tag last.
func (r *run) publishTree(ctx context.Context, e *element) error {
	if e.tree == nil {
		return nil
	}
	to, tag := e.node.storage, ""
	if e.separate != nil {
		to, tag = e.separate.storage, e.separate.tag
		found, err := to.Resolve(ctx, tag)
		if err != nil && !errors.Is(err, ocm.ErrNotFound) {
			return err
		}
		if found == e.tree.Root().Digest {
			tag = "" // it need not be written again
		}
	}
	defer r.progress.step()
	return oci.PushTree(ctx, to, e.tree, tag)
}

// publishVersion writes the manifest of a component version.
func (r *run) publishVersion(ctx context.Context, n *node) error {
	if n.outcome == Unchanged {
		return nil
	}
	pack, err := n.pack()
	if err != nil {
		return err
	}
	if err := oci.Publish(ctx, &prepared{Storage: n.storage, done: n.layers()}, pack); err != nil {
		return err
	}
	n.target = pack.Digest
	return nil
}

// pack lays a component version out for the target.
func (n *node) pack() (*oci.Package, error) {
	var blobs []oci.LocalBlob
	var artifacts []oci.LocalArtifact
	blobAt, artifactAt := map[digest.Digest]int{}, map[digest.Digest]int{}
	for _, e := range n.elements {
		user := oci.BlobUser{Kind: e.kind, Identity: e.identity}
		for _, l := range e.layers {
			i, known := blobAt[l.Digest]
			if !known {
				i = len(blobs)
				blobAt[l.Digest] = i
				blobs = append(blobs, oci.LocalBlob{Digest: l.Digest, Size: l.Size, MediaType: orDefault(l.MediaType)})
			}
			blobs[i].Users = append(blobs[i].Users, user)
		}
		if e.tree == nil || e.separate != nil {
			continue
		}
		root := e.tree.Root()
		i, known := artifactAt[root.Digest]
		if !known {
			i = len(artifacts)
			artifactAt[root.Digest] = i
			artifacts = append(artifacts, oci.LocalArtifact{Manifest: root})
		}
		artifacts[i].Users = append(artifacts[i].Users, user)
	}
	return oci.Pack(n.written, blobs, artifacts, creator)
}

// layers returns the blobs of a component version that are copied, or left out
// deliberately.
func (n *node) layers() map[digest.Digest]bool {
	all := map[digest.Digest]bool{}
	for _, e := range n.elements {
		for _, l := range e.layers {
			all[l.Digest] = true
		}
	}
	return all
}

// prepared is a repository that has some blobs already, or need not have them.
type prepared struct {
	oci.Storage

	done map[digest.Digest]bool
}

// PushBlob leaves out what is done with.
func (p *prepared) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	if p.done[desc.Digest] {
		return nil
	}
	return p.Storage.PushBlob(ctx, desc, open)
}
