package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
)

// Tags lists up to limit tags after last, in ASCII order, and tells whether there are more. The
// error matches ErrRepositoryNotFound when the repository holds nothing.
func (r *Repository) Tags(ctx context.Context, last string, limit int) (tags []string, more bool, err error) {
	err = r.store.view(func(tx *bbolt.Tx) error {
		repo, found := readRepo(tx, r.name)
		if !found {
			return fmt.Errorf("%s: %w", r.name, ErrRepositoryNotFound)
		}
		tags, more = page(repo.content.Cursor(), repo.key(kindTag), last, limit)
		return context.Cause(ctx)
	})
	return tags, more, err
}

// Repositories lists up to limit names of repositories after last, in ASCII order, and tells
// whether there are more.
func (s *Store) Repositories(ctx context.Context, last string, limit int) (names []string, more bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		names, more = page(tx.Bucket(bucketNames).Cursor(), nil, last, limit)
		return context.Cause(ctx)
	})
	return names, more, err
}

func page(c *bbolt.Cursor, prefix []byte, last string, limit int) (names []string, more bool) {
	for k, _ := c.Seek(append(bytes.Clone(prefix), last...)); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		name := string(k[len(prefix):])
		if last != "" && name == last {
			continue
		}
		if len(names) >= limit {
			return names, true
		}
		names = append(names, name)
	}
	return names, false
}

// Referrers lists up to limit manifests whose subject has that digest, in the order of their
// digests and after last, and tells whether there are more. An artifact type that is not empty
// lists only those of that type. A list ends early when it would not fit into a manifest, which is
// what clients take it for.
func (r *Repository) Referrers(ctx context.Context, subject digest.Digest, artifactType string, last digest.Digest, limit int) (found []ocispec.Descriptor, more bool, err error) {
	if _, err := ParseDigest(string(subject)); err != nil {
		return nil, false, err
	}
	err = r.store.view(func(tx *bbolt.Tx) error {
		size := 0
		found, more = nil, false
		repo, exists := readRepo(tx, r.name)
		if !exists {
			return nil
		}
		prefix, from := repo.key(kindReferrer, pack(subject)), repo.key(kindReferrer, pack(subject))
		if last != "" {
			from = repo.referrerKey(subject, last)
		}
		c := repo.content.Cursor()
		for k, raw := c.Seek(from); bytes.HasPrefix(k, prefix); k, raw = c.Next() {
			var d ocispec.Descriptor
			if err := json.Unmarshal(raw, &d); err != nil {
				return fmt.Errorf("%w: a referrer of %s in %s: %w", ErrDamaged, subject, r.name, err)
			}
			if d.Digest == last || artifactType != "" && d.ArtifactType != artifactType {
				continue
			}
			if size += len(raw); len(found) > 0 && (len(found) >= limit || size > MaxManifestBytes) {
				more = true
				return nil
			}
			found = append(found, d)
		}
		return context.Cause(ctx)
	})
	return found, more, err
}
