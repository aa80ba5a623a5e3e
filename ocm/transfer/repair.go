package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// replacer is a repository whose blobs can be written anew, as those of archives.
// Registries don't take what they have already.
type replacer interface {
	ReplaceBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error
}

// confirm reads back by their tags what was written, as everybody does. What seemed
// to be there by its name and size may have been damaged since it was written: it is
// written anew, once.
func (r *run) confirm(ctx context.Context) error {
	err := r.readAllBack(ctx)
	if _, wrong := errors.AsType[*oci.DigestMismatchError](err); !wrong {
		return err
	}
	repaired, failed := r.repair(ctx)
	switch {
	case failed != nil:
		return fmt.Errorf("%w; it can't be written anew: %w", err, failed)
	case !repaired:
		return fmt.Errorf("%w; have that removed from the target, so that it is sent again", err)
	}
	return r.readAllBack(ctx)
}

// piece is a blob or a manifest, and how it can be written anew.
type piece struct {
	desc ocispec.Descriptor
	to   oci.Storage
	open func(ctx context.Context) (io.ReadCloser, error)
}

// repair writes blobs and manifests of contents anew that are damaged at the target.
// The result is false if there are none that can be.
func (r *run) repair(ctx context.Context) (bool, error) {
	all := r.pieces()
	var repaired atomic.Bool
	err := eachUntil(ctx, r.options.Concurrency, len(all), func(ctx context.Context, i int) error {
		err := r.readPiece(ctx, all[i])
		if _, wrong := errors.AsType[*oci.DigestMismatchError](err); !wrong {
			return err
		}
		repaired.Store(true)
		return all[i].to.(replacer).ReplaceBlob(ctx, all[i].desc, func() (io.ReadCloser, error) { //nolint:forcetypeassert // others are left out
			rc, err := all[i].open(ctx)
			return &noted{ReadCloser: rc, moved: r.progress.step}, sided(oci.Source, err)
		})
	})
	return repaired.Load(), err
}

// readPiece reads a piece, which compares it with its digest.
func (r *run) readPiece(ctx context.Context, p piece) error {
	rc, _, err := p.to.Blob(ctx, p.desc.Digest, p.desc.Size)
	if err != nil {
		return err
	}
	defer rc.Close()
	_, err = io.Copy(io.Discard, &noted{ReadCloser: rc, moved: r.progress.step})
	return err
}

// pieces returns what contents are made of, each once, where it can be written anew.
func (r *run) pieces() []piece {
	var out []piece
	known := map[digest.Digest]bool{}
	for _, n := range r.versions {
		for _, e := range n.elements {
			for _, p := range e.pieces() {
				// All repositories of an archive have their blobs in one place.
				if _, ok := p.to.(replacer); ok && !known[p.desc.Digest] {
					known[p.desc.Digest] = true
					out = append(out, p)
				}
			}
		}
	}
	return out
}

func (e *element) pieces() []piece {
	to := e.node.storage
	if e.separate != nil {
		to = e.separate.storage
	}
	var out []piece
	add := func(blobs []ocispec.Descriptor) {
		for _, desc := range blobs {
			out = append(out, piece{desc: desc, to: to, open: func(ctx context.Context) (io.ReadCloser, error) {
				rc, _, err := e.from.Blob(ctx, desc.Digest, desc.Size)
				return rc, err
			}})
		}
	}
	if e.omitted {
		return nil // not all of it is there
	}
	if add(e.layers); e.tree == nil {
		return out
	}
	add(e.tree.Blobs)
	for _, m := range e.tree.Manifests {
		out = append(out, piece{desc: described(m.Bytes), to: to, open: func(context.Context) (io.ReadCloser, error) { return reading(m.Bytes), nil }})
	}
	return out
}

func described(body []byte) ocispec.Descriptor {
	return ocispec.Descriptor{Digest: digest.FromBytes(body), Size: int64(len(body))}
}

func reading(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
