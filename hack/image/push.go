package main

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// push copies the image from the archive to a registry, all platforms of it, and tags it last.
func push(ctx context.Context, path string, root ocispec.Descriptor, name string, plainHTTP bool) error {
	source, err := oci.NewFromTar(ctx, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	target, err := remote.NewRepository(name)
	if err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return fmt.Errorf("read the credentials for %s from docker's configuration: %w", name, err)
	}
	target.PlainHTTP = plainHTTP
	target.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	if err := oras.CopyGraph(ctx, source, target, root, oras.DefaultCopyGraphOptions); err != nil {
		return fmt.Errorf("push %s: %w", name, err)
	}
	if err := target.Tag(ctx, root, target.Reference.Reference); err != nil {
		return fmt.Errorf("tag %s: %w", name, err)
	}
	return nil
}
