// Package storetest fills stores for tests and measurements of the registry.
package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// Name returns the repository of the i-th snapshot that Fill makes.
func Name(i int) string { return fmt.Sprintf("ns-%d/name", i) }

// Layer returns the content of the layer of the i-th snapshot that Fill makes.
func Layer(i int) []byte { return fmt.Appendf(nil, "layer of snapshot %d\n", i) }

// Fill pushes count snapshots as the operator does, each a manifest with the tag v1.0.0 and a layer in a repository of its own, and
// one config for all. It returns a root for each, in the order of their numbers. A store that is opened with NoSync takes them
// much faster, and has the same files in the end.
func Fill(ctx context.Context, s *store.Store, count int) ([]store.Root, error) {
	first, err := s.Repository(Name(0))
	if err != nil {
		return nil, err
	}
	if _, err := blob(ctx, first, []byte("{}"), ocispec.MediaTypeEmptyJSON); err != nil {
		return nil, err
	}
	roots := make([]store.Root, count)
	group, ctx := errgroup.WithContext(ctx)
	workers := 8 * runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < count; i += workers {
				var err error
				if roots[i], err = push(ctx, s, first, i); err != nil {
					return fmt.Errorf("push snapshot %d: %w", i, err)
				}
			}
			return nil
		})
	}
	return roots, group.Wait()
}

// push takes the config from the first repository.
func push(ctx context.Context, s *store.Store, first *store.Repository, i int) (store.Root, error) {
	r, err := s.Repository(Name(i))
	if err != nil {
		return store.Root{}, err
	}
	config, err := r.MountBlob(ctx, first, digest.FromString("{}"))
	if err != nil {
		return store.Root{}, err
	}
	config.MediaType = ocispec.MediaTypeEmptyJSON
	layer, err := blob(ctx, r, Layer(i), "application/vnd.cncf.flux.content.v1.tar+gzip")
	if err != nil {
		return store.Root{}, err
	}
	body, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config,
		Layers:    []ocispec.Descriptor{layer},
		Annotations: map[string]string{
			ocispec.AnnotationTitle:   Name(i),
			ocispec.AnnotationVersion: "v1.0.0",
			ocispec.AnnotationSource:  "oci://registry.example/components//example.com/component",
		},
	})
	if err != nil {
		return store.Root{}, err
	}
	desc, err := r.PutManifest(ctx, ocispec.MediaTypeImageManifest, body, "v1.0.0")
	return store.Root{Repository: r.Name(), Digest: desc.Digest}, err
}

// blob pushes one blob.
func blob(ctx context.Context, r *store.Repository, content []byte, mediaType string) (desc ocispec.Descriptor, err error) {
	stage, err := r.Stage(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	if _, err := stage.Write(content); err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, err = stage.Commit(ctx, digest.FromBytes(content))
	desc.MediaType = mediaType
	return desc, err
}

// DamageManifest flips a bit of a manifest in the index of a store that is closed.
func DamageManifest(dir string, d digest.Digest) (err error) {
	db, err := bbolt.Open(filepath.Join(dir, "index.db"), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(tx *bbolt.Tx) error {
		bodies := tx.Bucket([]byte("bodies"))
		c := bodies.Cursor()
		for k, body := c.First(); k != nil; k, body = c.Next() {
			if d.Algorithm().FromBytes(body) == d {
				body = bytes.Clone(body)
				body[len(body)-1] ^= 1
				return bodies.Put(k, body)
			}
		}
		return fmt.Errorf("manifest %s is not in the index", d)
	})
}
