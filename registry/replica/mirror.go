package replica

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// maxDepth bounds how deep indexes are nested, and maxManifests how many manifests an artifact has.
	maxDepth     = 8
	maxManifests = 1000
)

// ErrTooDeep says that an artifact has more manifests, or deeper ones, than are mirrored.
var ErrTooDeep = fmt.Errorf("an artifact of more than %d manifests, or %d levels of them, is not mirrored", maxManifests, maxDepth)

// Has tells whether the local store has a manifest and all that it names. Tags that are given have to lead to it.
func (r *Replica) Has(ctx context.Context, repository string, manifest digest.Digest, tags ...string) bool {
	repo, err := r.options.Store.Repository(repository)
	if err != nil {
		return false
	}
	for _, tag := range tags {
		if found, _, err := repo.Manifest(ctx, tag); err != nil || found.Digest != manifest {
			return false
		}
	}
	left := maxManifests
	return complete(ctx, repo, manifest, maxDepth, &left)
}

func complete(ctx context.Context, repo *store.Repository, manifest digest.Digest, depth int, left *int) bool {
	if *left--; depth == 0 || *left < 0 {
		return false
	}
	_, body, err := repo.Manifest(ctx, manifest.String())
	if err != nil {
		return false
	}
	blobs, children, err := references(body)
	if err != nil {
		return false
	}
	for _, blob := range blobs {
		if !hasBlob(ctx, repo, blob.Digest) && !elsewhere(blob) {
			return false
		}
	}
	for _, child := range children {
		if !complete(ctx, repo, child.Digest, depth-1, left) {
			return false
		}
	}
	return true
}

// Tags tells which tags lead to an artifact by now.
type Tags func(ctx context.Context) ([]string, error)

// Mirror makes sure that an artifact of the leader is in the local store, with its tags; nil means that it has none. It tells
// whether it had to copy anything. Tags are asked for once more when everything else is there, as a copy may take so long that
// they lead to another artifact then: an older one never takes a tag from a newer one.
// The error matches ErrMissing when the leader does not have it, and ErrNoRoom when this replica has no room for it. While this
// replica leads there is nothing to do.
func (r *Replica) Mirror(ctx context.Context, repository string, manifest digest.Digest, tags Tags) (copied bool, err error) {
	if r.options.Leader().Self {
		return false, nil
	}
	if tags == nil {
		tags = func(context.Context) ([]string, error) { return nil, nil }
	}
	names, err := tags(ctx)
	if err != nil {
		return false, err
	}
	if r.Has(ctx, repository, manifest, names...) {
		return false, nil
	}
	repo, err := r.options.Store.Repository(repository)
	if err != nil {
		return false, err
	}
	left := maxManifests
	found, err := r.mirror(ctx, repo, manifest, maxDepth, &left)
	if err == nil {
		err = r.tag(ctx, repo, found, manifest, tags)
	}
	if errors.Is(err, errLeading) {
		return false, nil
	}
	r.metrics.mirrored(err)
	if err != nil {
		return false, fmt.Errorf("mirror %s of %s: %w", manifest, repository, err)
	}
	return true, nil
}

// tag gives an artifact the tags that it has by now. Nobody else looks at the same time: who looked before would be the last to
// write.
func (r *Replica) tag(ctx context.Context, repo *store.Repository, found *document, manifest digest.Digest, tags Tags) error {
	r.tagging.Lock()
	defer r.tagging.Unlock()
	names, err := tags(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	return r.put(ctx, repo, found, manifest, names...)
}

// put stores a manifest. Once this replica leads, only those write who have to.
func (r *Replica) put(ctx context.Context, repo *store.Repository, found *document, manifest digest.Digest, tags ...string) error {
	if r.options.Leader().Self {
		return errLeading
	}
	if _, err := repo.PutManifestAs(ctx, manifest, found.mediaType, found.body, tags...); err != nil {
		return &storeError{err}
	}
	return nil
}

func (r *Replica) mirror(ctx context.Context, repo *store.Repository, manifest digest.Digest, depth int, left *int) (*document, error) {
	if *left--; depth == 0 || *left < 0 {
		return nil, ErrTooDeep
	}
	found, err := r.fetchManifest(ctx, repo.Name(), manifest)
	if err != nil {
		return nil, err
	}
	blobs, children, err := references(found.body)
	if err != nil {
		return nil, err
	}
	// Where there is no room, it is the largest that has none, and no other one is fetched in vain.
	slices.SortStableFunc(blobs, func(a, b ocispec.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	for _, blob := range blobs {
		if err := r.mirrorBlob(ctx, repo, blob); err != nil {
			return nil, err
		}
	}
	for _, child := range children {
		if _, err := r.mirror(ctx, repo, child.Digest, depth-1, left); err != nil {
			return nil, err
		}
	}
	return found, r.put(ctx, repo, found, manifest)
}

// mirrorBlob stores a blob, or renews the lease of the one that is there, so that it stays until its manifest names it.
func (r *Replica) mirrorBlob(ctx context.Context, repo *store.Repository, blob ocispec.Descriptor) error {
	if _, err := repo.StatBlob(ctx, blob.Digest); err == nil {
		return nil
	}
	err := r.fetch(ctx, repo.Name(), blob.Digest)
	if errors.Is(err, ErrMissing) && elsewhere(blob) {
		return nil
	}
	return err
}

// elsewhere tells whether a layer may be at a place of its own instead of in the registry.
func elsewhere(blob ocispec.Descriptor) bool { return len(blob.URLs) > 0 }

// references returns what a manifest names. The body has been compared with its digest, and a store checks it again.
func references(body []byte) (blobs, children []ocispec.Descriptor, err error) {
	var m struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, nil, fmt.Errorf("read what a manifest names: %w", err)
	}
	blobs = m.Layers
	if m.Config != nil {
		blobs = append(blobs, *m.Config)
	}
	for _, all := range [][]ocispec.Descriptor{blobs, m.Manifests} {
		for _, d := range all {
			if _, err := store.ParseDigest(d.Digest.String()); err != nil {
				return nil, nil, err
			}
		}
	}
	return blobs, m.Manifests, nil
}
