package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

// containerRegistryOnDisk keeps blobs in files; manifests and uploads in progress are in memory, as that server has them.
func containerRegistryOnDisk(_ context.Context, o options) (http.Handler, error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("create its folder: %w", err)
	}
	return registry.New(quiet(), registry.WithReferrersSupport(true), registry.WithBlobHandler(registry.NewDiskBlobHandler(o.dir))), nil
}

func containerRegistryInMemory(context.Context, options) (http.Handler, error) {
	return registry.New(quiet(), registry.WithReferrersSupport(true)), nil
}

func quiet() registry.Option { return registry.Logger(log.New(io.Discard, "", 0)) }
