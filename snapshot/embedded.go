package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// Embedded returns the Store that keeps snapshots in the embedded registry, without a way
// through HTTP.
func Embedded(s *store.Store) Store { return embedded{s} }

type embedded struct{ store *store.Store }

func (e embedded) Repository(name string) (Repository, error) {
	r, err := e.store.Repository(name)
	if err != nil {
		return nil, err
	}
	return embeddedRepository{r}, nil
}

// Settle says that the owner of a repository has what it wants there: room that it was refused is not needed any more.
func (e embedded) Settle(repository string) { e.store.Settle(repository) }

type embeddedRepository struct{ r *store.Repository }

func (e embeddedRepository) Stage(ctx context.Context) (Stage, error) {
	s, err := e.r.Stage(ctx)
	if err != nil {
		return nil, full(err)
	}
	return embeddedStage{s}, nil
}

func (e embeddedRepository) PutManifest(ctx context.Context, mediaType string, body []byte, tags ...string) (ocispec.Descriptor, error) {
	desc, err := e.r.PutManifest(ctx, mediaType, body, tags...)
	return desc, full(err)
}

func (e embeddedRepository) Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	desc, body, err := e.r.Manifest(ctx, ref)
	return desc, body, notFound(damaged("manifest", err))
}

func (e embeddedRepository) OpenBlob(ctx context.Context, dgst digest.Digest) (io.ReadCloser, int64, error) {
	f, size, err := e.r.OpenBlob(ctx, dgst)
	if err != nil {
		return nil, 0, notFound(damaged("content", err))
	}
	return f, size, nil
}

func (e embeddedRepository) StatBlob(ctx context.Context, dgst digest.Digest) (int64, error) {
	size, err := e.r.StatBlob(ctx, dgst)
	return size, notFound(damaged("content", err))
}

func (e embeddedRepository) DeleteManifest(ctx context.Context, dgst digest.Digest) error {
	return notFound(e.r.DeleteManifest(ctx, dgst))
}

type embeddedStage struct{ *store.Stage }

// Write implements Stage.
func (e embeddedStage) Write(p []byte) (int, error) {
	n, err := e.Stage.Write(p)
	return n, full(err)
}

// Commit implements Stage.
func (e embeddedStage) Commit(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error) {
	desc, err := e.Stage.Commit(ctx, want)
	return desc, full(err)
}

// full makes the store's error about a lack of room match ErrStorageFull of this package too.
func full(err error) error {
	if !errors.Is(err, store.ErrStorageFull) {
		return err
	}
	return &matching{error: err, sentinel: ErrStorageFull}
}

// damaged makes the store's error about a damaged disk a *DigestMismatchError of this package too.
func damaged(what string, err error) error {
	if mismatch, ok := errors.AsType[*store.DigestMismatchError](err); ok && errors.Is(err, store.ErrDamaged) {
		return fmt.Errorf("%w: %w", &DigestMismatchError{What: what, Want: mismatch.Want, Got: mismatch.Got}, err)
	}
	return err
}

// notFound makes the store's error match ErrNotFound of this package too.
func notFound(err error) error {
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &matching{error: err, sentinel: ErrNotFound}
}

// matching is an error that matches a sentinel without repeating what it says.
type matching struct {
	error

	sentinel error
}

// Unwrap implements the interface that errors.Is looks for.
func (e *matching) Unwrap() []error { return []error{e.sentinel, e.error} }
