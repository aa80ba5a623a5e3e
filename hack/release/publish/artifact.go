package main

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/ocm-operator/ocm-operator/hack/image/push"
)

// artifact is something that is pushed, and where to.
type artifact struct {
	what   string // in messages and in the output
	name   registry.Reference
	root   ocispec.Descriptor
	source oras.ReadOnlyTarget
	target *remote.Repository
}

// readImage finds in an archive what has the tag of the name.
func readImage(ctx context.Context, archive, name string) (*artifact, error) {
	ref, err := parseName(name)
	if err != nil {
		return nil, err
	}
	source, err := oci.NewFromTar(ctx, archive)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", archive, err)
	}
	root, err := source.Resolve(ctx, ref.Reference)
	if err != nil {
		return nil, fmt.Errorf("find the image %s in %s: %w", ref.Reference, archive, err)
	}
	return &artifact{what: "image", name: ref, root: root, source: source}, nil
}

func parseName(name string) (registry.Reference, error) {
	ref, err := registry.ParseReference(name)
	if err == nil {
		err = ref.ValidateReferenceAsTag()
	}
	if err != nil {
		return registry.Reference{}, fmt.Errorf("name %q: write it with its registry and tag, as ghcr.io/owner/name:v1: %w", name, err)
	}
	return ref, nil
}

// open makes a client with the credentials of docker's configuration.
func (a *artifact) open(plainHTTP bool) error {
	var err error
	a.target, err = push.Repository(a.name.String(), plainHTTP)
	return err
}

// allowed asks for a token that may push, also where something is only looked at: there are registries that deny a token for
// reading to who asks for a repository that does not exist, as none does before the first release.
func (a *artifact) allowed(ctx context.Context) context.Context {
	return auth.AppendRepositoryScope(ctx, a.name, auth.ActionPull, auth.ActionPush)
}

// check returns an error if the name leads to something else. A run that is repeated finds what it has pushed before.
func (a *artifact) check(ctx context.Context) error {
	there, err := a.target.Resolve(a.allowed(ctx), a.name.Reference)
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look where %s leads: %w", a.name, err)
	case there.Digest != a.root.Digest:
		return fmt.Errorf("%s is %s already and would become %s: somebody may have it, so nothing was pushed; release the next version", a.name, there.Digest, a.root.Digest)
	}
	return nil
}

// push copies what is missing, and tags it last.
func (a *artifact) push(ctx context.Context) error {
	return push.Copy(a.allowed(ctx), a.source, a.root, a.target)
}
