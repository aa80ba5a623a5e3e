// Package push copies images from archives, as package scratch writes them, and other artifacts to registries.
package push

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Archive copies the image from the archive to a registry, all platforms of it.
func Archive(ctx context.Context, path string, root ocispec.Descriptor, name string, plainHTTP bool) error {
	source, err := oci.NewFromTar(ctx, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	target, err := Repository(name, plainHTTP)
	if err != nil {
		return err
	}
	return Copy(ctx, source, root, target)
}

// Repository returns a client for a name with its tag. The credentials are those of docker's configuration.
func Repository(name string, plainHTTP bool) (*remote.Repository, error) {
	target, err := remote.NewRepository(name)
	if err != nil {
		return nil, fmt.Errorf("name %s: %w", name, err)
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the credentials for %s from docker's configuration: %w", name, err)
	}
	target.PlainHTTP = plainHTTP
	target.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	return target, nil
}

// Copy copies what the target lacks of an artifact, and tags it last, with the tag of the target's name.
func Copy(ctx context.Context, source content.ReadOnlyStorage, root ocispec.Descriptor, target *remote.Repository) error {
	if err := oras.CopyGraph(ctx, source, target, root, oras.DefaultCopyGraphOptions); err != nil {
		return fmt.Errorf("push %s: %w", target.Reference, err)
	}
	if err := target.Tag(ctx, root, target.Reference.Reference); err != nil {
		return fmt.Errorf("tag %s: %w", target.Reference, err)
	}
	return nil
}
