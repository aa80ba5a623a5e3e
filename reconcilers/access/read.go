package access

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Pinned returns a component version by the digest of its manifest. Equal requests share one read, and what was read is
// remembered.
func (r *Repository) Pinned(ctx context.Context, node source.Node) (*ocm.ComponentVersion, error) {
	return r.once(ctx, node, func(ctx context.Context) (*ocm.ComponentVersion, error) {
		manifest, err := digest.Parse(node.ManifestDigest)
		if err != nil {
			return nil, fmt.Errorf("pinned digest %q of component %s %s: %w", node.ManifestDigest, node.Component, node.Version, err)
		}
		return r.GetPinned(ctx, node.Component, node.Version, manifest)
	})
}

// Current returns a component version as it is tagged now, and the digest of its manifest. One request tells what the tag
// leads to, and only what isn't remembered takes more. When the digest is known, but the version can't be read, both the
// digest and the error are set.
func (r *Repository) Current(ctx context.Context, component, version string) (*ocm.ComponentVersion, digest.Digest, error) {
	manifest, err := r.Tagged(ctx, component, version)
	if err != nil {
		return nil, "", err
	}
	node := source.Node{Component: component, Version: version, ManifestDigest: manifest.Digest.String()}
	found, err := r.once(ctx, node, func(ctx context.Context) (*ocm.ComponentVersion, error) {
		return r.Read(ctx, component, version, manifest)
	})
	return found, manifest.Digest, err
}

// reading reads one component version.
type reading func(context.Context) (*ocm.ComponentVersion, error)

// once reads a pinned component version unless it is remembered, or being read.
func (r *Repository) once(ctx context.Context, node source.Node, read reading) (*ocm.ComponentVersion, error) {
	key := fmt.Sprintf("%s %s:%s@%s", r.key, node.Component, node.Version, node.ManifestDigest)
	if known, ok := r.provider.versions.get(key); ok {
		return known, nil
	}
	begun := r.provider.flight.DoChan(key, func() (any, error) {
		// The read outlives a caller that gives up, because others may wait for it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		version, err := read.guarded(ctx, node)
		if err == nil && small(version) {
			r.provider.versions.add(key, version)
		}
		return version, err
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case result := <-begun:
		if result.Err != nil {
			return nil, result.Err
		}
		version, ok := result.Val.(*ocm.ComponentVersion)
		if !ok {
			return nil, fmt.Errorf("reading component %s %s gave nothing", node.Component, node.Version)
		}
		return version, nil
	}
}

// guarded reads a component version. It runs on a goroutine that nothing recovers, and what it parses is foreign, so a panic
// must not end the process.
func (read reading) guarded(ctx context.Context, node source.Node) (version *ocm.ComponentVersion, err error) {
	defer panics.Recover(&err, "read component %s %s", node.Component, node.Version)
	return read(ctx)
}
