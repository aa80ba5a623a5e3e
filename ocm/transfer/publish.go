package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// creator is what manifests name as the tool that made them.
const creator = "ocm-operator"

// publish writes what leads to the blobs: artifacts, then component versions,
// references before those that refer to them.
//
// Copying takes long, and others may write to the target meanwhile. So what a tag
// leads to is looked at once more right before it is written. Transfers that share
// what they know of a registry take turns in that. What remains, of other programs, is
// the time of one request: registries have nothing that compares and writes at once.
func (r *run) publish(ctx context.Context) error {
	for _, n := range r.versions {
		moved := false
		for _, e := range n.elements {
			elsewhere, err := r.publishTree(ctx, e)
			if err != nil {
				return err
			}
			moved = moved || elsewhere
		}
		if moved {
			if err := r.compareAgain(ctx, n); err != nil {
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

// maxLooks bounds how often what others write is looked at again.
const maxLooks = 3

// publishTree writes the manifests of an artifact, the tag last. If others have
// taken the tag, it gets another one, and the result is true.
func (r *run) publishTree(ctx context.Context, e *element) (moved bool, err error) {
	if e.tree == nil {
		return false, nil
	}
	defer r.progress.step()
	if e.separate == nil {
		return false, oci.PushTree(ctx, e.node.storage, e.tree, "")
	}
	p := e.separate
	for range maxLooks {
		// A tag that was free may be gone by now, but not lead elsewhere.
		err = oci.PushTree(ctx, &careful{Storage: p.storage, tag: p.tag}, e.tree, p.tag)
		taken, ok := errors.AsType[*takenError](err)
		if !ok {
			return moved, err
		}
		if moved = true; p.tag == p.wanted {
			p.leads = taken.found
		}
		if err := r.tag(ctx, e); err != nil {
			return moved, err
		}
	}
	return moved, err
}

// publishVersion writes the manifest of a component version. If others have written
// one, it is compared once more.
func (r *run) publishVersion(ctx context.Context, n *node) error {
	var err error
	for range maxLooks {
		if n.outcome == Unchanged {
			return nil
		}
		var pack *oci.Package
		if pack, err = n.pack(); err != nil {
			return err
		}
		to := &prepared{Storage: &careful{Storage: n.storage, tag: pack.Tag(), seen: n.there.manifest}, done: n.layers()}
		if n.damaged {
			to.anew, _ = n.storage.(replacer)
		}
		err = oci.Publish(ctx, to, pack)
		if err == nil {
			n.target = pack.Digest
			return nil
		}
		if _, taken := errors.AsType[*takenError](err); !taken {
			return err
		}
		if err := r.compareAgain(ctx, n); err != nil {
			return err
		}
	}
	return err
}

// careful is a repository with a tag that is written only if it leads to what it
// led to when it was looked at, or nowhere.
type careful struct {
	oci.Storage

	tag  string
	seen digest.Digest
}

// PushManifest implements oci.Storage. It is a *takenError if the tag leads
// elsewhere.
func (c *careful) PushManifest(ctx context.Context, mediaType string, body []byte, tag string) (digest.Digest, error) {
	if tag != c.tag {
		return c.Storage.PushManifest(ctx, mediaType, body, tag)
	}
	if shared, ok := c.Storage.(turner); ok {
		end, err := shared.Turn(ctx, tag)
		if err != nil {
			return "", err
		}
		defer end()
	}
	found, err := resolve(ctx, c.Storage, tag)
	if err != nil {
		return "", err
	}
	switch {
	case found == digest.FromBytes(body) && found != c.seen:
		return found, nil // it need not be written again
	case found != "" && found != c.seen:
		return "", &takenError{place: c.String(), tag: tag, found: found}
	}
	return c.Storage.PushManifest(ctx, mediaType, body, tag)
}

// turner is a repository whose tags are written by one at a time, as those of
// registries.
type turner interface {
	Turn(ctx context.Context, tag string) (end func(), err error)
}

// takenError says that a tag was written by others after it was looked at.
type takenError struct {
	place, tag string
	found      digest.Digest
}

// Error says what to do.
func (e *takenError) Error() string {
	return fmt.Sprintf("tag %s of %s was moved to %s while contents were copied: somebody else writes there, too; it is tried again", e.tag, e.place, e.found)
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
	// anew, if set, has all others written even if they seem to be there.
	anew replacer
}

// PushBlob leaves out what is done with.
func (p *prepared) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	if p.done[desc.Digest] {
		return nil
	}
	if p.anew != nil {
		return p.anew.ReplaceBlob(ctx, desc, open)
	}
	return p.Storage.PushBlob(ctx, desc, open)
}

// PushManifest implements oci.Storage. Manifests are blobs where those can be written
// anew.
func (p *prepared) PushManifest(ctx context.Context, mediaType string, body []byte, tag string) (digest.Digest, error) {
	if p.anew != nil {
		if err := p.anew.ReplaceBlob(ctx, described(body), func() (io.ReadCloser, error) { return reading(body), nil }); err != nil {
			return "", err
		}
	}
	return p.Storage.PushManifest(ctx, mediaType, body, tag)
}
