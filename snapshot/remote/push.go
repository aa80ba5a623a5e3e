package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

const (
	// maxTags bounds how many tags are looked at for those of a manifest that was deleted.
	maxTags     = 1000
	tagPage     = 100
	unsupported = "UNSUPPORTED"
)

// push uploads a blob unless the registry has it.
func (r *Repository) push(ctx context.Context, desc ocispec.Descriptor, content io.ReaderAt) error {
	object := "push content " + desc.Digest.String()
	size, err := r.StatBlob(ctx, desc.Digest)
	if errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	// Whatever else it answered: a push says what is wrong, and repairs what it can.
	if err == nil && size == desc.Size {
		r.noteCommitted(desc.Digest)
		return nil
	}
	for attempt := 0; ; attempt++ {
		begun, err := r.pushOnce(ctx, desc, content)
		if err == nil {
			r.store.markDamaged(r.ref.Repository, desc.Digest, false)
			r.noteCommitted(desc.Digest)
			return nil
		}
		// What went wrong before has been tried again already, as long as it makes sense.
		if attempt >= maxRetries || ctx.Err() != nil || !begun || !mayPass(err) {
			return r.explainPush(object, err)
		}
		if err := sleep(ctx, backoff(attempt)); err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
	}
}

func mayPass(err error) bool {
	if answer, ok := asAnswer(err); ok {
		return passing(answer.status)
	}
	return retryable(nil, err)
}

// pushOnce uploads a blob, and tells whether the registry wanted its content.
func (r *Repository) pushOnce(ctx context.Context, desc ocispec.Descriptor, content io.ReaderAt) (begun bool, err error) {
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	defer watch.end()
	client, err := r.store.remote(ctx, r.ref)
	if err != nil {
		return false, err
	}
	out := &outgoing{watch: watch, r: io.NewSectionReader(content, 0, desc.Size)}
	err = watch.cause(client.Blobs().Push(ctx, desc, out))
	return out.begun.Load(), err
}

// PutManifest implements snapshot.Repository. Not every registry looks whether it has what a manifest names, so this does.
func (r *Repository) PutManifest(ctx context.Context, mediaType string, body []byte, tags ...string) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
	object := "push manifest " + desc.Digest.String()
	if len(body) > maxManifest {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %w: more than %d bytes", object, ErrTooLarge, maxManifest)
	}
	if err := r.checkBlobs(ctx, body); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %w", object, err)
	}
	if len(tags) == 0 {
		tags = []string{desc.Digest.String()}
	}
	for _, tag := range tags {
		if err := r.putManifest(ctx, desc, body, tag); err != nil {
			return ocispec.Descriptor{}, r.explainPush(object, err)
		}
	}
	return desc, nil
}

func (r *Repository) putManifest(ctx context.Context, desc ocispec.Descriptor, body []byte, ref string) error {
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	defer watch.end()
	client, err := r.store.remote(ctx, r.ref)
	if err != nil {
		return err
	}
	return watch.cause(client.Manifests().PushReference(ctx, desc, bytes.NewReader(bytes.Clone(body)), ref))
}

// checkBlobs makes sure that the repository has what a manifest names, as far as it has not just been put there.
func (r *Repository) checkBlobs(ctx context.Context, body []byte) error {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(body, &manifest); err != nil {
		return fmt.Errorf("decode the manifest: %w", err)
	}
	for _, blob := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		if r.wasCommitted(blob.Digest) {
			continue
		}
		size, err := r.StatBlob(ctx, blob.Digest)
		if errors.Is(err, snapshot.ErrNotFound) || err == nil && size != blob.Size {
			return fmt.Errorf("blob %s, which the manifest names, is not in %s", blob.Digest, r.where())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteManifest implements snapshot.Repository. The error matches ErrUndeletable when the registry deletes nothing. What the
// manifest referred to is the registry's to collect.
func (r *Repository) DeleteManifest(ctx context.Context, dgst digest.Digest) error {
	object := "delete manifest " + dgst.String()
	if err := dgst.Validate(); err != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	err := r.remove(ctx, dgst.String())
	if err == nil {
		return r.untag(ctx, dgst)
	}
	if answer, ok := asAnswer(err); ok && (answer.status == http.StatusMethodNotAllowed || answer.has(unsupported)) {
		return fmt.Errorf("%s at %s: %w: %w", object, r.where(), ErrUndeletable, answer)
	}
	return r.explain(object, err)
}

func (r *Repository) remove(ctx context.Context, ref string) error {
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	defer watch.end()
	resp, err := r.send(ctx, request{method: http.MethodDelete, class: "manifests", ref: ref, action: auth.ActionDelete})
	if err != nil {
		return watch.cause(err)
	}
	return resp.Body.Close()
}

// untag deletes the tags of a manifest that was deleted. Most registries have done so by themselves.
func (r *Repository) untag(ctx context.Context, dgst digest.Digest) error {
	tags, err := r.tags(ctx)
	if err != nil {
		return r.ignore(err)
	}
	for _, tag := range tags {
		desc, _, err := r.Manifest(ctx, tag)
		if err != nil || desc.Digest != dgst {
			continue
		}
		if err := r.remove(ctx, tag); err != nil {
			return r.ignore(r.explain("delete tag "+tag, err))
		}
	}
	return nil
}

// ignore drops the errors about tags that don't matter once their manifest is gone.
func (*Repository) ignore(err error) error {
	_, answered := asAnswer(err)
	if answered || errors.Is(err, snapshot.ErrNotFound) || errors.Is(err, ErrUnsure) {
		return nil
	}
	return err
}

// errEnough ends a listing.
var errEnough = errors.New("enough tags")

func (r *Repository) tags(ctx context.Context) ([]string, error) {
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	defer watch.end()
	client, err := r.store.remote(ctx, r.ref)
	if err != nil {
		return nil, err
	}
	client.TagListPageSize, client.TagListMaxPages = tagPage, maxTags/tagPage
	var tags []string
	err = client.Tags(ctx, "", func(page []string) error {
		if tags = append(tags, page...); len(tags) >= maxTags {
			tags = tags[:maxTags]
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return tags, r.explain("list tags", watch.cause(err))
}
