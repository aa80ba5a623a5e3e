package server

import (
	"context"
	"fmt"
	"io"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

// Kind is a registry of another project.
type Kind string

// Kinds of registries.
const (
	// Distribution is distribution v3 with its filesystem driver: the usual registry.
	Distribution Kind = "distribution"
	// ContainerRegistryDisk is the one of go-containerregistry with blobs in files. Manifests are in memory.
	ContainerRegistryDisk Kind = "gcr-disk"
	// ContainerRegistryMemory is the one of go-containerregistry with everything in memory.
	ContainerRegistryMemory Kind = "gcr-memory"
)

// Registry says how to run a registry of another project.
type Registry struct {
	Kind Kind
	// Listen is host:port; a free port of 127.0.0.1 when empty.
	Listen string
	// Dir is where it keeps content; ContainerRegistryMemory needs none.
	Dir string
	// Cert and Key are PEM files; without it serves plain HTTP.
	Cert, Key string
	// User and Password are the login that everything needs; everybody may do everything without.
	User, Password string
	// Delete lets clients of Distribution delete; the others always let them.
	Delete bool
	// Log gets its messages; nobody when nil.
	Log io.Writer
	// Progress is told about the build of the program; nobody when nil.
	Progress io.Writer
}

// StartRegistry runs a registry of another project. The first call on a machine builds the program, which may take a minute.
func StartRegistry(ctx context.Context, r Registry) (*Process, error) {
	cache, err := binaries.Open(binaries.Options{Progress: r.Progress})
	if err != nil {
		return nil, err
	}
	path, err := cache.Registries(ctx)
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--kind=" + string(r.Kind), "--dir=" + r.Dir}
	if r.Listen != "" {
		args = append(args, "--listen="+r.Listen)
	}
	if r.Cert != "" {
		args = append(args, "--tls-cert="+r.Cert, "--tls-key="+r.Key)
	}
	if r.Delete {
		args = append(args, "--delete")
	}
	var env []string
	if r.User != "" {
		args, env = append(args, "--user="+r.User), append(env, "REGISTRIES_PASSWORD="+r.Password)
	}
	p, err := Start(ctx, Command{Path: path, Args: args, Env: env, Log: r.Log})
	if err != nil {
		return nil, fmt.Errorf("run the registry %s: %w", r.Kind, err)
	}
	return p, nil
}
