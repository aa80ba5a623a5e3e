package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
)

// PutManifest stores a manifest under its sha256 digest and the tags. Every blob that it names has to
// be linked to the repository, and every manifest that it names to be in it; else the error is a
// *MissingBlobError. When PutManifest returns nil, the artifact outlives a crash.
func (r *Repository) PutManifest(ctx context.Context, mediaType string, body []byte, tags ...string) (ocispec.Descriptor, error) {
	return r.PutManifestAs(ctx, digest.FromBytes(body), mediaType, body, tags...)
}

// PutManifestAs is PutManifest for a digest that the caller knows, which may be a sha512.
func (r *Repository) PutManifestAs(ctx context.Context, want digest.Digest, mediaType string, body []byte, tags ...string) (ocispec.Descriptor, error) {
	if err := context.Cause(ctx); err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := ParseDigest(string(want)); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, tag := range tags {
		if !ValidTag(tag) {
			return ocispec.Descriptor{}, &NameError{Kind: "tag", Value: tag}
		}
	}
	m, err := parseManifest(mediaType, body)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if got := want.Algorithm().FromBytes(body); got != want {
		return ocispec.Descriptor{}, &DigestMismatchError{Want: want, Got: got}
	}
	p := put{repo: r, digest: want, mediaType: mediaType, body: body, tags: tags, manifest: m}
	return p.run()
}

// put is one manifest on its way into the index.
type put struct {
	repo      *Repository
	digest    digest.Digest
	mediaType string
	body      []byte
	tags      []string
	manifest  *document
	record    record
	// announced is set while the index knows that there will be a change.
	announced bool
}

func (p *put) run() (ocispec.Descriptor, error) {
	s := p.repo.store
	desc := ocispec.Descriptor{MediaType: p.mediaType, Digest: p.digest, Size: int64(len(p.body))}
	// Nobody waits for room with content held, which those who make some may want to take.
	if err := p.makeRoom(); err != nil {
		return ocispec.Descriptor{}, err
	}
	unpin := p.pin()
	defer unpin()
	if err := p.makeRecord(); err != nil {
		return ocispec.Descriptor{}, err
	}
	p.announce(true)
	defer p.announce(false)
	if err := p.settle(); err != nil {
		return ocispec.Descriptor{}, err
	}
	defer s.locks.lock(manifestKey(p.digest))()
	unchanged, err := p.unchanged()
	if err == nil && !unchanged {
		p.announce(false)
		err = p.repo.full(int64(len(p.body)), s.update(p.apply))
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	s.leases.renew(p.repo.name, manifestKey(p.digest))
	s.losses.recover(manifestKey(p.digest))
	s.refusals.served(p.repo.name)
	return desc, nil
}

// announce tells the index that there will be a change, so that others wait a moment and share their transaction with it.
func (p *put) announce(coming bool) {
	if p.announced == coming {
		return
	}
	p.announced = coming
	if coming {
		p.repo.store.index.coming.Add(1)
	} else {
		p.repo.store.index.coming.Add(-1)
	}
}

// makeRoom waits until the index has room for the manifest, unless that is there already.
func (p *put) makeRoom() error {
	if p.repo.store.room.lacksIndex() == nil {
		return nil
	}
	unchanged, err := p.unchanged()
	if err != nil || unchanged {
		return err
	}
	return p.repo.admit(len(p.body))
}

// pin keeps the collector away from the blobs while the manifest that names them is not in the
// index. It is taken under each blob's lock, so what is looked at afterwards stays as it is.
func (p *put) pin() (unpin func()) {
	s := p.repo.store
	var unpins []func()
	for _, d := range p.manifest.blobs() {
		unlock := s.locks.share(blobKey(d.Digest))
		unpins = append(unpins, s.leases.pin(blobKey(d.Digest)))
		unlock()
	}
	return func() {
		for _, unpin := range unpins {
			unpin()
		}
	}
}

// makeRecord checks the blobs that the manifest names.
func (p *put) makeRecord() error {
	p.record = record{MediaType: p.mediaType, Size: int64(len(p.body))}
	if p.manifest.Subject != nil {
		p.record.Subject = p.manifest.Subject.Digest
	}
	seen := map[key]bool{}
	for _, d := range p.manifest.blobs() {
		// One that is named twice may be named with two sizes.
		linked, err := p.checkBlob(d)
		if err != nil {
			return err
		}
		if linked && !seen[blobKey(d.Digest)] {
			seen[blobKey(d.Digest)] = true
			p.record.Blobs = append(p.record.Blobs, sized{Digest: d.Digest, Size: d.Size})
		}
	}
	for _, d := range p.manifest.children() {
		if k := manifestKey(d.Digest); !seen[k] {
			seen[k] = true
			p.record.Children = append(p.record.Children, d.Digest)
		}
	}
	return nil
}

// settle waits until the blobs are on the disk: only what is there is named.
func (p *put) settle() error {
	all := make([]digest.Digest, len(p.record.Blobs))
	for i, b := range p.record.Blobs {
		all[i] = b.Digest
	}
	if err := p.repo.store.settled(all...); err != nil {
		return fmt.Errorf("store what manifest %s of %s names: %w", p.digest, p.repo.name, p.repo.full(int64(len(p.body)), err))
	}
	return nil
}

func (p *put) checkBlob(d ocispec.Descriptor) (linked bool, err error) {
	s, k := p.repo.store, blobKey(d.Digest)
	linked = s.leases.leasedBy(p.repo.name, k)
	if !linked {
		err := s.view(func(tx *bbolt.Tx) error {
			repo, found := readRepo(tx, p.repo.name)
			linked = found && repo.linked(k)
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	if !linked && elsewhere(d) {
		return false, nil
	}
	missing := &MissingBlobError{Digest: d.Digest, Repository: p.repo.name, Size: -1}
	if !linked {
		return false, missing
	}
	size, err := s.blobs.size(d.Digest)
	if err != nil {
		if lost := s.blobs.unsynced.failure(d.Digest); lost != nil {
			return false, p.repo.full(d.Size, lost)
		}
		return false, fmt.Errorf("%w: %w", missing, err)
	}
	if size != d.Size {
		missing.Size = d.Size
		return false, missing
	}
	return true, nil
}

// unchanged tells whether the index has everything already, which spares it a write.
func (p *put) unchanged() (same bool, err error) {
	err = p.repo.store.view(func(tx *bbolt.Tx) error {
		repo, found := readRepo(tx, p.repo.name)
		if !found {
			return nil
		}
		rec, err := repo.record(p.digest)
		if err != nil || rec == nil || rec.MediaType != p.mediaType || !p.stored(tx) {
			return err
		}
		for _, tag := range p.tags {
			if repo.tag(tag) != p.digest {
				return nil
			}
		}
		same = true
		return nil
	})
	return same, err
}

// stored tells whether the index gives back the very bytes; one that does not is repaired by a push.
func (p *put) stored(tx *bbolt.Tx) bool {
	return bytes.Equal(body(tx, p.digest), p.body)
}

func (p *put) apply(tx *bbolt.Tx) error {
	repo, err := writeRepo(tx, p.repo.name)
	if err != nil {
		return err
	}
	if err := p.checkChildren(repo); err != nil {
		return err
	}
	known, err := repo.record(p.digest)
	if err != nil {
		return err
	}
	if known != nil && known.MediaType != p.mediaType {
		if err := repo.remove(p.digest, known); err != nil {
			return err
		}
		known = nil
	}
	if known == nil {
		err = repo.add(p.digest, &p.record, p.body, p.referrer())
	} else if !p.stored(tx) {
		err = putBody(tx, p.digest, p.body)
	}
	if err != nil {
		return err
	}
	for _, tag := range p.tags {
		if err := repo.setTag(tag, p.digest); err != nil {
			return err
		}
	}
	return nil
}

// checkChildren looks inside the transaction, where the collector can't come between.
func (p *put) checkChildren(repo *repo) error {
	for _, d := range p.manifest.children() {
		rec, err := repo.record(d.Digest)
		if err != nil {
			return err
		}
		// One whose bytes were lost is to be pushed again first.
		if rec == nil || body(repo.tx, d.Digest) == nil {
			return &MissingBlobError{Digest: d.Digest, Repository: p.repo.name, Size: -1}
		}
		if rec.Size != d.Size {
			return &MissingBlobError{Digest: d.Digest, Repository: p.repo.name, Size: d.Size}
		}
	}
	return nil
}

// referrer is how the manifest is listed among the referrers of its subject.
func (p *put) referrer() *ocispec.Descriptor {
	if p.record.Subject == "" {
		return nil
	}
	return &ocispec.Descriptor{
		MediaType: p.mediaType, Digest: p.digest, Size: int64(len(p.body)),
		ArtifactType: p.manifest.artifactType(), Annotations: p.manifest.Annotations,
	}
}
