package registryserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/artifact"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// ErrArtifactsOff says that the operator was started without --external-artifacts.
var ErrArtifactsOff = errors.New("the operator serves no artifacts: start it with --external-artifacts")

// Artifact is the content of a snapshot as a file that is served over plain HTTP.
type Artifact struct {
	// URL is where it is served, and Path the same without the server.
	URL, Path string
	// Digest, Size and MediaType are those of the content.
	Digest    string
	Size      int64
	MediaType string
}

// artifacts serves the content of snapshots to those who know its path.
type artifacts struct {
	handler *artifact.Handler
	server  *registry.Server
}

// newArtifacts returns the server of artifacts, which needs neither certificates nor credentials: a path can't be guessed,
// and has the digest in it.
func (r *Registry) newArtifacts(logger *slog.Logger) (*artifacts, error) {
	handler, err := artifact.NewHandler(r.store, r.keys[0], logger)
	if err != nil {
		return nil, err
	}
	if err := handler.SetKeys(r.keys...); err != nil {
		return nil, err
	}
	handler.Ask(r.replica.Blob)
	handler.Measure(r.metrics)
	server := &registry.Server{Addr: r.options.ArtifactListen, Handler: handler, Logger: logger}
	r.metrics.Watch("artifacts", server)
	return &artifacts{handler: handler, server: server}, nil
}

// serveArtifacts serves until the context is over.
func (r *Registry) serveArtifacts(ctx context.Context) error {
	r.log.Info("Serving artifacts", "listen", r.options.ArtifactListen, "address", r.options.ArtifactAddress)
	return r.artifacts.server.Run(ctx)
}

// Artifact returns the content of the snapshot with that manifest digest. The error matches snapshot.ErrNotFound when it is
// not in this replica's store, and ErrArtifactsOff when no artifacts are served.
func (r *Registry) Artifact(ctx context.Context, repository, manifest string) (Artifact, error) {
	if r.artifacts == nil {
		return Artifact{}, ErrArtifactsOff
	}
	repo, err := snapshot.Embedded(r.store).Repository(repository)
	if err != nil {
		return Artifact{}, err
	}
	content, err := snapshot.Open(ctx, repo, digest.Digest(manifest))
	if err != nil {
		return Artifact{}, err
	}
	if err := content.Close(); err != nil {
		return Artifact{}, fmt.Errorf("close content of snapshot %s: %w", manifest, err)
	}
	path := r.artifacts.handler.Path(repository, content.LayerDigest)
	return Artifact{
		URL:       "http://" + r.options.ArtifactAddress + "/" + path,
		Path:      path,
		Digest:    content.LayerDigest.String(),
		Size:      content.Size,
		MediaType: content.MediaType,
	}, nil
}
